#!/usr/bin/env bash
# An Apache configured by hand in a container of BASE, and captured as the image NAME.
#     examples/services/apache.sh debian:12 apache:1 && lay run -d --name web -p 8080:80 apache:1
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/build.bash"

configure "$@" <<'INSIDE'
install_missing apache2
echo 'ServerName localhost' >/etc/apache2/conf-available/name.conf
a2enconf -q name
echo '<h1>Apache, taken away</h1>' >/var/www/html/index.html
INSIDE
# Not by apachectl, a shell that would stay in front and pass no signal on. SIGWINCH: Apache's graceful stop.
capture "$@" --expose 80 --stop-signal SIGWINCH --cmd \
  'mkdir -p /run/apache2 && . /etc/apache2/envvars && exec apache2 -DFOREGROUND'
