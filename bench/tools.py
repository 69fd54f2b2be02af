"""How each tool is called: its own state below the scratch folder, and the flags it needs to run at all."""
import json
import os
import subprocess

import measure
from sandbox import wait_until


class Unavailable(Exception):
    """The tool cannot do this work on this machine; the message says why."""


class Tool:
    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.env = None

    def do(self, command):
        """Runs a command that is not measured."""
        measure.run(command, self.sandbox.log, self.env)


class Lay(Tool):
    """`folder` names the root; the run folder is shared by all roots, as on any machine."""

    def __init__(self, sandbox, program, folder="lay"):
        super().__init__(sandbox)
        if not program:
            raise Unavailable("left out")
        self.root = sandbox.path(folder)
        self.start = [program, "--root", self.root]
        self.env = {**os.environ, "LAY_RUN": "/run/lay"}

    def command(self, *words):
        return [*self.start, *words]

    def path(self, *names):
        return os.path.join(self.root, *names)

    def import_base(self):
        self.do(self.command("import", self.sandbox.base_tar, "debian:12"))

    def inspect(self, image):
        return json.loads(subprocess.run(self.command("inspect", image), env=self.env, check=True, text=True,
                                         stdout=subprocess.PIPE).stdout)[0]

    def layer_blobs(self, image):
        """The paths of its layers' blobs."""
        def blob(digest):
            return self.path("blobs", *digest.split(":"))
        with open(blob(self.inspect(image)["Digest"])) as manifest:
            return [blob(layer["digest"]) for layer in json.load(manifest)["layers"]]

    def top_layer(self, image):
        """The path of its blob, and the name of its folder below layers/."""
        return self.layer_blobs(image)[-1], self.inspect(image)["RootFS"]["Layers"][-1].split(":")[1]


class Podman(Tool):
    """Flags for a machine without systemd and without CAP_SYS_RESOURCE; crun 1.8 needs unmixed cgroups."""

    def __init__(self, sandbox, folder="podman", runtime="runc"):
        super().__init__(sandbox)
        self.start = ["podman", "--root", sandbox.path(folder), "--runroot", f"/run/{folder}",
                      "--storage-driver", "overlay", "--runtime", runtime]
        config = sandbox.path("containers.conf")
        with open(config, "w") as out:
            out.write("[containers]\ndefault_ulimits = ['nofile=1024:1024', 'nproc=1024:1024']\n"
                      "[engine]\ncgroup_manager = 'cgroupfs'\nevents_logger = 'file'\n"
                      f"[network]\nnetwork_backend = 'netavark'\nnetwork_config_dir = '{sandbox.path('networks')}'\n")
        self.env = {**os.environ, "CONTAINERS_CONF": config}

    def command(self, *words):
        return [*self.start, *words]

    def run_command(self, *words):
        return self.command("run", "--cgroup-parent", self.sandbox.cgroup, *words)

    def take(self, name):
        """Copies a tag of the bench's OCI layout into the storage."""
        self.do(self.command("pull", "--quiet", f"oci:{self.sandbox.image_layout}:{name}"))
        image = subprocess.run(self.command("images", "-q", "--no-trunc"), env=self.env, check=True, text=True,
                               stdout=subprocess.PIPE).stdout.split()[0]
        self.do(self.command("tag", image, f"localhost/{name}"))


class Buildah(Tool):
    def __init__(self, sandbox, folder="buildah"):
        super().__init__(sandbox)
        self.start = ["buildah", "--root", sandbox.path(folder), "--runroot", f"/run/{folder}",
                      "--storage-driver", "overlay"]

    def command(self, *words):
        return [*self.start, *words]

    def output(self, *words):
        return subprocess.run(self.command(*words), check=True, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout.strip()


class Docker(Tool):
    """A daemon of the bench's own; only the client's memory is seen, the work is done in the daemon."""

    def __init__(self, sandbox):
        super().__init__(sandbox)
        self.socket = "unix:///run/bench-docker.sock"
        self.daemon = None

    def command(self, *words):
        return ["/usr/bin/docker", "--host", self.socket, *words]

    def answers(self):
        if self.daemon.poll() is not None:
            raise Unavailable(f"dockerd ended: {measure.last_line(self.sandbox.path('dockerd.log'))}")
        return subprocess.run(self.command("version"), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def start(self):
        with open(self.sandbox.path("dockerd.log"), "wb") as log:
            self.daemon = subprocess.Popen(
                ["/usr/sbin/dockerd", "--host", self.socket, "--data-root", self.sandbox.path("docker"), "--exec-root",
                 "/run/bench-docker", "--pidfile", "/run/bench-docker.pid", "--config-file",
                 self.empty_config(), "--cgroup-parent", self.sandbox.cgroup, "--default-ulimit", "nofile=1024:1024"],
                stdout=log, stderr=log)
        try:
            wait_until("dockerd", self.answers)
        except TimeoutError as error:
            raise Unavailable(str(error)) from error

    def empty_config(self):
        config = self.sandbox.path("docker.json")
        with open(config, "w") as out:
            json.dump({}, out)
        return config

    def stop(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.terminate()
            self.daemon.wait()


class Bundle(Tool):
    """An OCI runtime on a bundle that is ready: what is left of a run when everything around it is done."""

    def __init__(self, sandbox, runtime, program=None):
        super().__init__(sandbox)
        self.runtime = runtime
        self.start = [program or runtime, "--root", f"/run/bench-{runtime}"]
        self.folder = sandbox.path(f"bundle-{runtime}")
        if os.path.isdir(self.folder):
            return
        os.makedirs(os.path.join(self.folder, "rootfs"))
        self.do(["tar", "-C", os.path.join(self.folder, "rootfs"), "-xpf", sandbox.base_tar])
        subprocess.run(["runc", "spec"], cwd=self.folder, check=True)  # the same for each

    def prepare(self, *words):
        path = os.path.join(self.folder, "config.json")
        with open(path) as file:
            spec = json.load(file)
        spec["process"]["args"] = list(words)
        spec["process"]["terminal"] = False
        spec["linux"]["cgroupsPath"] = f"{self.sandbox.cgroup}/{self.runtime}"
        with open(path, "w") as file:
            json.dump(spec, file)

    def command(self, *words):
        return [*self.start, *words]
