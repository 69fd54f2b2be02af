"""What is interrupted: commands, the store each begins with, and what it adds, removes or writes."""
import dataclasses
import glob
import io
import json
import os
import shutil
import stat
import tarfile

from crash_world import Store, other_boot_id, write

kPulled = f"{os.environ.get('REGISTRY')}/new:1"
kEarlier = ["base:1", "old:1"]
kTree = {"LAY_LAYER_FORM": "tree"}


@dataclasses.dataclass
class Scenario:
    command: list
    adds: str = None
    removes: str = None
    removes_container: bool = False
    writes: bool = False  # to OUT
    env: dict = dataclasses.field(default_factory=dict)
    before: list = dataclasses.field(default_factory=list)  # functions that get the store ready
    spoil: list = dataclasses.field(default_factory=list)  # functions that then damage it
    damaged: list = dataclasses.field(default_factory=list)  # what needs the damaged parts until they are mended
    earlier: list = dataclasses.field(default_factory=lambda: list(kEarlier))  # images and containers
    empty: bool = False


def make_inputs():
    os.makedirs("upper/folder", exist_ok=True)
    with open("upper/folder/large", "wb") as file:
        file.write(bytes(range(256)) * 2000)
    write("upper/small", "x\n")
    os.mknod("upper/gone", 0o600 | stat.S_IFCHR, os.makedev(0, 0))
    for name in ("base", "other"):
        with tarfile.open(f"{name}.tar", "w") as tar:
            for path, text in {"etc/file": name, "data": name * 50000}.items():
                info = tarfile.TarInfo(path)
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))


def make_source():
    """Where a load or a pull comes from: an image of a layer that is new and one that old:1 has."""
    source = Store("source", {})
    source.must("import", "other.tar", "other:1")
    source.must("commit", "./upper", "new:1", "--base", "other:1")
    if "REGISTRY" in os.environ:
        source.must("push", "new:1", kPulled)
    for form in ("docker-archive", "oci-archive"):
        source.must("save", "-q", "--format", form, "-o", form, "new:1")


def make_store(scenario, folder="template"):
    store = Store(folder, scenario.env)
    if scenario.empty:
        return store
    store.must("import", "base.tar", "base:1")
    store.must("commit", "./upper", "old:1", "--base", "base:1", "--message", "old")
    for prepare in scenario.before:
        prepare(store)
    return store


def drop_name(store, name):
    """The image stays, and nothing needs it."""
    index = f"{store.folder}/index.json"
    with open(index, encoding="utf-8") as file:
        document = json.load(file)
    document["manifests"] = [entry for entry in document["manifests"]
                             if entry["annotations"]["org.opencontainers.image.ref.name"] != name]
    write(index, json.dumps(document))


def add_garbage(store):
    store.must("import", "other.tar", "garbage:1")
    drop_name(store, "garbage:1")


def add_container(store):
    """That has ended, has changed something, and whose image has no name any more."""
    os.makedirs("box/bin", exist_ok=True)
    shutil.copy("/bin/busybox", "box/bin/sh")
    store.must("import", "./box", "box:1")
    store.must("run", "--network", "none", "--name", "c", "box:1", "/bin/sh", "-c", "echo changed >/changed")
    store.must("rmi", "-f", "box:1")


def done_before(name):
    """All that the command of that scenario brings is there already, as a killed one leaves it: without a name."""
    def prepare(store):
        store.must(*kScenarios[name].command)
        drop_name(store, kScenarios[name].adds)
    return prepare


def pull_it(store):
    store.must("pull", kPulled)


def know_layers(store):
    """Those of the image in the registry are here, made of other blobs."""
    store.must("import", "other.tar", "known:1", "--compression", "gzip")
    store.must("commit", "./upper", "known:2", "--base", "known:1", "--compression", "gzip")


def forget_known(store):
    store.must("rmi", "known:1", "known:2")


def unpack(store):
    store.must("export", "old:1", env=kTree)


def change_byte(path):
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 0x55]))


def reboot(store):
    """The layers are of another boot, and were not synced."""
    for path in glob.glob(f"{store.folder}/layers/*/boot"):
        write(path, other_boot_id())
    for path in glob.glob(f"{store.folder}/layers/*/synced"):
        os.unlink(path)


def wish_for_trees(store):
    store.env.update(kTree)


def each(name, spoil):
    return lambda store: [spoil(path) for path in glob.glob(f"{store.folder}/layers/*/{name}")]


def tear(path):
    os.truncate(path, 100)


def spoil_blob(name="old:1", layer=-1):
    return lambda store: change_byte(store.blob(store.image(name)[0][layer]))


def spoil_layer(part, spoil=change_byte):
    return lambda store: spoil(f"{store.layer(store.image('old:1')[1][-1])}/{part}")


def lose_layer(name, layer):
    return lambda store: shutil.rmtree(store.layer(store.image(name)[1][layer]))


kCommit = ["commit", "./upper", "new:1", "--base", "base:1"]
kExport = ["export", "old:1", "-o", "OUT"]
kRepair = ["fsck", "-q", "--repair"]
kScenarios = {
    "commit": Scenario(kCommit, adds="new:1"),
    "commit-first": Scenario(["commit", "./upper", "new:1"], adds="new:1", empty=True, earlier=[]),
    "commit-none": Scenario([*kCommit, "--compression", "none"], adds="new:1"),
    "commit-gzip": Scenario([*kCommit, "--compression", "gzip"], adds="new:1"),
    "commit-container": Scenario(["commit", "c", "new:1"], adds="new:1", before=[add_container],
                                 earlier=[*kEarlier, "c"]),
    "import": Scenario(["import", "other.tar", "new:1"], adds="new:1"),
    "import-tree": Scenario(["import", "other.tar", "new:1"], adds="new:1", env=kTree),
    "load": Scenario(["load", "-q", "-i", "docker-archive"], adds="new:1"),
    "load-oci": Scenario(["load", "-q", "-i", "oci-archive"], adds="new:1"),
    "pull": Scenario(["pull", kPulled], adds=kPulled),
    "pull-tree": Scenario(["pull", kPulled], adds=kPulled, env=kTree),
    "pull-known": Scenario(["pull", kPulled], adds=kPulled, before=[know_layers],
                           earlier=[*kEarlier, "known:1", "known:2"]),
    "commit-again": Scenario(kCommit, adds="new:1", before=[done_before("commit")]),
    "import-again": Scenario(["import", "other.tar", "new:1"], adds="new:1", before=[done_before("import")]),
    "load-again": Scenario(["load", "-q", "-i", "docker-archive"], adds="new:1", before=[done_before("load")]),
    "load-oci-again": Scenario(["load", "-q", "-i", "oci-archive"], adds="new:1", before=[done_before("load-oci")]),
    "pull-again": Scenario(["pull", kPulled], adds=kPulled, before=[done_before("pull")]),
    "tag": Scenario(["tag", "base:1", "new:1"], adds="new:1"),
    "rmi": Scenario(["rmi", "old:1"], removes="old:1"),
    "prune": Scenario(["prune", "-f", "--images"], before=[add_garbage]),
    "prune-around": Scenario(["prune", "-f", "--images"], before=[add_container, add_garbage],
                             earlier=[*kEarlier, "c"]),
    "prune-container": Scenario(["prune", "-f"], before=[add_container], removes_container=True,
                                earlier=[*kEarlier, "c"]),
    "rm": Scenario(["rm", "c"], before=[add_container], removes_container=True, earlier=[*kEarlier, "c"]),
    "save": Scenario(["save", "-q", "-o", "OUT", "old:1"], writes=True),
    "export": Scenario(kExport, writes=True),
    "recover": Scenario(kExport, writes=True, spoil=[reboot]),
    "recover-torn": Scenario(kExport, writes=True, spoil=[reboot, each("layer.erofs", tear)]),
    "recover-lost": Scenario(kExport, writes=True, spoil=[reboot, each("layer.erofs", os.unlink)]),
    "recover-tar": Scenario(kExport, writes=True, spoil=[reboot, each("layer.tar", tear)]),
    "recover-tree": Scenario(kExport, writes=True, env=kTree),
    "recover-tar-tree": Scenario(kExport, writes=True, spoil=[reboot, each("layer.tar", tear), wish_for_trees]),
    "repair-blob": Scenario(kRepair, spoil=[spoil_blob()], damaged=["old:1"]),
    "repair-tar": Scenario(kRepair, spoil=[spoil_layer("layer.tar")], damaged=["old:1"]),
    "repair-erofs": Scenario(kRepair, spoil=[spoil_layer("layer.erofs")], damaged=["old:1"]),
    "repair-torn": Scenario(kRepair, spoil=[spoil_layer("layer.erofs", spoil=tear)], damaged=["old:1"]),
    "repair-tree": Scenario(kRepair, env=kTree, before=[unpack], spoil=[spoil_layer("tree/folder/large")],
                            damaged=["old:1"]),
    "repair-fetched": Scenario(kRepair, before=[pull_it], spoil=[lose_layer(kPulled, 0), spoil_blob(kPulled, 0)],
                               damaged=[kPulled], earlier=[*kEarlier, kPulled]),
    "repair-absent": Scenario(kRepair, before=[know_layers, pull_it, forget_known], spoil=[lose_layer(kPulled, 0)],
                              damaged=[kPulled], earlier=[*kEarlier, kPulled]),
}
