"""Turns samples into a table for people and a file for programs."""
import datetime
import json
import subprocess

import targets

kVersions = {"lay": ["build/release/lay", "--version"], "podman": ["podman", "--version"],
             "buildah": ["buildah", "--version"], "skopeo": ["skopeo", "--version"], "umoci": ["umoci", "--version"],
             "docker": ["/usr/sbin/dockerd", "--version"], "runc": ["runc", "--version"],
             "docker-registry": ["docker-registry", "--version"], "crun": ["crun", "--version"], "bwrap": ["bwrap", "--version"]}


def duration(seconds):
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def memory(kib):
    return f"{kib / 1024:.0f} MiB" if kib >= 10 * 1024 else f"{kib / 1024:.1f} MiB"


def parts(works):
    """(title, contender, samples) of everything measured; undoing a work is a work of its own."""
    for work in works:
        for contender in work.contenders:
            yield work.title, contender, contender.samples
        for contender in work.contenders:
            if contender.undo:
                yield work.undo_title, contender, contender.undo_samples


def reference_medians(works):
    """The median of the first form of lay at each work, which the ratios refer to."""
    medians = {}
    for title, contender, samples in parts(works):
        if contender.tool == "lay" and samples.seconds:
            medians.setdefault(title, samples.median())
    return medians


def row(title, contender, samples, reference):
    if not samples.seconds:
        return [title, contender.label, "not measured", "", "", ""]
    spread = f"{duration(min(samples.seconds))} - {duration(max(samples.seconds))}"
    ratio = f"{samples.median() / reference:.2f}" if reference else "-"
    return [title, contender.label, duration(samples.median()), spread, ratio, memory(samples.peak_kib)]


def table(heading, works):
    """Markdown, so that it can stand in the README as it is."""
    references = reference_medians(works)
    rows = [["work", "tool", "median", "range", "to lay", "peak memory"], ["---"] * 6]
    rows += [row(title, contender, samples, references.get(title)) for title, contender, samples in parts(works)]
    widths = [max(len(line[column]) for line in rows) for column in range(6)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in rows]
    everyone = [contender for work in works for contender in work.contenders]
    notes = sorted({f"{one.label}: {one.note}" for one in everyone if one.note} |
                   {f"{one.label}: not measured: {one.failure}" for one in everyone if one.failure})
    return "\n".join([heading, "", *lines, "",
                      "Median of interleaved rounds after one unmeasured warm-up; `to lay` is the median divided by that"
                      " of lay's first line; memory is the largest single process.", "", *[f"- {note}" for note in notes]])


def judgement(works):
    taken = [(title, contender.label, samples) for title, contender, samples in parts(works) if samples.seconds]
    medians = {(title, label): samples.median() for title, label, samples in taken}
    peaks = {(title, label): samples.peak_kib for title, label, samples in taken}
    processor = {(work.title, one.label): one.processor for work in works for one in work.contenders if one.processor}
    return "\n".join(["", "Targets:", *targets.judge(medians, peaks, processor)])


def version(command):
    try:
        return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


def write_json(path, heading, works):
    references = reference_medians(works)
    results = []
    for title, contender, samples in parts(works):
        entry = {"work": title, "tool": contender.tool, "label": contender.label, "command": contender.command,
                 "seconds": samples.seconds, "peak_kib": samples.peak_kib, "failure": contender.failure}
        if samples.seconds:
            entry["median"] = samples.median()
            if title in references:
                entry["to_lay"] = samples.median() / references[title]
        results.append(entry)
    document = {"machine": heading, "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                "versions": {tool: version(command) for tool, command in kVersions.items()}, "results": results}
    with open(path, "w") as out:
        json.dump(document, out, indent=2)
        out.write("\n")
