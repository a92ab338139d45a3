"""Who computes on a GPU: arraynn on CuPy, and PyTorch, eager and compiled, on the workloads of ci/bench. Each with the
clock of its device: events that the GPU itself passes, so that what is measured is done, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import arraynn as nn
from arraynn import tree
from arraynn.backends import Backend

from ..bench.peers import ours, pytorch
from ..bench.workloads import Workload


class Ours(ours.Peer):
    """arraynn on a backend that is open."""

    def __init__(self, work: Workload, backend: Backend) -> None:
        self.there = backend
        super().__init__(work, threads=1, variant="fast")

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

    def training(self) -> AbstractContextManager[Any]:
        return self.there.context()

    def wait(self) -> None:
        self.there.synchronize()

    def elapsed(self, run: Callable[[], Any]) -> float:
        """Milliseconds of the device for what run() asks of it."""
        import cupy

        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record()
        run()
        end.record()
        end.synchronize()
        return float(cupy.cuda.get_elapsed_time(begin, end))


class Torch(pytorch.Peer):
    """PyTorch on a CUDA GPU. device "cpu" is for a look at this code where there is none; it has no clock there."""

    def __init__(self, work: Workload, variant: str, device: str = "cuda") -> None:
        self.device = device
        super().__init__(work, threads=1, variant=variant)

    def open(self, threads: int, variant: str) -> None:
        super().open(threads, variant)
        self.model.to(self.device)  # in place, so the compiled functions mean these weights
        self.tx, self.ty = self.tx.to(self.device), self.ty.to(self.device)

    def wait(self) -> None:
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def elapsed(self, run: Callable[[], Any]) -> float:
        """As of `Ours`."""
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end))


def opened(work: Workload, backend: Backend, say: Callable[[str], None]) -> dict[str, Any]:
    """The lanes that this machine has; why another is missing is said."""
    lanes: dict[str, Any] = {"arraynn": Ours(work, backend)}
    try:
        import torch
    except ImportError as error:
        say(f"without torch: {error}")
        return lanes
    if not torch.cuda.is_available():
        say(f"without torch: torch {torch.__version__} finds no CUDA GPU that it can use")
        return lanes
    return lanes | {"torch": Torch(work, ""), "torch-compile": Torch(work, "compile")}
