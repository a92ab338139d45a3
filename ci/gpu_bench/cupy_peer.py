"""arraynn on CuPy, or on any backend that is open, with the GPU's own clock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import arraynn as nn
from arraynn import tree
from arraynn.backends import Backend

from ..bench.peers import ours
from ..bench.workloads import Workload


class Peer(ours.Peer):
    """backend : opened already, where the process has one; else CuPy's first GPU."""

    def __init__(self, work: Workload, threads: int = 1, variant: str = "", backend: Backend | None = None) -> None:
        self.there = backend or nn.backend("cupy")
        super().__init__(work, threads, "fast")

    def open(self, threads: int, variant: str) -> None:
        super().open(threads, variant)
        self.backend = there = self.there
        self.batch = there.asarray(self.x), there.asarray(self.y, there.index_dtype), None

    def reset(self) -> None:
        self.params = tree.map(lambda leaf: self.there.asarray(leaf, copy=True), self.nest())
        with self.there.context():
            self.state = self.optimizer.init(self.params)

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
        return self.there.context()

    def elapsed(self, run: Callable[[], Any]) -> float:
        return elapsed(run)

    def device_memory(self) -> int:
        import cupy

        return int(cupy.get_default_memory_pool().total_bytes())  # the pool keeps what it has ever taken


def elapsed(run: Callable[[], Any]) -> float:
    """Milliseconds between two events that the GPU passes before and after what run() asks of it."""
    import cupy

    begin, end = cupy.cuda.Event(), cupy.cuda.Event()
    begin.record()
    run()
    end.record()
    end.synchronize()
    return float(cupy.cuda.get_elapsed_time(begin, end))
