"""What the tools share while they are measured: folders, a registry on loopback, a control group."""
import os
import shutil
import socket
import subprocess
import time
import urllib.request


def wait_until(what, ready, seconds=30):
    """Polls `ready` until it is true."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not ready after {seconds} s")
        time.sleep(0.02)


class Sandbox:
    """`base`, `upper` and `image` are the folders that the scripts of the same names made; `scratch` is emptied by
    run.sh when the bench ends."""

    def __init__(self, scratch, cgroup, base, upper, image):
        self.scratch = scratch
        self.cgroup = cgroup
        self.base_tar = os.path.join(base, "rootfs.tar")
        self.upper = os.path.join(upper, "upper")
        self.image_layout = os.path.join(image, "oci")
        self.log = self.path("command.log")

    def path(self, *names):
        return os.path.join(self.scratch, *names)

    def fresh_folder(self, *names):
        folder = self.path(*names)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        return folder


class Registry:
    """docker-registry on a free port of loopback."""

    def __init__(self, sandbox, name):
        self.sandbox = sandbox
        self.name = name
        self.process = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"localhost:{self.port}"
        self.repository = f"http://127.0.0.1:{self.port}/v2/bench"
        self.env = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}

    def answers(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v2/", timeout=1).status == 200
        except OSError:
            return False

    def start_empty(self):
        """Stops the running one, drops all it holds, and starts anew on the same port."""
        self.stop()
        folder = self.sandbox.fresh_folder(self.name)
        with open(os.path.join(folder, "log"), "wb") as log:
            self.process = subprocess.Popen(self.command(folder), stdout=log, stderr=log, env=self.env)
        wait_until(self.name, self.answers)

    def command(self, folder):
        config = os.path.join(folder, "config.yml")
        with open(config, "w") as out:
            out.write(f"version: 0.1\nlog: {{level: error}}\n"
                      f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
                      f"http: {{addr: '127.0.0.1:{self.port}'}}\n")
        return ["docker-registry", "serve", config]

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_kib(self):
        """The most it ever had."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None
