"""What a step costs on several workers: computing and communicating apart, and a model of both for more machines.

    python -m ci.bench.workers                      # 1, 2 and 4 MPI processes of this machine; then the model's table
    python -m ci.bench.workers --model              # the model's table alone, from the figures in README.md

Processes of one machine share its cores and its memory, so communication here is what copying and adding costs; the
model puts a network's bandwidth and latency in its place.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import arraynn as nn
from arraynn.backends import of

ROOT = Path(__file__).parents[2]
WORKLOADS = {"mnist": ((784, 512, 512, 10), 128), "million": ((64, 1000, 1000, 10), 1024)}
STEPS, WARM = 30, 4


def network(sizes: tuple[int, ...]) -> Any:
    """Dense layers and ReLUs of these sizes."""
    layers = [layer for units in sizes[1:-1] for layer in (nn.Dense(units), nn.ReLU())]
    return nn.Sequential(*layers, nn.Dense(sizes[-1]))


def measure(workload: str, reduction: str) -> dict[str, Any]:
    """Times of a step on this process's group, in ms: of all of it, and of the exchanges; a tenth is faster."""
    group = nn.workers("mpi")
    spent = [0.0]

    def timed(name: str) -> None:
        exchange = getattr(group, name)

        def run(flat: Any) -> Any:
            began = time.perf_counter()
            group.comm.Barrier()  # who waits for a slower one does not communicate yet
            met = time.perf_counter()
            result = exchange(flat)
            spent[0] += time.perf_counter() - met
            waited[0] += met - began
            return result

        setattr(group, name, run)

    waited = [0.0]
    timed("exact")
    timed("sum")
    sizes, rows = WORKLOADS[workload]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, sizes[0])).astype("float32")
    y = rng.integers(0, sizes[-1], size=rows)
    layers = network(sizes)
    params, _ = layers.init(np.random.default_rng(1), sizes[:1])
    rule = nn.Adam(1e-3)
    state = rule.init(params)
    step = nn.make_train_step(layers, nn.softmax_cross_entropy, rule, workers=group, reduction=reduction)
    whole, exchanged = [], []
    with of(x).context():
        for _ in range(STEPS + WARM):
            spent[0] = waited[0] = 0.0
            began = time.perf_counter()
            params, state, _ = step(params, state, (x, y, None), nn.Key(0))
            whole.append(time.perf_counter() - began - waited[0])
            exchanged.append(spent[0])
    taken = {"step": whole, "comm": exchanged}
    fast = {name: float(np.quantile(times[WARM:], 0.1)) * 1e3 for name, times in taken.items()}
    weights = sum(leaf.size for leaf in nn.tree.leaves(params))
    return {"workload": workload, "workers": group.size, "reduction": reduction, "weights": weights, **fast}


def exchange_seconds(weights: int, machines: int, gigabits: float, latency: float = 30e-6) -> float:
    """An exact exchange of float32 gradients: 2 (W - 1) / W of the bytes through a machine's link, two rounds of W - 1
    messages that overlap, so log2 W latencies each, and the same for the float64 sums, which are latency alone."""
    if machines == 1:
        return 0.0
    bits = 32 * weights * 2 * (machines - 1) / machines
    return float(bits / (gigabits * 1e9) + 4 * np.log2(machines) * latency)


def table(name: str, weights: int, compute: float) -> str:
    """Rows of the model: steps a second of W machines, each with the one machine's batch (weak scaling), and the part
    of the time that computes; with the rounds of local steps from which an exchange costs a tenth at most."""
    lines = [
        f"| {name}: {compute * 1e3:.1f} ms to compute | Gb/s | exchange, ms | computing | every, for 90 % |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for machines in (8, 64, 1024):
        for gigabits in (1, 10, 100):
            seconds = exchange_seconds(weights, machines, gigabits)
            every = max(1, int(np.ceil(9 * seconds / compute)))
            share = compute / (compute + seconds)
            lines.append(f"| {machines} machines | {gigabits} | {seconds * 1e3:.2f} | {share:.0%} | {every} |")
    return "\n".join(lines)


def main(words: list[str]) -> None:
    """Measure, or be one of the measured."""
    if words[:1] == ["--one"]:
        found = measure(*words[1:])
        if nn.workers("mpi").rank == 0:
            print(json.dumps(found), flush=True)
        return
    if words[:1] != ["--model"]:
        print("| workload | workers | reduction | step, ms | computing | exchanging |")
        print("| --- | ---: | --- | ---: | ---: | ---: |")
        for workload in WORKLOADS:
            for count in (1, 2, 4):
                for reduction in ("exact", "fast"):
                    launcher = str(Path(sys.executable).with_name("mpiexec"))
                    command = [launcher, "-n", str(count), sys.executable, "-m", "ci.bench.workers", "--one"]
                    done = subprocess.run(
                        [*command, workload, reduction], capture_output=True, text=True, cwd=ROOT, check=True
                    )
                    got = json.loads(done.stdout)
                    computing = got["step"] - got["comm"]
                    print(
                        f"| {workload}, {got['weights']:,} weights | {count} | {reduction} | {got['step']:.1f} | "
                        f"{computing:.1f} | {got['comm']:.2f} |",
                        flush=True,
                    )
    print()
    for name, weights, compute in (("mnist", 669_706, 6.5e-3), ("million", 1_076_010, 24e-3)):
        print(table(name, weights, compute), end="\n\n")


if __name__ == "__main__":
    main(sys.argv[1:])
