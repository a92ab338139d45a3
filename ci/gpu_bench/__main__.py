"""`python -m ci.gpu_bench times|launches|parity|trained`: parts of ci/gpu, each of which prints Markdown.

times : a step of each workload of ci/bench, arraynn on CuPy and PyTorch in turn, by the device's events.
launches : kernels, copies and waits of a step, counted by CUDA's profiler. parity : CuPy beside NumPy, layer by layer.
trained FOLDER… : where runs on both ended.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

import arraynn as nn

from ..bench.measure import LATER, STEPS, TOLERANCE, Times
from ..bench.report import table, times
from ..bench.workloads import WORKLOADS, Workload
from . import lanes as on_gpu
from . import launches
from .trained import compared

BLIND = (
    "CUDA's profiler saw no kernel; it may look as root, or where NVreg_RestrictProfilingToAdminUsers=0, "
    "and PyTorch for this CUDA must be installed"
)
MOST = 30  #: kernel launches and library calls of a step of mnist


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ci.gpu_bench", description=__doc__, allow_abbrev=False)
    parser.add_argument("what", choices=("times", "launches", "parity", "trained"))
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--backend", default="cupy")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="times that each lane's turn comes")
    parser.add_argument("--seconds", type=float, default=0.2, metavar="S", help="that a turn takes, about")
    arguments = parser.parse_args(argv)
    if arguments.what == "trained":
        text, fine = compared(arguments.folders)
        print(text)
        return int(not fine)
    try:
        return {"times": tell_times, "launches": tell_launches, "parity": tell_parity}[arguments.what](arguments)
    except nn.BackendUnavailable as error:
        say(str(error))
        return 1


def say(text: str) -> None:
    print(f"{text}\n", flush=True)


def tell_times(arguments: Any) -> int:
    for work in WORKLOADS.values():
        lanes = on_gpu.opened(work, nn.backend(arguments.backend), say)
        problem = differ(losses(lanes))
        if problem:
            say(f"{work.name}: {problem}")
            return 1
        say(times(in_turn(lanes, arguments.rounds, arguments.seconds), f"{work.name}: step"))
    return 0


def losses(lanes: dict[str, Any]) -> dict[str, list[float]]:
    """Of each lane: at the workload's weights, and after a few steps, where no dropout makes them differ."""
    found = {}
    for name, lane in lanes.items():
        lane.reset()
        found[name] = [lane.loss()]
        if not lane.work.dropout:
            with lane.training():
                lane.steps(STEPS)
            found[name].append(lane.loss())
    return found


def differ(found: dict[str, list[float]]) -> str:
    """What is wrong where the lanes do not compute the same; else ""."""
    reference = next(iter(found.values()))
    for name, own in found.items():
        for a, b, most in zip(own, reference, (TOLERANCE, LATER), strict=False):
            if not abs(a - b) <= most * abs(b):
                return f"losses differ by more than {most:g}: {found} ({name})"
    return ""


def in_turn(lanes: dict[str, Any], rounds: int, seconds: float) -> dict[str, Times]:
    """Milliseconds a step of each lane, A B C A B C …; a turn is as many steps as take it about so long."""

    def turn(lane: Any, count: int) -> float:
        with lane.training():
            ms: float = lane.elapsed(lambda: lane.steps(count))
        return ms / count

    counts = {}
    for name, lane in lanes.items():
        lane.reset()
        turn(lane, 3)  # compiles
        counts[name] = max(1, min(10_000, round(1000 * seconds / max(turn(lane, 10), 1e-4))))
    found: dict[str, list[float]] = {name: [] for name in lanes}
    for _ in range(rounds):
        for name, lane in lanes.items():
            found[name].append(turn(lane, counts[name]))
    return {name: Times(values, []) for name, values in found.items()}


def tell_launches(arguments: Any) -> int:
    rows, waiting = [["a step of", "lane", "kernels", "copies", "waits for the GPU"]], False
    for work in WORKLOADS.values():
        for name, lane in on_gpu.opened(work, nn.backend(arguments.backend), say).items():
            asked = launches.of_a_step(lane)
            rows.append([work.name, name, *asked.row])
            if not asked.kernels:
                say(f"{work.name}: {name}: {BLIND}")
                return 1
            if name == "arraynn":
                waiting |= bool(asked.waits)
                say(named(work, asked))
    say(table(rows))
    return int(waiting)


def named(work: Workload, asked: launches.Asked) -> str:
    """The kernels of a step by name, the commonest first."""
    lines = [f"{count:4d}  {name[:100]}" for name, count in (asked.kernels + asked.copies).most_common()]
    over = f", more than {MOST}" if work.name == "mnist" and asked.kernels.total() > MOST else ""
    return "\n".join([f"{work.name}, arraynn: {asked.kernels.total()} kernels{over}", "", "```", *lines, "```"])


def tell_parity(arguments: Any) -> int:
    """Each value of one pass on NumPy and on the GPU. What limits it keeps is tests/test_parity.py's business."""
    rng = np.random.default_rng(0)
    for dtype in ("float32", "float64"):
        for name in ("drop+", "mnist"):
            work = WORKLOADS[name]
            x, labels = work.data()
            report = nn.testing.check_backends(
                on_gpu.Ours(work, nn.backend("numpy")).network,
                x.astype(dtype),
                labels,
                ["numpy", arguments.backend],
                loss=nn.softmax_cross_entropy,
                sample_weight=rng.uniform(0.5, 2.0, work.rows).astype(dtype),
                key=nn.Key(0),
                dtype=dtype,
            )
            say(f"{name}\n\n```\n{report}\n```")
    return 0


if __name__ == "__main__":
    sys.exit(main())
