#!/usr/bin/env bash
# curl_push.sh REPOSITORY-URL FILE...: sends blobs, named by their hexadecimal sha256, to a registry by curl -T, one
# after the other: what their bytes cost without any hashing and asking.
set -euo pipefail

repository=$1
shift
for file in "$@"; do
  location=$(curl -sS -o /dev/null -D - -X POST "$repository/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
  curl -sS --fail -o /dev/null -H 'Content-Type: application/octet-stream' -T "$file" \
    "$location$([[ $location == *\?* ]] && echo '&' || echo '?')digest=sha256:${file##*/}"
done
