#!/usr/bin/env python3
"""Reads from the trace of a command whether it does things in the order that outlives a power cut at any moment, and
whether it takes a failed sync for final.

    sync_order.py order SCENARIO LEAST MOST   between LEAST and MOST syncs, in the right order
    sync_order.py failing SCENARIO            each sync fails with EIO once

LAY is the program; the current folder is scratch space; pulls come from the registry at REGISTRY."""
import os
import sys

from crash_scenarios import kScenarios, make_inputs, make_source, make_store
from crash_world import Wrong, text_of
from durable import Disk, kTraced, reachable, read_trace

kSyncs = ("fsync", "fdatasync", "syncfs")


class Order:
    """The rules, each asked when a call begins: by then it may be on disk, with what is synced and no more."""

    def __init__(self, disk, root, is_mending):
        self.disk = disk
        self.root = root
        self.is_mending = is_mending
        self.blobs, self.layers = reachable(root)
        self.wrongs = []

    def expect(self, condition, text):
        if not condition and text not in self.wrongs:
            self.wrongs.append(text)

    def inside(self, path):
        return os.path.relpath(path, self.root)

    def begins(self, call, is_last_index):
        if call.name.startswith(("rename", "link")) and len(call.paths()) > 1:
            self.publishes(*call.paths()[:2], is_last_index)
        if call.name.startswith("rename"):
            self.removes(call.paths()[0])
        if call.name.startswith("unlink"):
            self.removes(call.paths()[-1])
        if call.name == "openat" and "O_CREAT" in call.arguments and call.paths()[0].endswith("/synced"):
            self.vouches(os.path.dirname(call.paths()[0]))
        if call.name == "write" and call.arguments.startswith("1<"):
            self.tells()

    def publishes(self, old, new, is_last_index):
        folder = self.inside(new).split("/")[0]
        if folder in ("blobs", "index.json", "oci-layout"):
            is_synced = self.disk.resolve(old) not in self.disk.unsynced
            self.expect(is_synced, f"{self.inside(new)} gets its name before its bytes are synced")
        if folder == "index.json" and is_last_index:
            for blob in self.blobs:
                why = self.disk.not_durable(blob)
                self.expect(why is None, f"index.json names {self.inside(blob)} too early: {why}")
        if folder == "layers":
            self.publishes_layer(old)

    def publishes_layer(self, folder):
        """A mounted one carries the boot it was written in; an unpacked one has nothing that could tell."""
        if f"{folder}/tree" in self.disk.known:
            unsynced = self.unsynced_below(folder)
            self.expect(not unsynced, f"a tree is published, and these are not synced: {unsynced}")
        elif f"{folder}/layer.erofs" in self.disk.known:
            has_boot = {f"{folder}/boot", f"{folder}/synced"} & self.disk.known
            self.expect(has_boot, "a layer is published without its boot")

    def vouches(self, folder):
        unsynced = self.unsynced_below(folder)
        self.expect(not unsynced, f"a layer is called synced, and these are not: {unsynced}")

    def unsynced_below(self, folder):
        return [path for path in self.disk.unsynced | self.disk.unsynced_names if path.startswith(folder + "/")]

    def removes(self, path):
        if path not in self.disk.known or self.inside(path).split("/")[0] not in ("blobs", "layers"):
            return
        if self.inside(path).count("/") != (2 if self.inside(path).startswith("blobs") else 1):
            return
        self.expect(f"{self.root}/index.json" not in self.disk.unsynced_names,
                    f"{self.inside(path)} goes before it is on disk that no name needs it")
        self.expect(self.is_mending or path not in self.blobs, f"{self.inside(path)} goes, and a name needs it")

    def tells(self):
        """What was said has to be so."""
        for path in self.blobs | {f"{self.root}/index.json"}:
            why = self.disk.not_durable(path)
            self.expect(why is None, f"it tells of success before {self.inside(path)} is on disk: {why}")


def run(store, scenario, extra=()):
    tracer = ["strace", "-D", "-f", "-y", "-qq", "-s", "0", "-o", store.beside(".trace"), "-e", f"trace={kTraced}"]
    return store.lay(*scenario.command, tracer=[*tracer, *extra])


def check_order(store, scenario, least, most):
    disk = Disk(store.folder)
    done = run(store, scenario)
    if done.returncode != 0:
        raise Wrong(text_of(done.stderr))
    calls = read_trace(store.beside(".trace"))
    order = Order(disk, store.folder, scenario.command[0] in ("fsck", "export"))
    of_index = [begin for begin, _, call in calls
                if call.name.startswith("rename") and call.paths()[1] == f"{store.folder}/index.json"]
    events = [(begin, 0, call) for begin, _, call in calls] + [(end, 1, call) for _, end, call in calls]
    for line, has_ended, call in sorted(events, key=lambda event: event[:2]):
        if has_ended:
            disk.take(call)
        else:
            order.begins(call, of_index and line == of_index[-1])
    order.tells()
    if scenario.adds and not of_index:
        raise Wrong("the trace does not show how index.json got its name")
    syncs = sum(call.name in kSyncs for _, _, call in calls)
    order.expect(least <= syncs <= most, f"{syncs} syncs, expected {least} to {most}")
    return order.wrongs


def check_failed(store, done, calls):
    """The file whose sync failed is neither synced again nor published, and nothing of it stays."""
    failed = {}
    for begin, end, call in calls:
        if call.injected():
            failed.setdefault(call.fd_paths()[0], end)
    if not failed:
        return
    if done.returncode == 0 or "Input/output error" not in text_of(done.stderr):
        raise Wrong(f"exit {done.returncode}: {text_of(done.stderr)}")
    for begin, _, call in calls:
        for path, since in failed.items():
            if begin <= since:
                continue
            is_folder = os.path.isdir(path)  # others have names in it
            if call.name in kSyncs and call.fd_paths()[0] == path and not is_folder:
                raise Wrong(f"{path} is synced again")
            if call.name.startswith(("rename", "link")) and path in call.paths()[:1]:
                raise Wrong(f"{path} is published")
    if store.debris():
        raise Wrong(f"left behind: {store.debris()}")


def check_failing(template, scenario):
    wrongs = []
    copy = template.copy_to("counted")
    run(copy, scenario)
    counts = {name: sum(call.name == name for _, _, call in read_trace(copy.beside(".trace"))) for name in kSyncs}
    for name, step in ((name, step) for name, count in counts.items() for step in range(1, count + 1)):
        store = template.copy_to(f"{name}-{step}")
        done = run(store, scenario, ["-e", f"inject={name}:error=EIO:when={step}"])
        try:
            check_failed(store, done, read_trace(store.beside(".trace")))
        except Wrong as wrong:
            wrongs.append(f"{name} {step}: {wrong}")
        store.remove()
    return wrongs if any(counts.values()) else ["nothing is synced"]


def main(mode, name, least=0, most=0):
    scenario = kScenarios[name]
    make_inputs()
    make_source()
    template = make_store(scenario)
    for spoil in scenario.spoil:
        spoil(template)
    if mode == "order":
        wrongs = check_order(template, scenario, int(least), int(most))
    else:
        wrongs = check_failing(template, scenario)
    print("\n".join([f"{name}:", *wrongs[:20]]))
    return 1 if wrongs else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
