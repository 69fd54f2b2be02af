#!/usr/bin/env bash
# A PostgreSQL configured by hand in a container of BASE, and captured as the image NAME. The user app has the password
# "taken-away"; change it before anybody else reaches the port.
#     examples/services/postgresql.sh debian:12 postgresql:1 && lay run -d --name db -p 127.0.0.1:5432:5432 postgresql:1
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/build.bash"

configure "$@" <<'INSIDE'
install_missing postgresql
cd /etc/postgresql/15/main
echo "listen_addresses = '*'" >conf.d/container.conf
echo 'host all all all scram-sha-256' >>pg_hba.conf
pg_ctlcluster 15 main start
su postgres -c "psql -q -c \"create role app login password 'taken-away'\" -c 'create database app owner app'"
pg_ctlcluster 15 main stop
INSIDE
# SIGINT: PostgreSQL's fast shutdown, which waits for no client.
capture "$@" --user postgres --expose 5432 --stop-signal SIGINT --cmd \
  '["/usr/lib/postgresql/15/bin/postgres", "-D", "/var/lib/postgresql/15/main", "-c", "config_file=/etc/postgresql/15/main/postgresql.conf"]'
