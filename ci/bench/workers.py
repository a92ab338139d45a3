"""What a step costs on several workers: computing and communicating apart, and a model of both for more machines.

    python -m ci.bench.workers           # 1, 2 and 4 MPI processes of this machine, the model that fits them, and its
                                         # tables of more machines, with where LocalSGD takes over
    python -m ci.bench.workers --model   # the model's tables alone, from the figures in README.md

Processes of one machine share its cores and its memory, so communication here is what copying and adding costs; the
model adds a network's bandwidth and latency.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import arraynn as nn
from arraynn.backends import of
from arraynn.backends.cores import available

ROOT = Path(__file__).parents[2]
WORKLOADS = {"mnist": ((784, 512, 512, 10), 128), "million": ((64, 1000, 1000, 10), 1024)}
STEPS, WARM = 30, 4
LATENCY = 30e-6  #: seconds of a message over a network
TAKES_OVER = 5  #: local steps between exchanges for 90 % of the time to compute, from which on they are worth it


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


@dataclass(frozen=True)
class Cost:
    """A model of a step's seconds, for W workers that share `cores`: what one has to do takes W / cores times as long
    where there are more of them than cores.

    gradient, update : what computing takes of a whole batch, which W workers share, and what each does alone.
    round : of the four rounds of messages of an exchange, each log2 W. byte : of each byte that is sent, copied, added.
    """

    gradient: float
    update: float
    round: float = 0.0
    byte: float = 0.0

    def computing(self, workers: int, cores: int) -> float:
        return max(1.0, workers / cores) * (self.gradient / workers + self.update)

    def exchanging(self, weights: int, workers: int, cores: int) -> float:
        rounds, sent = terms(weights, workers)
        return max(1.0, workers / cores) * (rounds * self.round + sent * self.byte)

    def over_a_network(self, weights: int, machines: int, gigabits: float) -> float:
        """An exact exchange of machines with cores of their own: as above, over a link, with its latency."""
        rounds, sent = terms(weights, machines)
        return rounds * LATENCY + sent * (self.byte + 8 / (gigabits * 1e9))


def terms(weights: int, workers: int) -> tuple[float, float]:
    """(rounds, bytes) of an exchange of float32 gradients: slices out and sums back, each (W - 1) / W of the bytes; two
    rounds for them and two for the float64 sums, of W - 1 messages that overlap, so log2 W."""
    return 4 * float(np.log2(workers)), 4 * weights * 2 * (workers - 1) / workers


#: what was fitted to the figures in README.md: name, weights, and the costs on two cores
MEASURED = (
    ("mnist", 669_706, Cost(19.7e-3, 1.3e-3, 329e-6, 0.50e-9)),
    ("million", 1_076_010, Cost(103.7e-3, 0.0, 329e-6, 0.50e-9)),
)


def fitted(found: list[dict[str, Any]], workload: str, cores: int) -> Cost:
    """The model of a workload, by least squares of relative errors: computing from its own rows, exchanging from all
    rows of exact sums."""

    def fit(rows: list[tuple[float, float, float]]) -> tuple[float, float]:
        """(a, b), neither below 0, of time = a · first + b · second."""
        weighed = np.asarray([[first / time, second / time] for first, second, time in rows])
        both = np.linalg.lstsq(weighed, np.ones(len(rows)), rcond=None)[0]
        alone = [float(column @ np.ones(len(rows)) / (column @ column)) for column in weighed.T]
        ends = [tuple(map(float, both)), (alone[0], 0.0), (0.0, alone[1])]
        errors = [float(((weighed @ np.asarray(end) - 1) ** 2).sum()) if min(end) >= 0 else np.inf for end in ends]
        return ends[int(np.argmin(errors))]

    exact = [one for one in found if one["reduction"] == "exact"]
    share = {one["workers"]: max(1.0, one["workers"] / cores) for one in exact}
    own = [
        (share[one["workers"]] / one["workers"], share[one["workers"]], one["step"] - one["comm"])
        for one in exact
        if one["workload"] == workload
    ]
    exchanges = [
        (*(share[one["workers"]] * term for term in terms(one["weights"], one["workers"])), one["comm"])
        for one in exact
        if one["workers"] > 1
    ]
    seconds = [1e-3 * number for number in (*fit(own), *fit(exchanges))]
    return Cost(*seconds)


def table(name: str, weights: int, cost: Cost) -> str:
    """Rows of the model: machines with the one machine's batch each (weak scaling), the part of the time that computes,
    the local steps between exchanges from which these cost a tenth at most, and where local steps take over."""
    compute = cost.gradient + cost.update
    lines = [
        f"| {name}: {compute * 1e3:.1f} ms to compute | Gb/s | exchange, ms | computing | every, for 90 % |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    over: dict[int, int] = {}
    for machines in (8, 64, 1024):
        for gigabits in (1, 10, 100):
            seconds = cost.over_a_network(weights, machines, gigabits)
            every = max(1, int(np.ceil(9 * seconds / compute)))
            share = compute / (compute + seconds)
            lines.append(f"| {machines} machines | {gigabits} | {seconds * 1e3:.2f} | {share:.0%} | {every} |")
            if every >= TAKES_OVER:
                over.setdefault(gigabits, machines)
    told = "; ".join(
        f"at {gigabits} Gb/s from {over[gigabits]} machines on"
        if gigabits in over
        else f"at {gigabits} Gb/s nowhere here"
        for gigabits in (1, 10, 100)
    )
    return "\n".join([*lines, "", f"LocalSGD takes over (`every` of {TAKES_OVER} or more) {told}."])


def measured() -> list[dict[str, Any]]:
    """A row for each workload, number of workers and reduction, in processes of their own."""
    found = []
    launcher = str(Path(sys.executable).with_name("mpiexec"))
    for workload in WORKLOADS:
        for count in (1, 2, 4):
            for reduction in ("exact", "fast"):
                command = [launcher, "-n", str(count), sys.executable, "-m", "ci.bench.workers", "--one"]
                done = subprocess.run(
                    [*command, workload, reduction], capture_output=True, text=True, cwd=ROOT, check=True
                )
                found.append(json.loads(done.stdout))
                print(f"{workload}, {count}, {reduction}", file=sys.stderr, flush=True)
    return found


def report(found: list[dict[str, Any]], cores: int) -> str:
    """What was measured beside the model that fits it, and the model carried to more machines."""
    lines = [
        "| workload | workers | reduction | step, ms | computing | model | exchanging | model |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    costs = {workload: fitted(found, workload, cores) for workload in WORKLOADS}
    weights = {}
    for one in found:
        cost, count = costs[one["workload"]], one["workers"]
        weights[one["workload"]] = one["weights"]
        computing = one["step"] - one["comm"]
        model = f"{cost.exchanging(one['weights'], count, cores) * 1e3:.2f}" if one["reduction"] == "exact" else ""
        lines.append(
            f"| {one['workload']}, {one['weights']:,} weights | {count} | {one['reduction']} | {one['step']:.1f} | "
            f"{computing:.1f} | {cost.computing(count, cores) * 1e3:.1f} | {one['comm']:.2f} | {model} |"
        )
    one = next(iter(costs.values()))
    lines += [
        "",
        f"An exact exchange fits {one.round * 1e6:.0f} µs a round and {one.byte * 1e9:.2f} ns a byte, "
        f"on {cores} cores.",
    ]
    lines += [
        f"{workload}: {cost.gradient * 1e3:.1f} ms of computing shared out, {cost.update * 1e3:.1f} ms on every worker."
        for workload, cost in costs.items()
    ]
    return "\n".join([*lines, *(f"\n{table(name, weights[name], cost)}" for name, cost in costs.items())])


def main(words: list[str]) -> None:
    """Measure, or be one of the measured."""
    if words[:1] == ["--one"]:
        found = measure(*words[1:])
        if nn.workers("mpi").rank == 0:
            print(json.dumps(found), flush=True)
    elif words[:1] == ["--model"]:
        print("\n\n".join(table(*measured) for measured in MEASURED))
    else:
        print(report(measured(), available()))


if __name__ == "__main__":
    main(sys.argv[1:])
