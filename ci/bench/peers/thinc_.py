"""Thinc: Relu and Softmax layers, its loss and its Adam (epsilon before the correction, no clipping, no decay)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ..workloads import BETA1, BETA2, EPSILON, RATE
from . import Base


class Peer(Base):
    def open(self, threads: int, variant: str) -> None:
        if self.work.l2:
            raise NotImplementedError("Thinc's L2 is a factor of the optimizer, for all weights")
        from thinc.api import Adam, CategoricalCrossentropy, Relu, Softmax, chain

        widths = self.work.widths
        hidden = [Relu(o, i, dropout=self.work.dropout or None) for i, o in pairwise(widths[:-1])]
        self.model = chain(*hidden, Softmax(widths[-1], widths[-2])).initialize(self.x, None)
        self.gradient = CategoricalCrossentropy().get_grad
        self.adam = lambda: Adam(RATE, beta1=BETA1, beta2=BETA2, eps=EPSILON, L2=0.0, grad_clip=0.0, use_averages=False)

    def reset(self) -> None:
        layers = [node for node in self.model.walk(order="dfs_pre") if node.has_param("W")]
        for layer, (w, b) in zip(layers, self.work.weights(), strict=True):
            layer.set_param("W", np.ascontiguousarray(w.T))
            layer.set_param("b", b)
        self.optimizer = self.adam()

    def loss(self) -> float:
        p = self.model.predict(self.x)
        return float(-np.log(p[np.arange(len(p)), self.y]).mean())

    def step(self) -> None:
        self.train_on(self.x, self.y)

    def outputs(self) -> Any:
        return self.model.predict(self.x)

    def train_on(self, x: Any, y: Any) -> None:
        guesses, backprop = self.model.begin_update(x)
        backprop(self.gradient(guesses, y))
        self.model.finish_update(self.optimizer)

    def classes(self, x: Any) -> Any:
        return self.model.predict(x).argmax(1)
