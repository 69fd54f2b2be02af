#!/usr/bin/env bash
# An nginx configured by hand in a container of BASE, and captured as the image NAME.
#     examples/services/nginx.sh debian:12 nginx:1 && lay run -d --name web -p 8080:80 nginx:1
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/build.bash"

configure "$@" <<'INSIDE'
install_missing nginx-light
cat >/etc/nginx/sites-available/default <<'SITE'
server {
  listen 80 default_server;
  root /srv/www;
}
SITE
mkdir -p /srv/www
echo '<h1>nginx, taken away</h1>' >/srv/www/index.html
INSIDE
capture "$@" --cmd '["nginx", "-g", "daemon off;"]' --expose 80 --stop-signal SIGQUIT
