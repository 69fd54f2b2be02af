"""lay serve beside docker-registry on the same disk; the client is serve_client.py, which costs little itself."""
import hashlib
import os

import measure
from sandbox import Registry

kClient = ["python3", "bench/serve_client.py"]
kMiB = 1 << 20


class LayServe(Registry):
    """lay serve on a root of its own, empty after each start."""

    def __init__(self, sandbox, name, program):
        super().__init__(sandbox, name)
        self.program = program
        self.env = {**os.environ, "LAY_RUN": sandbox.path(f"{name}-run")}

    def command(self, folder):
        return [self.program, "--root", os.path.join(folder, "root"), "serve", "--listen", f"127.0.0.1:{self.port}",
                "--access-log", "none"]


class Load:
    """A command that loads a server: counts the server's processor time beside it. `is_new` starts each round with an
    empty registry."""

    def __init__(self, server, words, size, is_new=False):
        self.server, self.command, self.size, self.is_new = server, [*kClient, *words], size, is_new
        self.begun, self.spent, self.rounds = 0, 0, 0

    def before(self):
        if self.is_new:
            self.server.start_empty()
        self.begun = self.server.cpu_seconds()

    def after(self):
        self.spent += self.server.cpu_seconds() - self.begun
        self.rounds += 1

    def processor(self):
        """Seconds for each GB; 0 where nothing is sent."""
        return self.spent / self.rounds / (self.size / 1e9) if self.size else 0

    def note(self):
        per_gb = self.processor()
        return (f"{self.server.memory_kib() / 1024:.0f} MiB of the server at most" +
                (f", {per_gb:.2f} of its processor seconds for each GB" if self.size else ""))


def make_blob(folder, mebibytes):
    """A file named by its digest."""
    digest = hashlib.sha256()
    draft = os.path.join(folder, "draft")
    with open(draft, "wb") as out:
        for _ in range(mebibytes):
            block = os.urandom(kMiB)
            digest.update(block)
            out.write(block)
    path = os.path.join(folder, f"sha256:{digest.hexdigest()}")
    os.rename(draft, path)
    return path


def push(server, blob, log):
    server.start_empty()
    measure.run([*kClient, "put", server.repository, blob], log)
    return f"{server.repository}/blobs/{os.path.basename(blob)}"
