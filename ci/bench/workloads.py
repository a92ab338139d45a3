"""What is computed: networks of dense layers with ReLU between, softmax and cross-entropy, Adam, float32.

Data and weights follow from the workload alone, so that every peer starts from the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .networks import NETWORKS, Network

RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8  # Adam's


@dataclass(frozen=True)
class Workload:
    """widths : of the inputs, the hidden layers and the outputs. rows : of a batch, which is one step's.

    dropout : rate behind each hidden layer. l2 : factor of Σ w² + Σ b² over the hidden layers.
    """

    name: str
    widths: tuple[int, ...]
    rows: int
    dropout: float = 0.0
    l2: float = 0.0

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """x : (rows, widths[0]) float32, and as many labels, int64."""
        rng = np.random.default_rng(1)
        x = rng.standard_normal((self.rows, self.widths[0]), dtype="float32")
        return x, rng.integers(0, self.widths[-1], self.rows)

    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(n_in, n_out) weights, Glorot's, and small biases, layer by layer."""
        rng = np.random.default_rng(2)
        made = []
        for n_in, n_out in zip(self.widths, self.widths[1:], strict=False):
            most = (6 / (n_in + n_out)) ** 0.5
            made.append((rng.uniform(-most, most, (n_in, n_out)).astype("float32"), np.full(n_out, 0.01, "float32")))
        return made

    @property
    def parameters(self) -> int:
        return sum(n_in * n_out + n_out for n_in, n_out in zip(self.widths, self.widths[1:], strict=False))

    @property
    def products(self) -> int:
        """Multiplications in the matrix products of a step: three a layer, but no dx for the first one."""
        sizes = [n_in * n_out for n_in, n_out in zip(self.widths, self.widths[1:], strict=False)]
        return self.rows * (3 * sum(sizes) - sizes[0])


SPIRAL = Workload("spiral", (2, 64, 3), 300)
DROP = Workload("drop", (2, 512, 3), 3000)
REGULARIZED = replace(DROP, name="drop+", dropout=0.1, l2=5e-4)
DROPPED = replace(DROP, name="dropout", dropout=0.1)
MNIST = Workload("mnist", (784, 512, 512, 10), 128)
WIDE = Workload("wide", (1024, 4096, 4096, 1000), 512)

DENSE = {w.name: w for w in (SPIRAL, DROP, DROPPED, REGULARIZED, MNIST, WIDE)}
WORKLOADS: dict[str, Workload | Network] = {**DENSE, **NETWORKS}

_BASE = Workload("base", (64, 256, 256, 10), 256)


def sweeps(cores: int) -> dict[str, list[tuple[Any, Workload, int]]]:
    """For each thing that is varied: (its value, the workload, threads)."""
    batch = [(n, replace(_BASE, rows=n), cores) for n in (16, 64, 256, 1024, 4096)]
    width = [(n, replace(_BASE, widths=(64, n, n, 10)), cores) for n in (32, 128, 512, 2048)]
    depth = [(n, replace(_BASE, widths=(64, *[256] * n, 10)), cores) for n in (1, 4, 16)]
    counts = [c for c in (1, 2, 4, 8, 16, 32) if c < cores] + [cores]
    threads = [(f"{c} · {w.name}", w, c) for w in (DROP, MNIST) for c in counts]
    return {"batch size": batch, "width": width, "depth": depth, "cores": threads}
