"""arraynn's step written out in NumPy calls, without blocks, layers, nests or an engine: what their generality costs.

The arithmetic and the arrays that are made are those of arraynn's blocks, so only for workloads that it takes in one
pass, as row blocks would be another program. Large parameters are updated in slices on threads, as its engine does.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ..workloads import BETA1, BETA2, EPSILON, RATE
from . import Base

SLICE, BLOCK = 65536, 260_000  # as arraynn's engine has them


class Peer(Base):
    def open(self, threads: int, variant: str) -> None:
        if self.work.dropout or self.work.l2:
            raise NotImplementedError("it is written for the plain workloads")
        size = max(BLOCK, 2 * self.work.parameters)
        if round(self.work.rows * sum(self.work.widths[1:]) / size) > 1:
            raise NotImplementedError("row blocks are not written out by hand")
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def reset(self) -> None:
        self.layers = self.work.weights()
        self.m = [[np.zeros_like(p) for p in layer] for layer in self.layers]
        self.v = [[np.zeros_like(p) for p in layer] for layer in self.layers]
        self.t = 0

    def training(self) -> Any:
        return np.errstate(all="ignore")

    def forward(self, x: np.ndarray) -> list[np.ndarray]:
        taken = [x]
        for i, (w, b) in enumerate(self.layers):
            y = taken[-1] @ w
            y += b
            taken.append(np.maximum(y, np.float32(0)) if i + 1 < len(self.layers) else y)
        return taken

    def loss(self) -> float:
        z = self.forward(self.x)[-1]
        z = z - z.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), self.y]))

    def step(self) -> None:
        taken = self.forward(self.x)
        target = (self.y[:, None] == np.arange(taken[-1].shape[1])).astype("float32")
        z = taken[-1] - np.max(taken[-1], axis=1, keepdims=True)
        p = np.exp(z)
        sums = np.sum(p, axis=1, keepdims=True)
        p /= sums
        np.sum(np.log(sums[:, 0]) - np.sum(z * target, axis=1)) / len(z)  # the loss, which a step reports
        dy = p - target
        dy *= np.float32(1 / len(z))
        grads: list[Any] = [None] * len(self.layers)
        for i in reversed(range(len(self.layers))):
            grads[i] = taken[i].T @ dy, np.ones(len(dy), dy.dtype) @ dy
            if i:
                dy = dy @ self.layers[i][0].T
                dy = dy * (taken[i] > 0).astype("float32")
        self.t += 1
        rate, root = RATE / (1 - BETA1**self.t), (1 - BETA2**self.t) ** 0.5
        for layer, own, m, v in zip(self.layers, grads, self.m, self.v, strict=True):
            for leaf in zip(layer, own, m, v, strict=True):
                self.update(*leaf, rate, root)

    def update(self, p: Any, g: Any, m: Any, v: Any, rate: float, root: float) -> None:
        if p.size <= SLICE:
            return adam(p, g, m, v, rate, root)
        flat = [a.reshape(-1) for a in (p, g, m, v)]
        parts = [slice(i, i + SLICE) for i in range(0, p.size, SLICE)]
        run = self.pool.map if self.pool else map
        for _ in run(lambda part: adam(*(a[part] for a in flat), rate, root), parts):
            pass
        return None

    def outputs(self) -> np.ndarray:
        return self.forward(self.x)[-1]


def adam(p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, rate: float, root: float) -> None:
    m *= BETA1
    m += (1 - BETA1) * g
    v *= BETA2
    v += (1 - BETA2) * g * g
    denominator = np.sqrt(v)
    denominator /= root
    denominator += EPSILON
    p -= rate * m / denominator
