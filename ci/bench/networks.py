"""What is computed beside dense networks: images, text and series, with Adam, float32.

The networks are arraynn's; other peers write theirs as their users do, and start from the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Network:
    """A workload of layers other than dense ones.

    shape : of a row of x. rows : of a batch, which is one step's. classes : of each label, or 0 where targets are
    numbers. made(arraynn) -> the network.
    """

    name: str
    shape: tuple[int, ...]
    rows: int
    classes: int
    made: Callable[[Any], Any]
    dropout: float = 0.0
    l2: float = 0.0

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """x : (rows, *shape) float32, with a label each, int64; characters have a label at each place; a series, whose
        target is one number."""
        rng = np.random.default_rng(1)
        if self.name == "transformer":
            codes = rng.integers(0, self.classes, (self.rows, self.shape[0] + 1))
            return codes[:, :-1].copy(), codes[:, 1:].copy()
        x = rng.standard_normal((self.rows, *self.shape), dtype="float32")
        if not self.classes:
            return x, rng.standard_normal((self.rows, 1), dtype="float32")
        return x, rng.integers(0, self.classes, self.rows)

    def weights(self) -> Any:
        """arraynn's nest of float32 weights."""
        import arraynn as nn

        return self.made(nn).init(np.random.default_rng(2), self.shape)[0]

    @property
    def parameters(self) -> int:
        import arraynn as nn

        return sum(leaf.size for leaf in nn.tree.leaves(self.weights()))


def _lenet(nn: Any) -> Any:
    def convolution(filters: int) -> Any:
        return nn.Conv2D(filters, 5), nn.ReLU(), nn.MaxPool2D(2)

    return nn.Sequential(*convolution(20), *convolution(50), nn.Flatten(), nn.Dense(500), nn.ReLU(), nn.Dense(10))


def _transformer(nn: Any) -> Any:
    """Lesson 20's."""

    def block() -> Any:
        think = nn.Dense(128), nn.ReLU(), nn.Dense(64)
        attend = nn.LayerNorm(), nn.MultiHeadAttention(4, causal=True)
        return nn.Residual(*attend), nn.Residual(nn.LayerNorm(), *think)

    first = nn.Embedding(96, 64), nn.PositionalEmbedding(48)
    return nn.Sequential(*first, *block(), *block(), nn.LayerNorm(), nn.Dense(96))


def _lstm(nn: Any) -> Any:
    """Lesson 21's."""
    return nn.Sequential(nn.LSTM(16), nn.Dense(1))


LENET = Network("lenet", (28, 28, 1), 128, 10, _lenet)
TRANSFORMER = Network("transformer", (48,), 32, 96, _transformer)
LSTM = Network("lstm", (30, 1), 30, 0, _lstm)
NETWORKS = {w.name: w for w in (LENET, TRANSFORMER, LSTM)}
