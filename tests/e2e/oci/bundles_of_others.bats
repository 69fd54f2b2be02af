#!/usr/bin/env bats
# Bundles that others wrote, run by lay-oci: what a container sees is what it sees under those who wrote them. And bundles
# of lay's: whatever runtime changed them, the same image comes back.

bats_require_minimum_version 1.5.0
load ../support/world
load ../support/oci
load ../support/engines

setup() {
  open_engine_world
  mkdir -p tree/{bin,proc,dev,sys,etc,tmp,run,root}
  cp /bin/busybox tree/bin/
  add_applets tree/bin sh ls cat echo id env grep touch readlink ulimit test true ln rm mv chmod
  printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:100::/:/bin/sh\n' >tree/etc/passwd
  echo small >tree/etc/hostname
  touch tree/etc/hosts
  take_probe tree
}

teardown() { close_engine_world; }

# bundle_by COMMAND...: bundle/ with the root of this test and the configuration that COMMAND writes there.
bundle_by() {
  mkdir -p bundle && cp -a tree bundle/rootfs
  (cd bundle && "$@")
  without_terminal
}
without_terminal() { edit "c['process']['terminal'] = False; c['process']['args'] = ['sh', '/bin/probe']"; }

# same_view [OTHER [LINES]]: under lay-oci and OTHER, runc without one; but for LINES.
same_view() {
  oci run --bundle bundle c1 </dev/null >lay.seen 2>lay.err || { cat lay.err; return 1; }
  if [[ ${1-} = crun ]]; then
    by_crun run --bundle bundle c1 </dev/null >other.seen
  else
    runc --root "$world/runc" run --bundle bundle c1 </dev/null >other.seen 3>&-
  fi
  [ "$(seen_by lay | wc -l)" -ge 55 ]
  diff <(seen_by other | grep -v "${2-^\$}") <(seen_by lay | grep -v "${2-^\$}")
}

@test "the bundle of runc spec shows the same under lay-oci and runc" {
  bundle_by runc spec
  same_view
}

@test "the bundle of crun spec shows the same under lay-oci and crun" {
  bundle_by crun spec
  same_view crun
}

@test "the bundle of runc spec --rootless shows the same under lay-oci and runc" {
  bundle_by runc spec --rootless
  same_view "" '^mount:/dev/[a-z]*=devtmpfs' # where a user namespace has its devices from
}

@test "the bundle of lay-oci spec shows the same under lay-oci, runc and crun" {
  bundle_by "$OCI" spec
  edit "c['ociVersion'] = '1.0.2'" # which Debian's runtimes know
  same_view
  same_view crun
}

@test "an image of lay's that umoci unpacked shows the same under lay-oci and runc" {
  "$LAY" import tree small --cmd '["sh", "/bin/probe"]' --env A=b --user user --workdir /tmp --label x=y --compression gzip >/dev/null
  "$LAY" save --format oci-archive -o small.tar small
  mkdir layout && tar -C layout -xf small.tar
  umoci unpack --image "layout:$(umoci ls --layout layout)" bundle >/dev/null
  [ "$(jq -r '.process.user.uid, .process.cwd' bundle/config.json | xargs)" = "1000 /tmp" ]
  without_terminal
  same_view
}

@test "the configuration that podman gives its runtime shows the same under lay-oci and runc" {
  mkdir -p volume && echo told >volume/file
  printf '%s\n' '[containers]' "default_ulimits = ['nofile=1024:1024', 'nproc=1024:1024']" >podman.conf
  tar -C tree -cf rootfs.tar .
  podman import -q rootfs.tar localhost/small >/dev/null
  podman create --name c1 --network none --user 1000:100 --read-only --tmpfs /t:size=1m -v "$world/volume:/v:ro" -e A=b -h box \
    --cap-drop KILL --cap-add NET_ADMIN --ulimit nofile=100:200 --ulimit nproc=99:99 --memory 64m --pids-limit 77 --sysctl kernel.msgmax=4096 \
    --security-opt no-new-privileges --group-add 7 --shm-size 1m localhost/small sh /bin/probe >/dev/null
  podman init c1 >/dev/null
  mkdir bundle
  cp "$(podman inspect --format '{{.OCIConfigPath}}' c1)" bundle/config.json
  edit "
c['root']['path'] = '$world/tree'
c['linux'].pop('cgroupsPath', None)
c['ociVersion'] = '1.0.2'
c['hooks'] = {}
c['linux']['namespaces'] = [{'type': n['type']} for n in c['linux']['namespaces']]"
  edit "c['process']['args'] = ['sh', '/bin/probe']"
  same_view
  for line in 'Uid=1000 1000 1000 1000' 'hostname=box' 'NoNewPrivs=1' 'limit:Max open files=100 200' 'env:A=b' 'mount:/t=tmpfs rw'; do
    grep -qxF "$line" lay.seen || { echo "missing: $line"; return 1; }
  done
}

# changed_by RUNTIME: the image whose bundle RUNTIME ran.
changed_by() {
  "$LAY" bundle small "b-$1" sh -c 'cd /data && echo 22 >changed && rm -r gone && mkdir -p new/deep && echo x >new/deep/f &&
    ln -s f new/deep/link && ln new/deep/f new/hard && chmod 700 kept && mv old renamed'
  case $1 in
    runc) runc --root "$world/runc" run -b "b-$1" c1 3>&- ;;
    crun) by_crun run -b "b-$1" c1 ;;
    lay-oci) oci run --bundle "b-$1" c1 ;;
    runsc) runsc --root "$world/runsc" --network none --ignore-cgroups --rootless=false run -bundle "b-$1" c1 < <(:) 3>&- ;;  # it would give away /dev/null
  esac
  find "b-$1/rootfs" -exec touch -h -d @1000000000 {} +
  "$LAY" commit --bundle "b-$1" "by-$1" >/dev/null
}

@test "a bundle that runc, crun, runsc or lay-oci changed comes back as the same image" {
  mkdir -p tree/data/{gone,kept,old} && echo 1 >tree/data/changed && echo 1 >tree/data/gone/x && echo 1 >tree/data/old/y
  find tree -exec touch -h -d @1000000000 {} +
  "$LAY" import tree small --cmd '["sh"]' >/dev/null
  local runtime
  for runtime in lay-oci runc crun runsc; do
    command -v "$runtime" >/dev/null || [ "$runtime" = lay-oci ] || continue
    changed_by "$runtime" </dev/null
    [ "$("$LAY" diff "by-$runtime" small | grep -v '^C' | sort | xargs)" = "A /data/new A /data/new/deep A /data/new/deep/f \
A /data/new/deep/link A /data/new/hard A /data/renamed A /data/renamed/y D /data/gone D /data/old" ] || {
      echo "$runtime:"; "$LAY" diff "by-$runtime" small; return 1; }
    layer_of "by-$runtime" >"$runtime.layer"
    cmp lay-oci.layer "$runtime.layer" || { echo "$runtime has another layer"; return 1; }
    [ "$("$LAY" run --rm --network none "by-$runtime" cat /data/new/hard)" = x ]
  done
}
layer_of() {
  local manifest
  manifest=$("$LAY" inspect "$1" | jq -r '.[0].Digest' | cut -d: -f2)
  jq -r '.layers[-1].digest' "$LAY_ROOT/blobs/sha256/$manifest"
}
