"""scikit-learn: MLPClassifier.partial_fit, one batch a call. It has no dropout, and its L2 is another one."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..workloads import BETA1, BETA2, EPSILON, RATE
from . import Base


class Peer(Base):
    def open(self, threads: int, variant: str) -> None:
        if self.work.dropout or self.work.l2:
            raise NotImplementedError("MLPClassifier has no dropout, and penalizes other weights by another factor")
        warnings.simplefilter("ignore")

    def reset(self) -> None:
        from sklearn.neural_network import MLPClassifier

        hidden, rows = self.work.widths[1:-1], self.work.rows
        adam = {"learning_rate_init": RATE, "beta_1": BETA1, "beta_2": BETA2, "epsilon": EPSILON}
        self.model = MLPClassifier(hidden, alpha=0.0, batch_size=rows, shuffle=False, random_state=0, **adam)
        classes = np.arange(self.work.widths[-1])
        self.model.partial_fit(self.x, self.y, classes=classes)  # draws weights, and makes a step
        for i, (w, b) in enumerate(self.work.weights()):
            self.model.coefs_[i][...], self.model.intercepts_[i][...] = w, b
        for moments in (self.model._optimizer.ms, self.model._optimizer.vs):
            for moment in moments:
                moment[...] = 0
        self.model._optimizer.t = 0

    def loss(self) -> float:
        p = self.model.predict_proba(self.x)
        return float(-np.log(p[np.arange(len(p)), self.y]).mean())

    def step(self) -> None:
        self.model.partial_fit(self.x, self.y)

    def outputs(self) -> Any:
        return self.model.predict_proba(self.x)

    def train_on(self, x: Any, y: Any) -> None:
        self.model.batch_size = min(self.work.rows, len(x))
        self.model.partial_fit(x, y)

    def classes(self, x: Any) -> Any:
        return self.model.predict(x)
