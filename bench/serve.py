#!/usr/bin/env python3
"""lay serve beside docker-registry on the same disk: many clients that read a large blob, then some that write.

    bench/serve.py [--quick]     needs root; build/release/lay and docker-registry

Prints throughput, processor seconds of the server for each GB, and its peak memory; then how many idle and active
connections it holds. Clients are curl processes, the same for both."""
import hashlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

kQuick = "--quick" in sys.argv
kGetClients = 64
kPutClients = 4
kBlobMiB = 32 if kQuick else 256
kGets = 2 if kQuick else 4  # of each client


class Server:
    """A registry as a process of its own; stopped by its pid."""

    def __init__(self, folder, command, environment=None):
        self.log = open(os.path.join(folder, "log"), "wb")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log,
                                        env={**os.environ, **(environment or {})})

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, key="VmHWM"):
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith(key))

    def stop(self):
        self.process.terminate()
        self.process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url):
    for _ in range(200):
        try:
            return urllib.request.urlopen(f"{url}/v2/", timeout=1).close()
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(url)


def start_lay(folder):
    port = free_port()
    server = Server(folder, ["build/release/lay", "--root", f"{folder}/root", "serve", "--listen", f"127.0.0.1:{port}",
                             "--access-log", "none"], {"LAY_RUN": f"{folder}/run"})
    return server, f"http://127.0.0.1:{port}"


def start_docker_registry(folder):
    port = free_port()
    config = os.path.join(folder, "config.yml")
    with open(config, "w") as out:
        out.write(f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
                  f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n")
    return (Server(folder, ["docker-registry", "serve", config], {"OTEL_TRACES_EXPORTER": "none"}),
            f"http://127.0.0.1:{port}")


def upload_command(url, path, digest):
    request = urllib.request.Request(f"{url}/v2/bench/blobs/uploads/", method="POST", data=b"")
    place = urllib.request.urlopen(request).headers["Location"]
    place = place if place.startswith("http") else url + place
    place += ("&" if "?" in place else "?") + f"digest={digest}"
    return ["curl", "-sf", "-T", path, "-H", "Content-Type: application/octet-stream", place]


def measured(server, commands, total):
    """GB/s and processor seconds for each GB while `commands` run side by side."""
    os.sync()
    cpu, begin = server.cpu(), time.perf_counter()
    clients = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    failed = sum(client.wait() != 0 for client in clients)
    seconds = time.perf_counter() - begin
    if failed:
        raise SystemExit(f"{failed} of {len(clients)} clients failed")
    return {"GB/s": total / 1e9 / seconds, "CPU s/GB": (server.cpu() - cpu) / (total / 1e9)}


def make_blobs(folder):
    blobs = []
    for number in range(kPutClients):
        path = os.path.join(folder, f"blob{number}")
        digest = hashlib.sha256()
        with open(path, "wb") as out:
            for _ in range(kBlobMiB):
                block = os.urandom(1 << 20)
                digest.update(block)
                out.write(block)
        blobs.append((path, f"sha256:{digest.hexdigest()}"))
    return blobs


def measure(name, start, blobs, scratch):
    folder = os.path.join(scratch, name)
    os.makedirs(folder)
    server, url = start(folder)
    try:
        wait_for(url)
        size = kBlobMiB << 20
        put = measured(server, [upload_command(url, *blob) for blob in blobs], size * len(blobs))
        target = f"{url}/v2/bench/blobs/{blobs[0][1]}"
        get = measured(server, [["curl", "-sf", *["-o", "/dev/null", target] * kGets]] * kGetClients,
                       size * kGets * kGetClients)
        result = {"PUT": put, "GET": get, "peak MiB": server.memory()}
        if name == "lay":
            result["connections"] = hold_connections(server, url, blobs[0][1])
        return result
    finally:
        server.stop()


def hold_connections(server, url, digest, idle=2000, active=500):
    """Idle ones have sent one request; active ones have the start of a blob and read no further."""
    port = int(url.rsplit(":", 1)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

    def connect(path):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return connection
    held = [connect("/v2/") for _ in range(idle)] + [connect(f"/v2/bench/blobs/{digest}") for _ in range(active)]
    failed = sum(not connection.recv(64).startswith(b"HTTP/1.1 200") for connection in held)
    memory = server.memory("VmRSS")
    for connection in held:
        connection.close()
    return {"held": len(held), "failed": failed, "MiB": memory}


def main():
    scratch = tempfile.mkdtemp(prefix="lay-bench-serve.", dir="/var/tmp")
    try:
        blobs = make_blobs(scratch)
        results = {name: measure(name, start, blobs, scratch)
                   for name, start in (("lay", start_lay), ("docker-registry", start_docker_registry))}
        print(json.dumps(results, indent=2))
        ours, theirs = results["lay"], results["docker-registry"]
        for work in ("GET", "PUT"):
            print(f"{work}: {ours[work]['GB/s'] / theirs[work]['GB/s']:.2f} times the throughput, "
                  f"{ours[work]['CPU s/GB'] / theirs[work]['CPU s/GB']:.2f} of the processor time")
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
