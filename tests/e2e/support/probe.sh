#!/bin/sh
# What a process sees from inside a container, a field a line: "name=value". Told to compare runtimes.
say() { printf '%s=%s\n' "$1" "$2"; }
status() { sed -n "s/^$1:[[:space:]]*//p" /proc/self/status | tr '\t' ' '; }

say pid "$$"
for field in Uid Gid Groups CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp SigBlk SigIgn; do
  say "$field" "$(status "$field")"
done
say hostname "$(hostname)"
say domainname "$(cat /proc/sys/kernel/domainname)"
say cwd "$(pwd)"
say umask "$(umask)"
env | grep -v '^_=' | sort | sed 's/^/env:/'
sed 1d /proc/self/limits | sed -E 's/^(.{25}) *([^ ]+) *([^ ]+).*/limit:\1=\2 \3/; s/ +=/=/'
for limit in c d f n s t v; do say "ulimit:$limit" "$(ulimit -S "-$limit") $(ulimit -H "-$limit")"; done
say oom_score_adj "$(cat /proc/self/oom_score_adj)"
say fds "$(for fd in 0 1 2 3 4 5 6 7 8 9; do (true >&"$fd") 2>/dev/null && printf '%s ' "$fd"; done)"
while read -r _ place type options _; do
  say "mount:$place" "$type ${options%%,*}"
done </proc/self/mounts | sort
for path in /proc/kcore /proc/keys /proc/timer_list /proc/scsi /sys/firmware /proc/sysrq-trigger /proc/sys; do
  [ -e "$path" ] || { say "path:$path" absent; continue; }
  kind=file; [ ! -d "$path" ] || kind="folder of $(ls -A "$path" | wc -l)"
  [ ! -c "$path" ] || kind=device
  can=readable
  if (true >>"$path") 2>/dev/null; then can=writable; fi
  say "path:$path" "$kind $can"
done
for node in /dev/*; do
  say "dev:$node" "$(stat -c '%F %a %t:%T' "$node" 2>/dev/null)"
  kind=other; [ ! -c "$node" ] || kind=device; [ ! -d "$node" ] || kind=folder; [ ! -L "$node" ] || kind=link
  say "kind:$node" "$kind $(readlink "$node")"
done
say own_files "$(cat /etc/hostname) $(wc -l </etc/hosts)"
say links "$(sed -n 's/^ *\([^ ]*\):.*/\1/p' /proc/net/dev | tr '\n' ' ')"
say shm "$(stat -f -c '%T %b' /dev/shm)"
for name in pid mnt uts ipc net cgroup user; do say "ns:$name" "$(readlink "/proc/self/ns/$name" | sed 's/:.*//')"; done
