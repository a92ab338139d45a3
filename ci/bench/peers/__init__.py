"""Who computes: one file a library, imported only in the process that runs it.

A file has `class Peer(Base)`, made of a workload and the variant that its name has behind the dash. The peers on a GPU
stand in `ci/gpu_bench/`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..networks import Network
from ..workloads import Workload

#: name : (module here, variant, what must be installed)
PEERS = {
    "arraynn": ("ours", "", "arraynn"),
    "arraynn-fast": ("ours", "fast", "numba"),
    "arraynn-fit": ("ours", "fit", "arraynn"),
    "arraynn-fit-1": ("ours", "fit-1", "arraynn"),
    "torch": ("pytorch", "", "torch"),
    "torch-compile": ("pytorch", "compile", "torch"),
    "jax": ("xla", "", "jax"),
    "sklearn": ("scikit", "", "sklearn"),
    "thinc": ("thinc_", "", "thinc"),
    "book": ("book", "", "numpy"),
    "handwritten": ("handwritten", "", "numpy"),
    "products": ("products", "", "numpy"),
}
ON_GPU = {
    "arraynn-cupy": ("...gpu_bench.cupy_peer", "", "cupy"),
    "arraynn-cupy-kernels": ("...gpu_bench.cupy_peer", "kernels", "cupy"),
    "torch-cuda": ("...gpu_bench.torch_peer", "", "torch"),
    "torch-cuda-compile": ("...gpu_bench.torch_peer", "compile", "torch"),
    "torch-cuda-graph": ("...gpu_bench.torch_peer", "graph", "torch"),
    "jax-cuda": ("...gpu_bench.jax_peer", "", "jax"),
    "products-cuda": ("...gpu_bench.products_peer", "", "cupy"),
}
#: who has the networks of `networks.py`, and where
NETWORKS = {"ours": "ours", "pytorch": "pytorch_networks", "xla": "xla_networks"}
OWN = (
    "arraynn",
    "arraynn-fast",
    "arraynn-fit",
    "arraynn-fit-1",
    "handwritten",
    "products",
    "arraynn-cupy",
    "arraynn-cupy-kernels",
    "products-cuda",
)  # no rivals


def installed(name: str) -> bool:
    return find_spec((PEERS | ON_GPU)[name][2]) is not None


def make(name: str, work: Workload | Network, threads: int) -> Base:
    module, variant, _ = (PEERS | ON_GPU)[name]
    if isinstance(work, Network):
        if module not in NETWORKS:
            raise NotImplementedError(f"{name} has dense networks only")
        module = NETWORKS[module]
    peer: Base = import_module(module if module.startswith(".") else f".{module}", __name__).Peer(
        work, threads, variant
    )
    return peer


class Base:
    """What a peer can do. Raises NotImplementedError in `__init__` for a workload that it has no means for."""

    #: whether it has a loss that can be compared
    honest = True

    def __init__(self, work: Any, threads: int, variant: str) -> None:
        self.work = work
        self.x, self.y = work.data()
        self.open(threads, variant)
        self.reset()

    def open(self, threads: int, variant: str) -> None:
        """Import, move the data."""

    def reset(self) -> None:
        """Begin again from the workload's weights, with a new optimizer."""

    def training(self) -> AbstractContextManager[Any]:
        """What steps are wrapped in, once for many."""
        return nullcontext()

    def loss(self) -> float:
        """Of the batch at the present weights, without dropout, with the penalty."""
        raise NotImplementedError

    def step(self) -> None:
        """One update from the batch."""
        raise NotImplementedError

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.step()

    def outputs(self) -> Any:
        """Inference on the batch: whatever its users call, logits or probabilities."""
        raise NotImplementedError

    def wait(self) -> None:
        """Until what was asked for is done."""

    def elapsed(self, run: Callable[[], Any]) -> float:
        """Milliseconds of the device for what run() asks of it; nan where the library has no such clock."""
        run()
        self.wait()
        return math.nan

    def device_memory(self) -> int:
        """Peak bytes of the device that this process has held."""
        raise NotImplementedError

    def train_on(self, x: Any, y: Any) -> None:
        """One update from these NumPy arrays."""
        raise NotImplementedError

    def epoch(self, x: Any, y: Any, order: Any) -> None:
        """A pass over the rows in this order, in the workload's batches."""
        for part in _parts(order, self.work.rows):
            self.train_on(x[part], y[part])
        self.wait()

    def classes(self, x: Any) -> Any:
        """The likeliest class of each row, as a NumPy array."""
        raise NotImplementedError


def _parts(order: Any, rows: int) -> Iterator[Any]:
    for i in range(0, len(order), rows):
        yield order[i : i + rows]
