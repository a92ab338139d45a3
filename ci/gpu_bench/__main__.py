"""`python -m ci.gpu_bench times|launches|parity|memory|trained`: parts of ci/gpu, each of which prints Markdown.

times : a step of each workload of ci/bench on CuPy (as a CUDA graph, and as kernels), PyTorch (eager, as a CUDA graph,
with --compiled also compiled) and JAX in turn, each in a process of its own, by the wall clock and by the device's
events. launches :
kernels, copies, launches and waits of a step, counted by CUDA's profiler. parity : CuPy beside NumPy, layer by layer.
memory : peak bytes of the device. trained FOLDER… : where runs on both ended.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

import arraynn as nn

from ..bench.measure import Times, close, interleave, open_lanes, same_loss
from ..bench.peers import ON_GPU, installed
from ..bench.report import table, times
from ..bench.workloads import DENSE, Workload
from . import launches
from .cupy_peer import Peer as Ours
from .trained import compared

BLIND = (
    "CUDA's profiler saw no kernel; it may look as root, or where NVreg_RestrictProfilingToAdminUsers=0, "
    "and PyTorch for this CUDA must be installed"
)
OURS = "arraynn-cupy"
MOST = {"spiral": 12, "mnist": 18}  #: kernels and library calls of a step; a graph has the loader and the writer, too
PARTS = "splitKreduce"  #: second kernels of a product, by name, which are no calls of their own
MEASURED = ("spiral", "drop", "drop+", "mnist", "wide")  #: workloads whose times are taken


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ci.gpu_bench", description=__doc__, allow_abbrev=False)
    parser.add_argument("what", choices=("times", "launches", "parity", "memory", "trained"))
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--backend", default="cupy")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="times that each lane's turn comes")
    parser.add_argument("--seconds", type=float, default=0.1, metavar="S", help="that a turn takes, about")
    parser.add_argument(
        "--compiled", action="store_true", help="also torch.compile, which takes half a minute to begin"
    )
    arguments = parser.parse_args(argv)
    if arguments.what == "trained":
        text, fine = compared(arguments.folders)
        print(text)
        return int(not fine)
    parts = {"times": tell_times, "launches": tell_launches, "parity": tell_parity, "memory": tell_memory}
    try:
        return parts[arguments.what](arguments)
    except nn.BackendUnavailable as error:
        say(str(error))
        return 1


def say(text: str) -> None:
    print(f"{text}\n", flush=True)


def tell_times(arguments: Any) -> int:
    """Two tables a workload. Where a lane computes something else, the workload is left out, and that is a failure."""
    say("All lanes: float32, products in full precision (no TF32). The device's time is between two events of its own.")
    peers = [peer for peer in ON_GPU if installed(peer) and (arguments.compiled or not peer.endswith("-compile"))]
    failed = False
    for name in MEASURED:
        lanes = open_lanes(peers, DENSE[name], cores(), say, at_once=True)
        if OURS not in lanes:
            say(f"{name}: nothing to compare without {OURS}")
            close(lanes)
            failed = True
            continue
        try:
            same_loss(lanes, DENSE[name], say)
            found = interleave(lanes, "on_device", arguments.rounds, arguments.seconds)
        except (SystemExit, RuntimeError) as error:
            say(f"{name}: {error}")
            failed = True
            continue
        finally:
            close(lanes)
        say(times(found, f"{name}: step, wall clock"))
        device = {peer: Times(list(map(either, own.processor, own.rounds)), []) for peer, own in found.items()}
        say(times(device, f"{name}: step, device"))
    return int(failed)


def cores() -> int:
    """That a lane may have. The host only starts what the GPU does, but some libraries take several threads for it."""
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def either(device: float, wall: float) -> float:
    """The device's own time; where a library has no events, the wall clock stands for it."""
    return wall if math.isnan(device) else device


def tell_memory(arguments: Any) -> int:
    rows = [["peak MB of the device", *(peer for peer in ON_GPU if installed(peer) and peer != "products-cuda")]]
    if OURS not in rows[0]:
        say(f"nothing to measure without {OURS}")
        return 1
    for name in ("mnist", "wide"):
        row = [name]
        for peer in rows[0][1:]:
            lanes = open_lanes([peer], DENSE[name], 1, say)
            row.append(f"{lanes[peer].ask('device_memory', 5) / 1e6:.0f}" if lanes else "-")
            close(lanes)
            if peer == OURS and not lanes:
                say(f"{name}: nothing to measure without {OURS}")
                return 1
        rows.append(row)
    say(table(rows))
    return 0


def tell_launches(arguments: Any) -> int:
    rows, waiting = [["a step of", "lane", "kernels", "copies", "launches", "waits for the GPU"]], False
    for work in DENSE.values():
        for name, lane in opened(work, nn.backend(arguments.backend), say).items():
            asked = launches.of_a_step(lane)
            rows.append([work.name, name, *asked.row])
            if not asked.kernels:
                say(f"{work.name}: {name}: {BLIND}")
                return 1
            if name.startswith("arraynn"):
                waiting |= bool(asked.waits)
                say(named(work, name, asked))
    say(table(rows))
    return int(waiting)


def opened(work: Workload, backend: Any, say: Any) -> dict[str, Any]:
    """The lanes of this process, which the profiler sees; why another is missing is said."""
    lanes: dict[str, Any] = {
        "arraynn": Ours(work, backend=backend),
        "arraynn-kernels": Ours(work, variant="kernels", backend=backend),
    }
    for name, variant in (("torch", ""), ("torch-graph", "graph")):
        try:
            from .torch_peer import Peer as Torch

            lanes[name] = Torch(work, variant=variant)
        except (ImportError, NotImplementedError) as error:
            say(f"without {name}: {error}")
    return lanes


def named(work: Workload, lane: str, asked: launches.Asked) -> str:
    """The kernels of a step by name, the commonest first."""
    lines = [f"{count:4d}  {name[:100]}" for name, count in (asked.kernels + asked.copies).most_common()]
    calls = sum(count for name, count in asked.kernels.items() if PARTS not in name)
    most = MOST.get(work.name, calls) + 2 * ("kernels" not in lane)
    over = f", more than {most}" if calls > most else ""
    title = f"{work.name}, {lane}: {asked.kernels.total()} kernels{over} by {asked.launches.total()} launches"
    return "\n".join([title, "", "```", *lines, "```"])


def tell_parity(arguments: Any) -> int:
    """Each value of one pass on NumPy and on the GPU. What limits it keeps is tests/test_parity.py's business."""
    rng = np.random.default_rng(0)
    for dtype in ("float32", "float64"):
        for name in ("drop+", "mnist"):
            work = DENSE[name]
            x, labels = work.data()
            report = nn.testing.check_backends(
                Ours(work, backend=nn.backend("numpy")).network,
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
