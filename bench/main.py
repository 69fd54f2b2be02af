"""Measures lay beside its peers. Called by run.sh, in namespaces of the bench's own."""
import argparse
import os
import subprocess
import sys

import measure
import report
import works
from sandbox import Sandbox

kLongRounds, kShortRounds = 3, 20
kQuickRounds = {True: 5, False: 1}  # by whether the work is a short one


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/run.sh")
    for name in ("scratch", "cgroup", "base", "upper", "image"):
        parser.add_argument(f"--{name}", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--rounds", type=int, help="rounds of each work")
    parser.add_argument("--peers-only", action="store_true", help="without lay")
    parser.add_argument("work", nargs="*", help=" ".join(works.kWorks))
    return parser.parse_args()


def choose_works(names):
    """The works whose name is, or begins with, one of `names`; `rmi` is measured as the undoing of `pull`."""
    wanted = ["pull" if name == "rmi" else name for name in names]
    for name in wanted:
        if not any(work == name or work.startswith(f"{name}-") for work in works.kWorks):
            sys.exit(f"bench: unknown work '{name}', expected one of: {' '.join(works.kWorks)}")
    return [work for work in works.kWorks
            if not wanted or any(work == name or work.startswith(f"{name}-") for name in wanted)]


def rounds_of(work, options):
    if options.rounds:
        return options.rounds
    if options.quick:
        return kQuickRounds[work.short]
    return kShortRounds if work.short else kLongRounds


class Bench:
    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.results = []

    def take(self, command, contender, samples, warm_up):
        """Time is taken in every round but the first, memory in the first, which also warms caches."""
        if warm_up:
            _, samples.peak_kib = measure.run_with_memory(command, self.sandbox.log, contender.env)
        else:
            samples.seconds.append(measure.run(command, self.sandbox.log, contender.env))

    def one_round(self, contender, warm_up):
        contender.before()
        os.sync()  # what the one before left dirty must not be written on the time of the next
        self.take(contender.command, contender, contender.samples, warm_up)
        if contender.undo:
            self.take(contender.undo, contender, contender.undo_samples, warm_up)
        contender.after()

    def measure_work(self, work, rounds):
        print(f"bench: {work.title}: {', '.join(c.label for c in work.contenders)}", file=sys.stderr)
        for number in range(rounds + 1):
            for contender in work.contenders:
                if contender.failure:
                    continue
                try:
                    self.one_round(contender, warm_up=number == 0)
                except (measure.CommandFailed, subprocess.SubprocessError, OSError) as error:
                    contender.failure = str(error)
                    print(f"bench: {work.name}: {contender.label}: {error}", file=sys.stderr)
        self.results.append(work)


def main():
    options = parse_arguments()
    program = None if options.peers_only else os.path.abspath("build/release/lay")
    sandbox = Sandbox(options.scratch, options.cgroup, options.base, options.upper, options.image)
    bench = Bench(sandbox)
    peers = works.Peers(sandbox, program)
    for name in choose_works(options.work):
        work = works.kWorks[name](peers)
        work.contenders = [one for one in work.contenders if program or one.tool != "lay"]
        bench.measure_work(work, rounds_of(work, options))
        work.finish()
    peers.stop()
    heading = measure.machine(sandbox.scratch)
    print(report.table(heading, bench.results))
    print(report.judgement(bench.results))
    report.write_json("build/bench/result.json", heading, bench.results)


if __name__ == "__main__":
    main()
