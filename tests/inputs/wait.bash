# Sourced by what waits for a sign.

# wait_until SECONDS COMMAND...: runs COMMAND again and again until it succeeds, at most for SECONDS.
wait_until() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || { echo "not within the time: $*" >&2; return 1; }
    sleep 0.05
  done
}

# layers_unmounted RUN: whether lay has unmounted its layers there, which stay for two seconds, for a next run.
layers_unmounted() { ! grep -qF " $1/layers" /proc/self/mountinfo; }
