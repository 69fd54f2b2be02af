#!/usr/bin/env bash
# Makes an overlay upper of about 900 MB and 29,000 files once, by installing packages on top of the Debian base,
# and prints the folder that holds it: upper/, and lower, a link to the base's rootfs.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/upper.bash"
packages=(build-essential python3-numpy nodejs git linux-headers-amd64)
installed_upper "$@"
