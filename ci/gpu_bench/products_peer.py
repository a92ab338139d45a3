"""The floor on a GPU: the matrix products of a step by cuBLAS, into arrays that are there already, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..bench.peers import products
from .cupy_peer import elapsed


class Peer(products.Peer):
    def open(self, threads: int, variant: str) -> None:
        import cupy

        super().open(threads, variant)
        self.matmul = cupy.matmul
        for name in ("weights", "grads", "taken", "dtaken"):
            setattr(self, name, list(map(cupy.asarray, getattr(self, name))))
        self.synchronize = cupy.cuda.runtime.deviceSynchronize

    def wait(self) -> None:
        self.synchronize()

    def elapsed(self, run: Callable[[], Any]) -> float:
        return elapsed(run)
