"""arraynn: as installed by default, with the extra `fast`, and through `Model.fit`, also with one thread."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from ..networks import Network
from ..workloads import BETA1, BETA2, EPSILON, RATE, Workload
from . import Base


def dense(nn: Any, work: Workload) -> Any:
    """The network of a workload of dense layers."""
    l2 = nn.L2(work.l2) if work.l2 else None
    layers: list[Any] = []
    for width in work.widths[1:-1]:
        layers += [nn.Dense(width, weight_regularizer=l2, bias_regularizer=l2), nn.ReLU()]
        layers += [nn.Dropout(work.dropout)] if work.dropout else []
    return nn.Sequential(*layers, nn.Dense(work.widths[-1]))


class Peer(Base):
    def open(self, threads: int, variant: str) -> None:
        if variant != "fast":
            sys.modules["numba"] = None  # type: ignore[assignment]  # as where it is not installed
        if variant == "fit-1":
            os.environ["ARRAYNN_NUM_THREADS"] = "1"
        import arraynn as nn

        work, self.nn, self.through_fit = self.work, nn, variant in ("fit", "fit-1")
        self.network = work.made(nn) if isinstance(work, Network) else dense(nn, work)
        self.loss_of = nn.softmax_cross_entropy if getattr(work, "classes", True) else nn.mean_squared_error
        self.optimizer = nn.Adam(RATE, BETA1, BETA2, EPSILON)
        self.take = nn.make_train_step(self.network, self.loss_of, self.optimizer)
        self.key, self.batch = nn.Key(0), (self.x, self.y, None)
        self.backend = nn.backend("numpy")

    def nest(self) -> Any:
        if isinstance(self.work, Network):
            return self.work.weights()
        weights, nest = iter(self.work.weights()), []
        for layer in self.network.layers:
            w, b = next(weights) if isinstance(layer, self.nn.Dense) else (None, None)
            nest.append({} if w is None else {"weight": w, "bias": b})
        return nest

    def reset(self) -> None:
        self.params = self.nest()
        self.state = self.optimizer.init(self.params)
        self.model = self.nn.Model(
            self.network, loss=self.loss_of, optimizer=self.optimizer, backend="numpy", metrics=()
        ).build(self.x.shape[1:])
        self.model.params = self.params
        if self.through_fit:
            del self.params  # the model's are all that its users have

    def training(self) -> AbstractContextManager[Any]:
        return self.backend.context()

    def loss(self) -> float:
        params = self.model.params if self.through_fit else self.params
        outputs, _ = self.network(params, self.x)
        value = self.loss_of(outputs, self.y)[0] + self.network.penalty(params)[0]
        return float(value)

    def step(self) -> None:
        self.params, self.state, _ = self.take(self.params, self.state, self.batch, self.key)

    def steps(self, count: int) -> None:
        if not self.through_fit:
            return super().steps(count)
        self.model.fit(self.x, self.y, epochs=count, batch_size=None, verbose=0)
        return None

    def outputs(self) -> Any:
        return self.model(self.x)

    def epoch(self, x: Any, y: Any, order: Any) -> None:
        # as its users would; the permutation is its own
        self.model.fit(x, y, epochs=1, batch_size=self.work.rows, verbose=0)

    def classes(self, x: Any) -> Any:
        return np.asarray(self.model.predict(x))
