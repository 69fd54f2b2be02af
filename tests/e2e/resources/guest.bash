# For tests in the guest machine, which is booted once for a file.

guest=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../guest" && pwd)

boot_guest() {
  ((EUID == 0)) || skip "needs root"
  "$guest/../inputs/guest-kernel.sh" >/dev/null || skip "apt cannot fetch Debian's cloud kernel"
  export console=$BATS_FILE_TMPDIR/console
  "$guest/boot.sh" "${LAY:?the path of the program under test}" >"$console"
}

# good NAME: the check of that name was run and went well.
good() {
  grep -q "^ok $1 " "$console" && return
  sed -n "/^not ok $1\$/,/^\\(not \\)\\?ok /p" "$console"
  grep -q "^not ok $1\$" "$console" || tail -n 30 "$console"
  return 1
}
