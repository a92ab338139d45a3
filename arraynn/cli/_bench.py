"""`arraynn bench`: times a training step on the machine's backends, and finds the size from which a GPU is faster."""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .. import backends, tree
from .._text import table
from ..backends import Backend
from ..errors import BackendUnavailable
from ..layers import Dense, ReLU, Sequential
from ..losses import softmax_cross_entropy
from ..optimizers import Adam
from ..random import Key
from ..training.progress import short
from ..training.step import make_train_step
from ._output import UsageError

#: name : (widths of inputs, hidden layers and outputs, rows of a batch)
WORKLOADS: dict[str, tuple[tuple[int, ...], int]] = {
    "spiral": ((2, 64, 3), 300),
    "drop": ((2, 512, 3), 3000),
    "mnist": ((784, 512, 512, 10), 128),
    "wide": ((1024, 4096, 4096, 1000), 512),
}
CROSSING = (
    16,
    32,
    64,
    128,
    256,
    512,
    1024,
    2048,
    4096,
)  #: hidden widths of 64-w-w-10 at which CPU and GPU are compared
CROSSING_ROWS = 512
PAUSE = 0.05  #: seconds between backends, so that idle threads of one library sleep before the next one is timed
TOLERANCE = 1e-4  #: relative difference of a backend's first loss from the first backend's

Times = dict[str, list[float]]  #: backend : milliseconds per step, one number for each round


def bench(arguments: argparse.Namespace) -> int:
    """Measure, print a table for each workload, and write figures and chart if --out names a folder."""
    measured_backends = _backends_to_measure(arguments.backend)
    names = arguments.workloads or list(WORKLOADS)
    for backend in measured_backends.values():
        print(f"{backend.name} {backend.version} on {backend.device}")
    gpus = [name for name, backend in measured_backends.items() if on_gpu(backend)]
    cpu = next((name for name, backend in measured_backends.items() if backend.name == "numpy"), None)
    sizes = CROSSING if gpus and cpu and not arguments.workloads else ()
    found: dict[str, Times] = {}
    crossing: dict[int, Times] = {}
    with _progress(len(names) + len(sizes)) as done:
        for name in names:
            found[name] = measure(measured_backends, *WORKLOADS[name], arguments.rounds, arguments.seconds, print)
            done(name)
        for size in sizes:
            chosen = {name: measured_backends[name] for name in (cpu, *gpus) if name is not None}
            crossing[size] = measure(
                chosen, (64, size, size, 10), CROSSING_ROWS, arguments.rounds, arguments.seconds, print
            )
            done(f"64-{size}-{size}-10")
    for name, times in found.items():
        widths, rows = WORKLOADS[name]
        print(f"\n{name}: {'-'.join(map(str, widths))}, {rows:,} rows a step\n{_table(times)}")
    for line in _crossings(crossing, cpu, gpus):
        print(f"\n{line}")
    if arguments.out is not None:
        print(f"\nwritten to {arguments.out}: {', '.join(keep(Path(arguments.out), found, crossing))}")
    return 0


class Steps:
    """A workload on a backend. Calling it with a number of steps runs them and returns the seconds they took."""

    def __init__(self, backend: Backend, widths: Sequence[int], rows: int) -> None:
        hidden = [layer for width in widths[1:-1] for layer in (Dense(width), ReLU())]
        network, optimizer, rng = Sequential(*hidden, Dense(widths[-1])), Adam(), np.random.default_rng(0)
        params, _ = network.init(rng, (widths[0],))
        x, labels = rng.standard_normal((rows, widths[0])), rng.integers(0, widths[-1], rows)
        self.backend = backend
        self.params = tree.map(lambda leaf: backend.asarray(leaf, "float32", copy=True), params)
        self.batch = backend.asarray(x, "float32"), backend.asarray(labels, backend.index_dtype), None
        with backend.context():
            self.state = optimizer.init(self.params)
        self.step = make_train_step(network, softmax_cross_entropy, optimizer)
        self.key = Key(0)

    def __call__(self, count: int) -> float:
        with self.backend.context():
            self.backend.synchronize()
            started = time.perf_counter()
            for _ in range(count):
                self.params, self.state, self.logs = self.step(self.params, self.state, self.batch, self.key)
            self.backend.synchronize()
            return time.perf_counter() - started

    def loss(self) -> float:
        """The last step's loss."""
        return self.backend.fetch([self.logs["data_loss"]])[0]


def measure(
    measured_backends: dict[str, Backend],
    widths: Sequence[int],
    rows: int,
    rounds: int,
    seconds: float,
    print_line: Callable[[str], None],
) -> Times:
    """Milliseconds per step of each backend, timed in turn (A B C A B C …), so that other load slows all alike.

    rounds : timings of each backend. seconds : about how long a timing takes. A backend that fails, or whose first
    loss differs from the first backend's, is left out, and the reason is printed.
    """
    runs: dict[str, tuple[Steps, int]] = {}
    first: float | None = None
    for name, backend in measured_backends.items():
        try:
            steps = Steps(backend, widths, rows)
            steps(1)  # compiles and warms up
            loss = steps.loss()
            first = loss if first is None else first
            if not abs(loss - first) <= TOLERANCE * abs(first):
                print_line(f"{name} is left out: its first loss is {loss:.6g}, not {first:.6g}")
                continue
            runs[name] = steps, max(1, min(10_000, round(seconds / max(steps(1), 1e-6))))
        except Exception as error:  # a device may raise anything
            print_line(f"{name} is left out: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
    found: Times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, (steps, count) in runs.items():
            time.sleep(PAUSE)
            found[name].append(1000 * steps(count) / count)
    return found


def on_gpu(backend: Backend) -> bool:
    """Whether the backend's device is an accelerator."""
    device = str(backend.device).lower()
    return backend.name in ("cupy", "dpnp") or any(kind in device for kind in ("cuda", "gpu", "mps", "rocm", "xpu"))


def crossover(cpu: dict[int, float], gpu: dict[int, float]) -> int | None:
    """The smallest size from which on the GPU is faster at every measured size; None if there is none.

    >>> crossover({16: 1.0, 32: 2.0, 64: 9.0}, {16: 3.0, 32: 1.9, 64: 2.0})
    32
    """
    found = None
    for size in sorted(cpu.keys() & gpu.keys(), reverse=True):
        if gpu[size] >= cpu[size]:
            break
        found = size
    return found


def keep(folder: Path, found: dict[str, Times], crossing: dict[int, Times]) -> list[str]:
    """Write bench.csv and, if matplotlib is installed, bench.png. Returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    measured = [*found.items(), *((f"64-{size}-{size}-10", times) for size, times in crossing.items())]
    with open(folder / "bench.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["workload", "backend", "round", "milliseconds"])
        for name, times in measured:
            for backend, values in times.items():
                writer.writerows([name, backend, i, value] for i, value in enumerate(values))
    try:
        chart(found, crossing).savefig(folder / "bench.png")
    except ImportError as error:
        print(f"no chart: {error}")
        return ["bench.csv"]
    return ["bench.csv", "bench.png"]


def chart(found: dict[str, Times], crossing: dict[int, Times]) -> Any:
    """A matplotlib Figure: bars of each workload's times and, where there is a GPU, lines over the hidden width."""
    from matplotlib.figure import Figure

    from ..plot import COLOURS, DPI

    panels = len(found) + bool(crossing)
    figure = Figure(figsize=(3.6 * panels, 3.2), dpi=DPI, layout="constrained")
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    names = list(dict.fromkeys(name for times in [*found.values(), *crossing.values()] for name in times))
    colour = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    for ax, (workload, times) in zip(axes, found.items(), strict=False):
        medians_of = {name: statistics.median(values) for name, values in times.items()}
        own = sorted(medians_of, key=lambda name: -medians_of[name])
        ax.barh(own, [medians_of[name] for name in own], color=[colour[name] for name in own])
        for i, name in enumerate(own):
            ax.annotate(f" {short(medians_of[name])}", (medians_of[name], i), va="center", fontsize=8)
        ax.set(title=workload, xlabel="ms a step")
        ax.margins(x=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    for name in names if crossing else ():
        line = {size: statistics.median(times[name]) for size, times in crossing.items() if name in times}
        axes[-1].plot(list(line), list(line.values()), marker="o", color=colour[name], label=name)
    if crossing:
        axes[-1].set(
            title=f"64-w-w-10, {CROSSING_ROWS} rows", xlabel="w", ylabel="ms a step", xscale="log", yscale="log"
        )
        axes[-1].legend(frameon=False)
    return figure


def _backends_to_measure(wanted: Sequence[str] | None) -> dict[str, Backend]:
    """The backends to measure, by name: the wanted ones, else all that work on this machine, NumPy first."""
    if wanted:
        return {name: backends.backend(name) for name in dict.fromkeys(wanted)}
    measured_backends = {}
    for status in backends.report():
        if not status.usable or status.name == "array_api_strict":  # a library for tests, not for speed
            continue
        devices = [d for d in ("cpu", "cuda", "mps") if any(own.startswith(d) for own in status.devices)]
        for name in [f"torch:{d}" for d in devices] if status.name == "torch" else [status.name]:
            try:
                measured_backends[name] = backends.backend(name)
            except BackendUnavailable as error:
                print(f"{name} is left out: {error.reason}")
    if not measured_backends:
        raise UsageError("there is no backend to measure")
    return measured_backends


def _table(times: Times) -> str:
    medians_of = {name: statistics.median(values) for name, values in times.items()}
    fastest = min(medians_of.values(), default=1.0)
    rows = [["backend", "ms a step", "quartiles", "x fastest"]]
    for name in sorted(medians_of, key=lambda name: medians_of[name]):
        values = times[name]
        low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
        rows.append(
            [
                name,
                short(medians_of[name]),
                f"{short(low)} - {short(high)}",
                f"{medians_of[name] / max(fastest, 1e-9):.2f}",
            ]
        )
    return table(rows, right=(1, 2, 3))


def _crossings(crossing: dict[int, Times], cpu: str | None, gpus: Sequence[str]) -> Iterator[str]:
    def medians(name: str) -> dict[int, float]:
        return {size: statistics.median(times[name]) for size, times in crossing.items() if name in times}

    for gpu in gpus if crossing and cpu else ():
        size = crossover(medians(cpu or ""), medians(gpu))
        where = f"from a hidden width of {size} on" if size else f"at no hidden width up to {max(crossing)}"
        yield f"{gpu} is faster than {cpu} on 64-w-w-10 with {CROSSING_ROWS} rows a step {where}"


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """Yields done(what), to be called after each measurement: updates a bar on a terminal if rich is installed."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        yield lambda what: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("measuring", total=total)
        yield lambda what: progress.update(task, advance=1, description=what)
