# Everything but one file: what check_apparmor of checks.sh loads into the guest's kernel.
profile lay-test flags=(attach_disconnected, mediate_deleted) {
  /** rwmlkix,
  capability,
  signal,
  ptrace,
  unix,
  network,
  deny /etc/closed r,
}
