"""`ci/bench/run`: what is asked for is measured, told, and written to a folder."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from . import costs, report
from .lanes import UNSET, Lane
from .load import busy, quota
from .measure import Times, close, interleave, open_lanes, same_loss
from .mnist import folder as mnist_folder
from .peers import PEERS, installed
from .workloads import DROP, DROPPED, MNIST, WORKLOADS, sweeps

PARTS = ("step", "inference", "epoch", "sweeps", "memory", "imports", "sizes")
SWEPT = ("arraynn", "torch", "jax", "products")
RUNNERS = ("arraynn", "arraynn-fast", "torch", "jax", "sklearn", "thinc", "book")  # of an epoch: through their data


def main() -> int:
    arguments = parse()
    for name in UNSET:
        os.environ.pop(name, None)
    bench = Bench(arguments)
    for part in arguments.only:
        getattr(bench, part)()
        bench.write()  # after each part: a run that is stopped keeps what it has
    bench.say(f"\nwritten to {arguments.out}")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ci/bench/run", description=__doc__, allow_abbrev=False)
    parser.add_argument("--out", default="runs/bench", metavar="DIR", help="results.json, results.md, results.png")
    parser.add_argument("--only", type=_names(PARTS), default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--workloads", type=_names(WORKLOADS), default=list(WORKLOADS), help=", ".join(WORKLOADS))
    parser.add_argument("--peers", type=_names(PEERS), default=list(PEERS), help=", ".join(PEERS))
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="times that each peer's turn comes")
    parser.add_argument("--seconds", type=float, default=0.2, metavar="S", help="that a turn takes, about")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="for everybody")
    parser.add_argument("--busy", type=_counts, default=[0], metavar="N,…", help="processes that compute beside steps")
    parser.add_argument("--quota", type=float, metavar="CPUS", help="steps also within this share of the machine")
    parser.add_argument(
        "--clock", choices=("wall", "processor"), default="wall", help="processor: of all threads, on a busy machine"
    )
    parser.add_argument("--quick", action="store_true", help="spiral and drop, steps only, a few short turns")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.only, arguments.workloads = ["step"], [w for w in arguments.workloads if w in ("spiral", "drop")]
        arguments.rounds, arguments.seconds = 5, 0.1
    if min(arguments.rounds, arguments.threads) < 1 or arguments.seconds <= 0:
        parser.error("--rounds, --threads and --seconds must be positive")
    if arguments.quota is not None and not arguments.quota > 0:
        parser.error("--quota must be positive")
    arguments.out = Path(os.environ.get("BENCH_HERE", "."), arguments.out)
    return arguments


def _names(known: Any) -> Any:
    def names(text: str) -> list[str]:
        given = text.split(",")
        if unknown := [name for name in given if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return given

    return names


def _counts(text: str) -> list[int]:
    if not all(part.isdigit() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers, such as 0,1,2")
    return [int(part) for part in text.split(",")]


class Bench:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments, self.threads = arguments, arguments.threads
        self.peers = [peer for peer in arguments.peers if installed(peer)]
        self.texts: list[str] = []
        self.bars: dict[str, dict[str, Times]] = {}
        self.results: dict[str, Any] = {"machine": report.machine(self.threads), "clock": arguments.clock}
        if missing := sorted({*arguments.peers} - {*self.peers}):
            self.say(f"not installed, and left out: {', '.join(missing)}")

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def tell(self, text: str) -> None:
        self.texts.append(text)
        print(f"\n{text}", flush=True)

    def take(
        self, peers: list[str], work: Any, threads: int, what: tuple[str, ...], others: int = 0, held: Any = None
    ) -> dict[str, dict[str, Times]]:
        """The times of `what` on a workload, after its losses have been compared.

        others : busy processes beside them. held : a quota around the lanes.
        """
        a, lanes = self.arguments, open_lanes(peers, work, threads, self.say, held)
        try:
            losses = same_loss(lanes, work, self.say)
            with busy(others):
                found = {one: interleave(lanes, one, a.rounds, a.seconds) for one in what}
        finally:
            close(lanes)
        self.results.setdefault("losses", {})[work.name] = losses
        return {one: {peer: times.by(a.clock) for peer, times in own.items()} for one, own in found.items()}

    def step(self) -> None:
        """Steps and inference of the workloads, and what dropout costs."""
        a = self.arguments
        what = ("step", "inference") if "inference" in a.only else ("step",)
        own = self.results["workloads"] = {}
        for name in a.workloads:
            self.loaded(name)
            if 0 not in a.busy:
                continue
            found = self.take(self.peers, WORKLOADS[name], self.threads, what)
            own[name] = {one: {p: t.json() for p, t in times.items()} for one, times in found.items()}
            for one, times in found.items():
                self.tell(report.times(times, f"{name}: {one}"))
            self.bars[name] = found["step"]
        if {DROP.name, DROPPED.name} <= {*self.bars}:
            pairs = {p: t.median / self.bars[DROP.name][p].median for p, t in self.bars[DROPPED.name].items()}
            rows = [["dropout", "step / step without"], *([p, f"{r:.2f}"] for p, r in pairs.items() if p != "products")]
            self.tell(report.table(rows))

    def loaded(self, name: str) -> None:
        """Steps of a workload beside busy processes, and within a quota."""
        a, own = self.arguments, self.results.setdefault("loaded", {}).setdefault(name, {})
        work = WORKLOADS[name]
        for others in [n for n in a.busy if n]:
            title = f"{name}: step beside {others} busy process{'es' if others > 1 else ''}"
            found = self.take(self.peers, work, self.threads, ("step",), others)["step"]
            own[f"busy {others}"] = {p: t.json() for p, t in found.items()}
            self.tell(report.times(found, title))
        if a.quota is not None:
            with quota(a.quota) as held:
                found = self.take(self.peers, work, self.threads, ("step",), 0, held)["step"]
            own[f"quota {a.quota:g}"] = {p: t.json() for p, t in found.items()}
            self.tell(report.times(found, f"{name}: step within {a.quota:g} CPU by {held.kind}"))

    def inference(self) -> None:
        if "step" not in self.arguments.only:
            self.step()

    def epoch(self) -> None:
        """An epoch of MNIST from the same weights, and the accuracy it brings."""
        if mnist_folder() is None:
            self.say("no epoch of MNIST: ARRAYNN_DATA names no folder that has it")
            return
        lanes: dict[str, Lane] = open_lanes([p for p in self.peers if p in RUNNERS], MNIST, self.threads, self.say)
        found: dict[str, list[tuple[float, float]]] = {peer: [] for peer in lanes}
        for i in range(4):
            for peer, lane in lanes.items():
                taken = lane.ask("epoch", i)
                if i:  # the first one reads the files, and compiles
                    found[peer].append(taken)
        close(lanes)
        rows = [["epoch of MNIST", "s", "test accuracy"]]
        for peer, taken in sorted(found.items(), key=lambda item: min(item[1])):
            seconds, accuracies = zip(*taken, strict=True)
            rows.append([peer, f"{statistics.median(seconds):.2f}", f"{min(accuracies):.4f} to {max(accuracies):.4f}"])
        self.results["epoch"] = found
        self.tell(report.table(rows))

    def sweeps(self) -> None:
        """Time against batch size, width, depth and cores."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        peers = [p for p in self.peers if p in SWEPT]
        points = {
            what: [(value, work, self.take(peers, work, n, ("step",))["step"]) for value, work, n in own]
            for what, own in sweeps(min(self.threads, cores)).items()
        }
        self.results["sweeps"] = {
            what: [{"value": v, "products": w.products} | {p: t.json() for p, t in ts.items()} for v, w, ts in own]
            for what, own in points.items()
        }
        self.tell(report.growth(points))

    def memory(self) -> None:
        """Peak memory of each workload, a process for each number; and of a fit from memory-mapped files."""
        found = {n: costs.memory(self.peers, WORKLOADS[n], self.threads) for n in self.arguments.workloads}
        peers = [peer for peer in self.peers if any(peer in own for own in found.values())]
        cell = "{0[0]:.0f} (+{1:.0f})"
        rows = [["peak MB (beyond imports and data)", *peers]]
        for name, own in found.items():
            rows.append([name, *(cell.format(own[p], own[p][0] - own[p][1]) if p in own else "" for p in peers)])
        self.tell(report.table(rows))
        mapped = costs.mapped(self.say)
        if mapped:
            head = ["a fit from memory-mapped files", "peak MB of its own"]
            self.tell(report.table([head, *([f"{int(n):,} rows", f"{mb:.0f}"] for n, mb in mapped.items())]))
        self.results["memory"] = {"workloads": found, "mapped": mapped}

    def imports(self) -> None:
        """How long an import takes."""
        found = costs.import_times(min(5, self.arguments.rounds))
        self.results["imports"] = {name: times.json() for name, times in found.items()}
        rows = [["import", "ms"], *([name, f"{times.median:.0f}"] for name, times in found.items())]
        self.tell(report.table(rows))

    def sizes(self) -> None:
        """What an installation takes on the disk."""
        found = self.results["sizes"] = costs.sizes()
        self.tell(report.table([["installed, with all it needs", "MB"], *([n, f"{s:,.0f}"] for n, s in found.items())]))

    def write(self) -> None:
        out = self.arguments.out
        out.mkdir(parents=True, exist_ok=True)
        (out / "results.json").write_text(json.dumps(self.results, indent=1) + "\n", encoding="utf-8")
        (out / "results.md").write_text("\n\n".join(self.texts) + "\n", encoding="utf-8")
        if self.bars:
            try:
                report.picture(self.bars, out / "results.png")
            except ImportError as error:
                self.say(f"no picture: {error}")


if __name__ == "__main__":
    sys.exit(main())
