#!/usr/bin/env bats
# Apache, nginx, PostgreSQL and Redis of Debian's packages as services in containers: they answer over published ports,
# and survive stop, commit, push, pull and rerun on another root with their data. All four stand on one built upper.

load ../support/world

setup_file() {
  open_world
  export world LAY_ROOT LAY_RUN traces_before
  debian_image
  "$LAY" commit -q "$("$here/../../inputs/services-upper.sh")/upper/" services:1 --base debian:12 >/dev/null
  "$LAY" --root "$world/served" serve --listen 127.0.0.1:0 >"$world/url" 2>"$world/serve.log" 3>&- &
  echo $! >"$world/server"
  wait_until 10 test -s "$world/url"
}
teardown_file() {
  kill "$(cat "$world/server")"
  there ps -aq | while read -r id; do there rm -f "$id" >/dev/null; done
  close_world
}

# there COMMAND...: lay on the other machine.
there() { LAY_ROOT=$world/root2 LAY_RUN=$world/run2 "$LAY" "$@"; }

# build SERVICE: its image SERVICE:1, by the example's script.
build() { "$here/../../../examples/services/$1.sh" services:1 "$1:1" >/dev/null; }

# start WHERE IMAGE PORT: runs the service as "web" and so on, and prints the host's port. WHERE is $LAY or there.
start() {
  "$1" run -d --name "${2%%:*}" -p "127.0.0.1::$3" "$2" >/dev/null
  "$1" port "${2%%:*}" "$3" | sed 's/.*://'
}

# take_away SERVICE: stops it here, commits it with its data, pushes it, and pulls it on the other machine as SERVICE:2.
take_away() {
  local place
  place=localhost:$(sed 's/.*://' "$world/url")/team/$1:2
  "$LAY" stop "$1" >/dev/null
  "$LAY" ps -a --format '{{.Names}} {{.Status}}' | grep -q "^$1 Exited (0)" || { "$LAY" ps -a; "$LAY" logs "$1"; return 1; }
  "$LAY" commit -q "$1" "$1:2" >/dev/null
  "$LAY" push -q "$1:2" "$place" >/dev/null
  "$LAY" rm "$1" >/dev/null
  there pull -q "$place" >/dev/null
  there tag "$place" "$1:2"
}

page_of() { curl -fsS "http://127.0.0.1:$1/"; }

# web SERVICE: the whole way of a web server, whose page is changed while it runs.
web() {
  local port path=$2
  build "$1"
  port=$(start "$LAY" "$1:1" 80)
  wait_until 20 page_of "$port"
  has "$(page_of "$port")" "taken away"
  echo "<p>changed while it ran</p>" | "$LAY" exec -i "$1" tee "$path" >/dev/null
  [ "$(page_of "$port")" = "<p>changed while it ran</p>" ]
  take_away "$1"
  port=$(start there "$1:2" 80)
  wait_until 20 page_of "$port"
  [ "$(page_of "$port")" = "<p>changed while it ran</p>" ]
  there rm -f "$1" >/dev/null
}

@test "Apache answers over a published port, and on another root with the page that it had" {
  web apache /var/www/html/index.html
}

@test "nginx answers over a published port, and on another root with the page that it had" {
  web nginx /srv/www/index.html
}

# sql WHERE PORT STATEMENT: by psql in a container of its own, over the host's published port.
sql() {
  "$1" run --rm --network host -e PGPASSWORD=taken-away "$4" psql -qtA -h 127.0.0.1 -p "$2" -U app app -c "$3"
}

@test "PostgreSQL answers over a published port, and on another root with its rows" {
  build postgresql
  local port
  port=$(start "$LAY" postgresql:1 5432)
  wait_until 30 sql "$LAY" "$port" 'select 1' postgresql:1
  sql "$LAY" "$port" 'create table notes (note text); insert into notes select $$row $$ || n from generate_series(1, 1000) n' \
    postgresql:1
  take_away postgresql
  port=$(start there postgresql:2 5432)
  wait_until 30 sql there "$port" 'select 1' postgresql:2
  [ "$(sql there "$port" 'select count(*), max(note) from notes' postgresql:2)" = '1000|row 999' ]
  has "$(there logs postgresql 2>&1)" "database system was shut down at"
  there stop postgresql >/dev/null
}

# redis PORT COMMAND...: the answer to one inline command, without its line ends.
redis() {
  local port=$1
  shift
  timeout 3 bash -c 'exec 9<>"/dev/tcp/127.0.0.1/$1" || exit; printf "%s\r\nQUIT\r\n" "$2" >&9; cat <&9' redis "$port" "$*" | tr -d '\r'
}
redis_is_up() { [[ $(redis "$1" PING) == *PONG* ]]; }

@test "Redis answers over a published port, and on another root with its keys" {
  build redis
  local port
  port=$(start "$LAY" redis:1 6379)
  wait_until 20 redis_is_up "$port"
  has "$(redis "$port" SET place here)" "+OK"
  take_away redis
  port=$(start there redis:2 6379)
  wait_until 20 redis_is_up "$port"
  has "$(redis "$port" GET place)" $'\nhere\n'
  there rm -f redis >/dev/null
}
