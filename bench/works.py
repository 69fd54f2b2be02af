"""The works that are measured: for each, what every tool has ready before, and the one command that is timed."""
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from typing import Callable

import measure
import serve
import targets
from sandbox import Registry
from tools import Buildah, Bundle, Docker, Lay, Podman, Unavailable

kInsecure = "--tls-verify=false"


def nothing():
    pass


@dataclass
class Contender:
    """One tool at one work. `before` and `after` are not measured; `undo` is, as a work of its own."""
    tool: str
    label: str
    command: list = field(default_factory=list)
    env: dict | None = None
    before: Callable = nothing
    after: Callable = nothing
    undo: list | None = None
    note: str = ""
    processor: float = 0  # seconds for each GB, of a server
    failure: str = ""
    samples: measure.Samples = field(default_factory=measure.Samples)
    undo_samples: measure.Samples = field(default_factory=measure.Samples)


@dataclass
class Work:
    name: str
    title: str
    contenders: list
    short: bool = False
    undo_title: str = ""
    finish: Callable = nothing


def contender(tool, label, make):
    """make() gets the tool ready and returns the rest of the Contender; a tool that cannot is shown with the reason."""
    try:
        return Contender(tool=tool, label=label, **make())
    except (Unavailable, measure.CommandFailed, subprocess.SubprocessError, OSError) as error:
        return Contender(tool=tool, label=label, failure=str(error))


class Peers:
    """The tools, each made ready at its first use and kept for the works that follow."""

    def __init__(self, sandbox, program):
        self.sandbox = sandbox
        self.program = program
        self.docker_daemon = None
        self.registries = []

    @cached_property
    def lay(self):
        lay = Lay(self.sandbox, self.program)
        lay.import_base()
        return lay

    @cached_property
    def podman(self):
        podman = Podman(self.sandbox)
        podman.take("base")
        return podman

    @cached_property
    def docker(self):
        self.docker_daemon = Docker(self.sandbox)
        self.docker_daemon.start()
        return self.docker_daemon

    @cached_property
    def full_registry(self):
        """Holds the bench's image as bench/image:1."""
        registry = self.registry("registry-full")
        registry.start_empty()
        measure.run(["skopeo", "copy", "--dest-tls-verify=false", f"oci:{self.sandbox.image_layout}:image",
                     f"docker://{registry.address}/bench/image:1"], self.sandbox.log)
        return registry

    def registry(self, name):
        registry = Registry(self.sandbox, name)
        self.registries.append(registry)
        return registry

    @cached_property
    def servers(self):
        """lay serve and docker-registry, by name."""
        servers = {"lay": serve.LayServe(self.sandbox, "lay-serve", self.program),
                   "docker-registry": Registry(self.sandbox, "served")}
        self.registries += servers.values()
        return servers

    def stop(self):
        if self.docker_daemon:
            self.docker_daemon.stop()
        for registry in self.registries:
            registry.stop()


def commit(peers):
    sandbox = peers.sandbox

    def lay(compression, before=()):
        name = f"bench:{compression}"
        return {"command": [*before, *peers.lay.command("commit", "--compression", compression, sandbox.upper, name,
                                                        "--base", "debian:12")],
                "env": peers.lay.env, "after": lambda: peers.lay.do(peers.lay.command("rmi", name))}

    def buildah():
        tool = Buildah(sandbox)
        tool.do(tool.command("pull", "--quiet", f"oci:{sandbox.image_layout}:base"))
        container = tool.output("from", tool.output("images", "-q"))
        tool.do(["bench/apply_upper.py", sandbox.upper, tool.output("mount", container)])
        return {"command": tool.command("commit", "--quiet", container, "localhost/bench"),
                "after": lambda: tool.do(tool.command("rmi", "localhost/bench"))}

    def umoci():
        layout, bundle = sandbox.path("umoci"), sandbox.path("umoci-bundle")
        measure.run(["skopeo", "copy", f"oci:{sandbox.image_layout}:base", f"oci:{layout}:base"], sandbox.log)
        measure.run(["umoci", "unpack", "--image", f"{layout}:base", bundle], sandbox.log)
        measure.run(["bench/apply_upper.py", sandbox.upper, f"{bundle}/rootfs"], sandbox.log)

        def forget():
            measure.run(["umoci", "rm", "--image", f"{layout}:bench"], sandbox.log)
            measure.run(["umoci", "gc", "--layout", layout], sandbox.log)
        return {"command": ["umoci", "repack", "--image", f"{layout}:bench", bundle], "after": forget,
                "note": "gzip; compares the whole root file system with its list of it"}

    def tar():
        archive = sandbox.path("upper.tar")
        return {"command": ["tar", "-C", sandbox.upper, "-cf", archive, "."], "after": lambda: os.unlink(archive),
                "note": "for comparison with lay (none): hashes nothing, syncs nothing, no layer to run"}

    return Work("commit", "commit an upper of 900 MB", [
        contender("lay", "lay (zstd)", lambda: lay("zstd")),
        contender("lay", "lay (gzip)", lambda: lay("gzip")),
        contender("lay", "lay (none)", lambda: lay("none")),
        contender("lay", "lay (none, one processor)", lambda: lay("none", ["taskset", "-c", "0"])),
        contender("buildah", "buildah", buildah),
        contender("umoci", "umoci repack", umoci),
        contender("tar", "tar -c", tar)])


def layer(peers):
    """What pulling and loading wait for once the bytes are here."""
    sandbox = peers.sandbox
    name = "bench-layer:gzip"
    peers.lay.do(peers.lay.command("commit", "--compression", "gzip", sandbox.upper, name, "--base", "debian:12"))
    blob, diff_id = peers.lay.top_layer(name)

    def lay():
        return {"command": peers.lay.command("run", "--rm", "--network", "none", name, "true"), "env": peers.lay.env,
                "before": lambda: shutil.rmtree(peers.lay.path("layers", diff_id)),
                "note": "makes the layer of its blob, both hashed, mounts it, and runs `true`"}

    def by_hand():
        tar = sandbox.path("inflated.tar")
        return {"command": ["sh", "-ec", 'igzip -d -c <"$1" >"$2"; openssl dgst -sha256 "$2"', "sh", blob, tar],
                "after": lambda: os.unlink(tar), "note": "one after the other"}

    return Work("layer", "make 900 MB of gzip blob a layer", [
        contender("lay", "lay run", lay), contender("igzip", "igzip, openssl sha256", by_hand)])


kFileCounts = (10_000, 100_000, 400_000)


def files(peers):
    """Whether time and memory grow with the number of files, and no faster."""
    def folder_of(count):
        folder = peers.sandbox.fresh_folder(f"files-{count}")
        for number in range(count):
            below = os.path.join(folder, f"{number // 1000:03}")
            if number % 1000 == 0:
                os.makedirs(below)
            with open(os.path.join(below, f"file-{number}"), "w") as file:
                file.write(f"{number}\n" * 100)
        return folder

    def lay(folder, count):
        name = f"bench-files:{count}"
        return {"command": peers.lay.command("commit", folder, name), "env": peers.lay.env,
                "after": lambda: peers.lay.do(peers.lay.command("rmi", name))}

    def tar(folder):
        archive = peers.sandbox.path("files.tar")
        return {"command": ["tar", "-C", folder, "-cf", archive, "."], "after": lambda: os.unlink(archive)}

    contenders = []
    for count in kFileCounts:
        folder = folder_of(count)
        contenders += [contender("lay", f"lay (zstd), {count:,} files", lambda: lay(folder, count)),
                       contender("tar", f"tar -c, {count:,} files", lambda: tar(folder))]
    return Work("files", targets.kFiles, contenders)


def push(peers):
    sandbox = peers.sandbox
    registry = peers.registry("registry-empty")
    target = f"{registry.address}/bench/image:1"

    def lay(compression):
        name = f"bench-push:{compression}"
        peers.lay.do(peers.lay.command("commit", "--compression", compression, sandbox.upper, name, "--base",
                                       "debian:12"))
        return {"command": peers.lay.command("push", name, target), "env": peers.lay.env,
                "before": registry.start_empty}

    def curl():
        blobs = peers.lay.layer_blobs("bench-push:zstd")
        return {"command": ["bench/curl_push.sh", f"http://{registry.address}/v2/bench/curl", *blobs],
                "before": registry.start_empty, "note": "sends the blobs of lay (zstd) and does nothing else"}

    def podman():
        peers.podman.take("image")
        return {"command": peers.podman.command("push", "--quiet", kInsecure, "localhost/image", target),
                "env": peers.podman.env, "before": registry.start_empty, "note": "compresses while it pushes"}

    def skopeo():
        return {"command": ["skopeo", "copy", "--quiet", "--dest-tls-verify=false",
                            f"oci:{sandbox.image_layout}:image", f"docker://{target}"],
                "before": registry.start_empty, "note": "copies ready gzip layers from or to an OCI layout"}

    return Work("push", "push 1.1 GB to an empty registry", [
        contender("lay", "lay (zstd)", lambda: lay("zstd")),
        contender("lay", "lay (gzip)", lambda: lay("gzip")),
        contender("curl", "curl -T", curl),
        contender("podman", "podman", podman),
        contender("skopeo", "skopeo", skopeo)])


def push_again(peers):
    """A push to a registry that has everything."""
    registry = peers.registry("registry-again")
    target = f"{registry.address}/bench/image:1"

    def lay():
        name = "bench-again:zstd"
        peers.lay.do(peers.lay.command("commit", peers.sandbox.upper, name, "--base", "debian:12"))
        peers.lay.do(peers.lay.command("push", name, target))
        return {"command": peers.lay.command("push", name, target), "env": peers.lay.env}

    def podman():
        peers.podman.take("image")
        there = f"{registry.address}/bench/podman:1"
        command = peers.podman.command("push", "--quiet", kInsecure, "localhost/image", there)
        peers.podman.do(command)
        return {"command": command, "env": peers.podman.env}

    def skopeo():
        there = f"docker://{registry.address}/bench/skopeo:1"
        command = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{peers.sandbox.image_layout}:image",
                   there]
        measure.run(command, peers.sandbox.log)
        return {"command": command}

    def curl():
        return {"command": ["curl", "-sS", "--fail", "-o", "/dev/null", f"http://{registry.address}/v2/"],
                "note": "is loaded, and sends one request"}

    registry.start_empty()
    return Work("push-again", "push 1.1 GB, nothing new", [
        contender("lay", "lay", lay), contender("podman", "podman", podman), contender("skopeo", "skopeo", skopeo),
        contender("curl", "curl, one request", curl)])


def pull_change(peers):
    """A pull after one file in a hundred has changed."""
    sandbox = peers.sandbox
    registry = peers.registry("registry-change")
    registry.start_empty()
    source = f"{registry.address}/bench/change"

    def lay():
        changed = sandbox.fresh_folder("changed")
        measure.run(["cp", "-a", f"{sandbox.upper}/.", changed], sandbox.log)
        measure.run(["sh", "-c", 'find "$1" -type f -size +0 | sort | awk "NR % 100 == 0" | '
                     'while read -r file; do echo changed >>"$file"; done', "sh", changed], sandbox.log)
        for number, folder in enumerate((sandbox.upper, changed)):
            peers.lay.do(peers.lay.command("commit", folder, f"bench-change:{number}", "--base", "debian:12"))
            peers.lay.do(peers.lay.command("push", f"bench-change:{number}", f"{source}:{number}"))
        tool = Lay(sandbox, peers.program, "lay-change")
        tool.do(tool.command("pull", f"{source}:0"))
        return {"command": tool.command("pull", f"{source}:1"), "env": tool.env,
                "undo": tool.command("rmi", f"{source}:1"), "note": "fetches the changed files only"}

    return Work("pull-change", "pull 1.1 GB, 1 % of the files changed", [contender("lay", "lay", lay)])


def pull(peers):
    sandbox = peers.sandbox
    source = f"{peers.full_registry.address}/bench/image:1"

    def lay():
        tool = Lay(sandbox, peers.program, "lay-pull")
        return {"command": tool.command("pull", source), "env": tool.env, "undo": tool.command("rmi", source),
                "note": "when it is removed, a process in the background frees the space of large files"}

    def podman():
        tool = Podman(sandbox, "podman-pull")
        return {"command": tool.command("pull", "--quiet", kInsecure, source), "env": tool.env,
                "undo": tool.command("rmi", source)}

    def docker():
        peers.docker.do(peers.docker.command("image", "prune", "--all", "--force"))
        return {"command": peers.docker.command("pull", "--quiet", source),
                "undo": peers.docker.command("rmi", source), "note": "memory is the client's, without the daemon's"}

    def skopeo():
        layout = sandbox.path("skopeo")
        return {"command": ["skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{source}",
                            f"oci:{layout}:image"],
                "after": lambda: shutil.rmtree(layout),
                "note": "copies ready gzip layers from or to an OCI layout"}

    return Work("pull", "pull 1.1 GB, gzip", [
        contender("lay", "lay", lay), contender("podman", "podman", podman), contender("docker", "docker", docker),
        contender("skopeo", "skopeo", skopeo)], undo_title="remove the pulled image")


def bundle_contender(sandbox, runtime, program=None):
    def make():
        tool = Bundle(sandbox, runtime, program)
        tool.prepare("true")
        return {"command": tool.command("run", "--bundle", tool.folder, "bench"),
                "note": "a bundle that is ready: no image, no layers"}
    return contender("lay" if program else runtime, f"{runtime} (bundle)", make)


def bwrap_contender(sandbox):
    def make():
        root = sandbox.path("bwrap-root")
        os.makedirs(root)
        measure.run(["tar", "-C", root, "-xpf", sandbox.base_tar], sandbox.log)
        return {"command": ["bwrap", "--unshare-all", "--ro-bind", root, "/", "--proc", "/proc", "--dev", "/dev",
                            "true"],
                "note": "namespaces and mounts alone: no image, no cgroup"}
    return contender("bwrap", "bwrap", make)


def run_contenders(peers, *more):
    flags = ["run", "--rm", *more]

    def lay():
        return {"command": peers.lay.command(*flags, "debian:12", "true"), "env": peers.lay.env}

    def podman(runtime):
        peers.podman  # takes the base
        tool = Podman(peers.sandbox, runtime=runtime)
        return {"command": tool.run_command(*flags[1:], "localhost/base", "true"), "env": tool.env}

    def docker():
        peers.docker.do(peers.docker.command("import", peers.sandbox.base_tar, "base"))
        return {"command": peers.docker.command(*flags, "base", "true")}

    return [contender("lay", "lay", lay), contender("podman", "podman (runc)", lambda: podman("runc")),
            contender("podman", "podman (crun)", lambda: podman("crun")), contender("docker", "docker", docker)]


def run_bridge(peers):
    return Work("run-bridge", "run `true`, bridge network, a published port",
                run_contenders(peers, "--network", "bridge", "--publish", "18080:80"), short=True)


def run_none(peers):
    ready = [bundle_contender(peers.sandbox, "runc"), bundle_contender(peers.sandbox, "crun"),
             bwrap_contender(peers.sandbox)]
    return Work("run-none", "run `true`, no network", run_contenders(peers, "--network", "none") + ready, short=True)


def oci(peers):
    """The same bundle under each runtime."""
    own = os.path.join(os.path.dirname(peers.program or ""), "lay-oci")
    return Work("oci", "run `true` of a bundle", [
        bundle_contender(peers.sandbox, "lay-oci", own), bundle_contender(peers.sandbox, "runc"),
        bundle_contender(peers.sandbox, "crun")], short=True)


def execute(peers):
    stops = []

    def in_container(tool, run, remove):
        tool.do(run)
        stops.append(lambda: tool.do(remove))
        return {"command": tool.command("exec", "bench-exec", "true"), "env": tool.env}

    detached = ["-d", "--name", "bench-exec", "--network", "none"]

    def lay():
        return in_container(peers.lay, peers.lay.command("run", *detached, "debian:12", "sleep", "infinity"),
                            peers.lay.command("rm", "-f", "bench-exec"))

    def podman():
        return in_container(peers.podman, peers.podman.run_command(*detached, "localhost/base", "sleep", "infinity"),
                            peers.podman.command("rm", "-f", "-t", "0", "bench-exec"))

    def docker():
        peers.docker.do(peers.docker.command("import", peers.sandbox.base_tar, "base"))
        return in_container(peers.docker, peers.docker.command("run", *detached, "base", "sleep", "infinity"),
                            peers.docker.command("rm", "-f", "bench-exec"))

    def finish():
        for stop in stops:
            stop()

    return Work("exec", "exec `true`", [contender("lay", "lay", lay), contender("podman", "podman (runc)", podman),
                                        contender("docker", "docker", docker)], short=True, finish=finish)


kRow = 100


def detached(peers):
    """A row of containers that go on running, one started after the other."""
    def row_of(tool, run, remove):
        names = [f"bench-row-{number}" for number in range(kRow)]
        start = " ".join(run)
        return {"command": ["sh", "-ec", f"for name in {' '.join(names)}; do {start.replace('NAME', '$name')}; done"],
                "env": tool.env, "after": lambda: tool.do([*remove, *names]),
                "note": "memory is that of one command, not of what stays behind"}

    flags = ["-d", "--name", "NAME", "--network", "none"]

    def lay():
        return row_of(peers.lay, peers.lay.command("run", *flags, "debian:12", "sleep", "infinity"),
                      peers.lay.command("rm", "-f"))

    def podman():
        return row_of(peers.podman, peers.podman.run_command(*flags, "localhost/base", "sleep", "infinity"),
                      peers.podman.command("rm", "-f", "-t", "0"))

    def docker():
        peers.docker.do(peers.docker.command("import", peers.sandbox.base_tar, "base"))
        return row_of(peers.docker, peers.docker.command("run", *flags, "base", "sleep", "infinity"),
                      peers.docker.command("rm", "-f"))

    return Work("detached", f"start {kRow} detached containers in a row", [
        contender("lay", "lay", lay), contender("podman", "podman (runc)", podman),
        contender("docker", "docker", docker)])


kCrowds = (1, 100, 1_000)


def crowd(peers):
    """Whether a start takes longer the more containers, images and layers there are."""
    def among(count):
        tool = Lay(peers.sandbox, peers.program, f"lay-among-{count}")
        tool.import_base()
        upper = peers.sandbox.fresh_folder("crowd-upper")
        for number in range(1, count):
            with open(os.path.join(upper, "number"), "w") as file:
                file.write(f"{number}\n")
            name = f"crowd:{number}"
            tool.do(tool.command("commit", "--quiet", upper, name, "--base", "debian:12"))
            tool.do(tool.command("run", "--network", "none", name, "true"))
        return {"command": tool.command("run", "--rm", "--network", "none", "debian:12", "true"), "env": tool.env}

    return Work("crowd", "run `true` among others, no network", [
        contender("lay", f"lay, {count:,} containers, images, layers", lambda count=count: among(count))
        for count in kCrowds], short=True)


def serve_work(peers, name, title, load_of, short=False):
    """load_of(server) makes the server ready and returns its serve.Load."""
    loads = {}

    def make(tool):
        if tool == "lay" and not peers.program:
            raise Unavailable("left out")
        loads[tool] = load = load_of(peers.servers[tool])
        return {"command": load.command, "before": load.before, "after": load.after}
    contenders = [contender(tool, f"{tool} ({name})", lambda tool=tool: make(tool)) for tool in peers.servers]

    def finish():
        for one in contenders:
            if one.tool in loads and loads[one.tool].rounds:
                one.note = loads[one.tool].note()
                one.processor = loads[one.tool].processor()
                one.samples.peak_kib = peers.servers[one.tool].memory_kib()
    return Work(name, title, contenders, short=short, finish=finish)


def serve_put(peers):
    folder = peers.sandbox.fresh_folder("blobs-put")
    blobs = [serve.make_blob(folder, 256) for _ in range(4)]
    return serve_work(peers, "serve-put", "serve: 4 clients push 256 MiB each", lambda server: serve.Load(
        server, ["put", server.repository, *blobs], 4 * 256 * serve.kMiB, is_new=True))


def serve_get(peers):
    blob = serve.make_blob(peers.sandbox.fresh_folder("blobs-get"), 64)
    return serve_work(peers, "serve-get", "serve: 64 clients pull 256 MiB each", lambda server: serve.Load(
        server, ["get", serve.push(server, blob, peers.sandbox.log), "64", "4"], 64 * 4 * 64 * serve.kMiB))


def serve_hold(peers):
    blob = serve.make_blob(peers.sandbox.fresh_folder("blobs-hold"), 64)
    return serve_work(peers, "serve-hold", "serve: 2,000 idle and 500 active connections", lambda server: serve.Load(
        server, ["hold", serve.push(server, blob, peers.sandbox.log), "2000", "500"], 0))


kWorks = {"run-bridge": run_bridge, "run-none": run_none, "oci": oci, "exec": execute, "detached": detached, "crowd": crowd,
          "commit": commit, "files": files, "layer": layer, "push": push, "push-again": push_again, "pull": pull,
          "pull-change": pull_change, "serve-put": serve_put, "serve-get": serve_get, "serve-hold": serve_hold}
