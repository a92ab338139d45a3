"""The floor: the matrix products of a step and nothing else, into arrays that are there already."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import Base


class Peer(Base):
    honest = False  # it computes no loss
    matmul: Any = staticmethod(np.matmul)

    def open(self, threads: int, variant: str) -> None:
        sizes = list(zip(self.work.widths, self.work.widths[1:], strict=False))
        self.weights = [w for w, _ in self.work.weights()]
        self.grads = [np.empty_like(w) for w in self.weights]
        self.taken = [self.x, *(np.ones((self.work.rows, n_out), "float32") for _, n_out in sizes)]
        self.dtaken = [np.ones_like(a) for a in self.taken]

    def step(self) -> None:
        self.outputs()
        for i in reversed(range(len(self.weights))):
            self.matmul(self.taken[i].T, self.dtaken[i + 1], out=self.grads[i])
            if i:
                self.matmul(self.dtaken[i + 1], self.weights[i].T, out=self.dtaken[i])

    def outputs(self) -> None:
        for i, w in enumerate(self.weights):
            self.matmul(self.taken[i], w, out=self.taken[i + 1])
