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
say oom_score_adj "$(cat /proc/self/oom_score_adj)"
say fds "$(ls /proc/self/fd | tr '\n' ' ' | sed 's/ [0-9]* $//')" # the last one is of ls
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
for node in /dev/*; do say "dev:$node" "$(stat -c '%F %a %t:%T' "$node")"; done
say own_files "$(cat /etc/hostname) $(wc -l </etc/hosts)"
say links "$(ls /sys/class/net | tr '\n' ' ')"
say shm "$(stat -f -c '%T %b' /dev/shm)"
for name in pid mnt uts ipc net cgroup user; do say "ns:$name" "$(readlink "/proc/self/ns/$name" | sed 's/:.*//')"; done
