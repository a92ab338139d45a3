"""What a library costs before it computes anything: seconds to import, megabytes to install; and memory."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from .lanes import Lane
from .measure import Times
from .networks import Network
from .peers import installed
from .workloads import Workload

IMPORTS = {"numpy": "numpy", "arraynn": "arraynn", "torch": "torch", "jax": "jax.numpy", "thinc": "thinc.api"}
IMPORTS["sklearn"] = "sklearn.neural_network"
DISTRIBUTIONS = {"arraynn": "arraynn", "torch": "torch", "jax": "jax", "sklearn": "scikit-learn", "thinc": "thinc"}
OWN = ("numpy", "array-api-compat", "threadpoolctl")  # arraynn's, where it runs from its source


def import_times(rounds: int) -> dict[str, Times]:
    """Milliseconds of a process that imports and leaves, less those of one that only leaves; in turn."""
    modules = {name: f"import {module}" for name, module in IMPORTS.items() if _importable(module)}
    found: dict[str, list[float]] = {name: [] for name in modules}
    for i in range(rounds + 1):
        nothing = _seconds("pass")
        for name, program in modules.items():
            taken = 1000 * (_seconds(program) - nothing)
            if i:  # the first round brings the files into memory
                found[name].append(taken)
    return {name: Times(times, times) for name, times in found.items()}


def _importable(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module.partition(".")[0]) is not None


def _seconds(program: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    return time.perf_counter() - began


def sizes() -> dict[str, float]:
    """Megabytes of each library's installed files with all that it requires."""
    found = {}
    for name, distribution in DISTRIBUTIONS.items():
        try:
            names = _closure(distribution)
        except metadata.PackageNotFoundError:
            if name != "arraynn":
                continue
            names = set().union(*(_closure(one) for one in OWN))
        own = sum(_size(one) for one in names)
        if name == "arraynn" and "arraynn" not in names:
            package = Path(__file__).parents[2] / "arraynn"
            own += sum(f.stat().st_size for f in package.rglob("*") if f.is_file() and f.suffix != ".pyc")
        found[name] = own / 1e6
    return found


def _closure(name: str, seen: set[str] | None = None) -> set[str]:
    seen = set() if seen is None else seen
    seen.add(_normal(name))
    for requirement in metadata.requires(name) or ():
        if "extra ==" in requirement:
            continue
        needed = _normal(re.split(r"[^\w.-]", requirement, maxsplit=1)[0])
        if needed not in seen:
            try:
                metadata.distribution(needed)
            except metadata.PackageNotFoundError:
                continue  # for another platform
            _closure(needed, seen)
    return seen


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _size(name: str) -> int:
    total = 0
    for file in metadata.files(name) or ():
        path = Path(str(file.locate()))
        if path.is_file() and path.suffix != ".pyc":
            total += path.stat().st_size
    return total


def memory(peers: list[str], work: Workload | Network, threads: int) -> dict[str, tuple[float, float]]:
    """Of each peer that can: peak MB after some steps and a prediction, and what it took before them."""
    found = {}
    for peer in peers:
        if not installed(peer):
            continue
        try:
            lane = Lane(peer, work, threads)
            found[peer] = tuple(lane.ask("memory", 8))
            lane.close()
        except RuntimeError:
            continue
    return found


MAPPED = """
import sys, threading, time
import numpy as np
import arraynn as nn

def anonymous():  # what the process has of its own; pages of a mapped file are the system's to take back
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1000

most, over = 0.0, False
def watch():
    global most
    while not over:
        most = max(most, anonymous())
        time.sleep(0.005)

x, y = (np.load(name, mmap_mode="r") for name in sys.argv[1:3])
network = nn.Sequential(nn.Dense(64), nn.ReLU(), nn.Dense(10))
model = nn.Model(network, loss=nn.softmax_cross_entropy, optimizer=nn.Adam(), backend="numpy", metrics=())
thread = threading.Thread(target=watch)
thread.start()
try:
    model.fit(x, y, epochs=1, batch_size=1024, verbose=0)
finally:
    over = True
    thread.join()
print(most)
"""


def mapped(say: Callable[[str], None]) -> dict[str, Any]:
    """Peak MB of its own of a fit from memory-mapped files, by the number of rows (of 64 float32); Linux only."""
    import numpy as np

    found = {}
    if not Path("/proc/self/status").exists():
        return found
    with tempfile.TemporaryDirectory() as folder:
        for rows in (125_000, 1_000_000):
            names = [f"{folder}/{name}-{rows}.npy" for name in "xy"]
            rng = np.random.default_rng(0)
            x = np.lib.format.open_memmap(names[0], "w+", np.float32, (rows, 64))
            for i in range(0, rows, 25_000):
                x[i : i + 25_000] = rng.standard_normal((25_000, 64), dtype="float32")
            np.save(names[1], rng.integers(0, 10, rows))
            done = subprocess.run([sys.executable, "-c", MAPPED, *names], capture_output=True, text=True)
            if done.returncode:
                say(f"the memory-mapped fit failed: {done.stderr.strip().splitlines()[-1]}")
            else:
                found[str(rows)] = float(done.stdout)
    return found
