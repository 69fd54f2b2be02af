#!/usr/bin/env bash
# A Redis configured by hand in a container of BASE, and captured as the image NAME. It has no password: publish it on
# 127.0.0.1 only.
#     examples/services/redis.sh debian:12 redis:1 && lay run -d --name cache -p 127.0.0.1:6379:6379 redis:1
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/build.bash"

configure "$@" <<'INSIDE'
install_missing redis-server
sed -i 's/^bind .*/bind 0.0.0.0/; s/^protected-mode .*/protected-mode no/; s/^daemonize .*/daemonize no/
  s/^appendonly .*/appendonly yes/; s/^logfile .*/logfile ""/' /etc/redis/redis.conf
INSIDE
capture "$@" --user redis --workdir /var/lib/redis --expose 6379 --cmd '["redis-server", "/etc/redis/redis.conf"]'
