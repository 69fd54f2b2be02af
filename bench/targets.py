"""What lay is to reach beside its peers, and whether it did."""
from dataclasses import dataclass


@dataclass
class Target:
    """The peer's median divided by lay's is at least `ratio`."""
    work: str
    lay: str
    peer: str
    ratio: float

    def wanted(self):
        if self.ratio < 1:
            return f"at most {1 / self.ratio:.2g} times {self.peer}"
        return f"at least {self.ratio:g} times faster than {self.peer}"


kTargets = [
    Target("commit an upper of 900 MB", "lay (zstd)", "buildah", 10),
    Target("commit an upper of 900 MB", "lay (gzip)", "buildah", 10),
    Target("commit an upper of 900 MB", "lay (none)", "tar -c", 1 / 1.3),
    Target("commit an upper of 900 MB", "lay (none)", "lay (none, one processor)", 1.2),  # reading beside hashing
    Target("make 900 MB of gzip blob a layer", "lay run", "igzip, openssl sha256", 1 / 1.3),
    Target("remove the pulled image", "lay", "podman", 20),
    Target("pull 1.1 GB, gzip", "lay", "podman", 8),
    Target("push 1.1 GB, nothing new", "lay", "podman", 20),
    Target("run `true`, no network", "lay", "podman (runc)", 15),
    Target("run `true`, no network", "lay", "runc (bundle)", 3),
    Target("start 100 detached containers in a row", "lay", "podman (runc)", 20),
    Target("serve: 64 clients pull 256 MiB each", "lay (serve-get)", "docker-registry (serve-get)", 2),
    Target("serve: 4 clients push 256 MiB each", "lay (serve-put)", "docker-registry (serve-put)", 1.5),
]

@dataclass
class ProcessorTarget:
    """The peer's processor seconds for each GB are at least `ratio` times lay's."""
    work: str
    lay: str
    peer: str
    ratio: float


kProcessorTargets = [ProcessorTarget("serve: 64 clients pull 256 MiB each", "lay (serve-get)",
                                     "docker-registry (serve-get)", 3)]

kFiles = "commit many small files"


@dataclass
class MemoryTarget:
    """The peak of lay's largest process is below `megabytes`."""
    work: str
    lay: str
    megabytes: int


@dataclass
class LinearTarget:
    """The time for each file is, with many, at most `ratio` times that with few."""
    work: str
    label: str  # with the number of files in place of {}
    few: int
    many: int
    ratio: float


kMemoryTargets = [MemoryTarget(kFiles, f"lay (zstd), {count:,} files", 64) for count in (100_000, 400_000)]
kLinearTargets = [LinearTarget(kFiles, "lay (zstd), {:,} files", 100_000, 400_000, 1.3)]


def verdict(is_met):
    return "met" if is_met else "NOT met"


def judge(medians, peaks, processor):
    """Lines about the targets of what was measured; seconds, KiB and processor seconds for each GB are by work and label."""
    for target in kTargets:
        lay, peer = medians.get((target.work, target.lay)), medians.get((target.work, target.peer))
        if lay and peer:
            yield (f"- {target.work}, {target.lay}: {target.wanted()}: {verdict(peer / lay >= target.ratio)} "
                   f"({peer / lay:.2f})")
    for target in kProcessorTargets:
        lay, peer = processor.get((target.work, target.lay)), processor.get((target.work, target.peer))
        if lay and peer:
            yield (f"- {target.work}, {target.lay}: at most 1/{target.ratio:g} of the processor time of {target.peer}: "
                   f"{verdict(peer / lay >= target.ratio)} (1/{peer / lay:.2f})")
    for target in kMemoryTargets:
        peak = peaks.get((target.work, target.lay))
        if peak:
            megabytes = peak * 1024 / 1e6
            yield (f"- {target.work}, {target.lay}: memory below {target.megabytes} MB: "
                   f"{verdict(megabytes < target.megabytes)} ({megabytes:.1f})")
    for target in kLinearTargets:
        few, many = (medians.get((target.work, target.label.format(count))) for count in (target.few, target.many))
        if few and many:
            ratio = (many / target.many) / (few / target.few)
            yield (f"- {target.work}, {target.label.format(target.many)}: time for each file at most {target.ratio:g} "
                   f"times that of {target.few:,}: {verdict(ratio <= target.ratio)} ({ratio:.2f})")
