#!/usr/bin/env bash
# Makes an overlay upper once with Apache, nginx, PostgreSQL and Redis installed on top of the Debian base, none of them
# started, and prints the folder that holds it: upper/, and lower, a link to the base's rootfs.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/upper.bash"
packages=(apache2 nginx-light postgresql redis-server)
afterwards='apt-get clean && rm -rf /var/lib/apt/lists/*'
installed_upper "$@"
