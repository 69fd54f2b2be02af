# Loaded behind world.bash by the stories of registries: `lay serve` on the world's root, its users and certificate.

# serve FLAGS...: serves the world's root on a free port; sets url, served (localhost:PORT) and serve_pid.
serve() {
  : >"$world/url"
  "$LAY" serve --listen "127.0.0.1:${port:-0}" "$@" >"$world/url" 2>>"$world/serve.log" &
  serve_pid=$!
  wait_until 10 test -s "$world/url" || { cat "$world/serve.log"; return 1; }
  url=$(<"$world/url")
  served=localhost:${url##*:}
}

stop_served() {
  [[ -n ${serve_pid-} ]] || return 0
  kill "$serve_pid" 2>/dev/null || true
  wait "$serve_pid" || true
  serve_pid=
}

# users: makes the password file: ann and ci, both with s3cret:pw.
users() {
  htpasswd -Bbn -C 5 ann s3cret:pw >"$world/users"
  htpasswd -Bbn -C 5 ci s3cret:pw >>"$world/users"
}

# certificate [NAME]: makes a certificate that signs itself, for this machine's names and for NAME (IP:ADDRESS).
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext "subjectAltName=DNS:localhost,IP:127.0.0.1${1:+,$1}" -keyout "$world/key" -out "$world/cert" 2>/dev/null
}

# status_of CURL-ARGUMENTS...: the status of the answer.
status_of() { curl -sk -o /dev/null -w '%{http_code}' "$@"; }
