"""arraynn on CuPy, or on any backend that is open, with the GPU's own clock: steps as CUDA graphs, or as kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import arraynn as nn
from arraynn import tree
from arraynn.backends import Backend
from arraynn.backends.cupy import capture

from ..bench.peers import ours
from ..bench.workloads import Workload


class Peer(ours.Peer):
    """variant : "", or "kernels" for steps without CUDA graphs. backend : opened already, where the process has one;
    else CuPy's first GPU."""

    def __init__(self, work: Workload, threads: int = 1, variant: str = "", backend: Backend | None = None) -> None:
        self.there, self.as_kernels = backend or nn.backend("cupy"), variant == "kernels"
        super().__init__(work, threads, "fast")

    def open(self, threads: int, variant: str) -> None:
        super().open(threads, variant)
        self.backend = there = self.there
        self.batch = there.asarray(self.x), there.asarray(self.y, there.index_dtype), None
        self.free = free() if there.name == "cupy" else 0

    def reset(self) -> None:
        params = tree.map(lambda leaf: self.there.asarray(leaf, copy=True), self.nest())
        with self.there.context():
            state = self.optimizer.init(params)
            if hasattr(self, "params"):  # in place, where a graph reads them
                known, new = (tree.leaves([a, b["slots"]]) for a, b in ((self.params, self.state), (params, state)))
                for old, leaf in zip(known, new, strict=True):
                    old[...] = leaf
                self.state = state | {"slots": self.state["slots"]}
                return
        self.params, self.state = params, state

    def loss(self) -> float:
        x, targets, _ = self.batch
        with self.there.context():
            value, _ = nn.softmax_cross_entropy(self.network(self.params, x)[0], targets)
            return self.there.fetch([value + self.network.penalty(self.params)[0]])[0]

    def outputs(self) -> Any:
        return self.network(self.params, self.batch[0])[0]

    def wait(self) -> None:
        self.there.synchronize()

    def training(self) -> AbstractContextManager[Any]:
        return kernels_only(self.there) if self.as_kernels else self.there.context()

    def elapsed(self, run: Callable[[], Any]) -> float:
        return elapsed(run)

    def device_memory(self) -> int:
        return self.free - free()  # pools keep what they have ever taken, and graphs have pools of their own


def free() -> int:
    """Bytes of the GPU that nobody has taken."""
    import cupy

    return int(cupy.cuda.runtime.memGetInfo()[0])


@contextmanager
def kernels_only(backend: Backend) -> Iterator[None]:
    """The backend's context, in which no CUDA graph is made."""
    before, capture.AFTER = capture.AFTER, math.inf
    try:
        with backend.context():
            yield
    finally:
        capture.AFTER = before


def elapsed(run: Callable[[], Any]) -> float:
    """Milliseconds between two events that the GPU passes before and after what run() asks of it."""
    import cupy

    begin, end = cupy.cuda.Event(), cupy.cuda.Event()
    begin.record()
    run()
    end.record()
    end.synchronize()
    return float(cupy.cuda.get_elapsed_time(begin, end))
