"""A store that is copied and tried again and again, and lay on it as on a machine that is switched off after each
command: its mounts and whatever it left running go with its namespaces."""
import hashlib
import json
import os
import subprocess

kLay = os.environ["LAY"]
kEnter = """
mount -t tmpfs lay "$1"
[[ -z $2 ]] || mount --bind "$2" /proc/sys/kernel/random/boot_id
shift 2
"$@"
exit $?"""  # no exec: lay is not the first process of its namespace


class Wrong(Exception):
    pass


class Store:
    """One folder; env is what lay gets beside LAY_ROOT and LAY_RUN. What belongs to it begins with `name`."""

    def __init__(self, folder, env, name=None):
        self.folder = os.path.abspath(folder)
        self.name = name or self.folder
        self.run = self.beside(".run")
        self.env = {**os.environ, **env, "LAY_ROOT": self.folder, "LAY_RUN": self.run}
        self.next_boot = False
        os.makedirs(self.run, exist_ok=True)

    def copy_to(self, folder):
        if os.path.exists(self.folder):
            subprocess.run(["cp", "-a", self.folder, folder], check=True)
        return Store(folder, self.env)

    def remove(self):
        subprocess.run(["rm", "-rf", "--one-file-system", self.folder, *map(self.beside, kBeside)], check=True)

    def beside(self, suffix):
        return self.name + suffix

    def lay(self, *words, tracer=(), env=None):
        """Runs it under `tracer`; OUT in a word is the path of a file beside the store."""
        words = [word.replace("OUT", self.beside(".out")) for word in words]
        command = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
                   "bash", "-ec", kEnter, "enter", self.run, self.other_boot() if self.next_boot else "",
                   *tracer, kLay, *words]
        return subprocess.run(command, env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)

    def must(self, *words, env=None):
        done = self.lay(*words, env=env)
        if done.returncode != 0:
            raise Wrong(f"'{' '.join(words)}' exits with {done.returncode}: {text_of(done.stderr)}")
        return done.stdout

    def other_boot(self):
        """A file that holds the boot id of a boot no layer knows."""
        path = self.beside(".boot")
        if not os.path.exists(path):
            write(path, other_boot_id())
        return path

    def names(self):
        """Digest of the manifest by name."""
        if not os.path.exists(f"{self.folder}/index.json"):
            return {}
        return {entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"]
                for entry in read_json(f"{self.folder}/index.json")["manifests"]}

    def blob(self, digest):
        return f"{self.folder}/blobs/{digest.replace(':', '/')}"

    def layer(self, diff_id):
        return f"{self.folder}/layers/{diff_id.split(':')[1]}"

    def image(self, name):
        """Digests of its blobs and its diff_ids, lowest first."""
        manifest = read_json(self.blob(self.names()[name]))
        config = read_json(self.blob(manifest["config"]["digest"]))
        return [layer["digest"] for layer in manifest["layers"]], config["rootfs"]["diff_ids"]

    def tree(self, name):
        """What stands for each byte of the image's or container's files; None when lay refuses to show them."""
        done = self.lay("export", name)
        return hashlib.sha256(done.stdout).hexdigest() if done.returncode == 0 else None

    def debris(self):
        """What commands that have ended left in ingest/."""
        return [name for name in os.listdir(f"{self.folder}/ingest") if not name.startswith(".")]


kBeside = (".run", ".out", ".boot", ".trace")


def other_boot_id():
    with open("/proc/sys/kernel/random/uuid", encoding="ascii") as file:
        return file.read()


def text_of(output):
    return output.decode(errors="replace").strip()


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def file_hash(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
