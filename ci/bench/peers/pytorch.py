"""PyTorch: eager, or the loss under torch.compile; Adam fused into one kernel in both."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..workloads import BETA1, BETA2, EPSILON, RATE
from . import Base


class Peer(Base):
    def open(self, threads: int, variant: str) -> None:
        import torch

        torch.set_num_threads(threads)
        self.torch = torch
        self.tx, self.ty = torch.from_numpy(self.x), torch.from_numpy(self.y)
        self.model = self.module()
        self.loss_of = torch.compile(self.plain_loss) if variant == "compile" else self.plain_loss
        self.outputs_of = torch.compile(self.model) if variant == "compile" else self.model

    def module(self) -> Any:
        torch, work = self.torch, self.work
        layers: list[Any] = []
        for n_in, n_out in zip(work.widths, work.widths[1:], strict=False):
            layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
            layers += [torch.nn.Dropout(work.dropout)] if work.dropout else []
        last = next(i for i in reversed(range(len(layers))) if isinstance(layers[i], torch.nn.Linear))
        model = torch.nn.Sequential(*layers[: last + 1])
        self.linear = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
        self.penalized = [p for layer in self.linear[:-1] for p in layer.parameters()]
        return model

    def plain_loss(self, x: Any, y: Any) -> Any:
        value = self.torch.nn.functional.cross_entropy(self.model(x), y)
        if self.work.l2:
            value = value + self.work.l2 * sum((p * p).sum() for p in self.penalized)
        return value

    def reset(self) -> None:
        self.load_weights()
        self.optimizer = self.adam()

    def load_weights(self) -> None:
        """The workload's weights, in place."""
        torch = self.torch
        with torch.no_grad():
            for layer, (w, b) in zip(self.linear, self.work.weights(), strict=True):
                layer.weight.copy_(torch.from_numpy(w.T))  # it keeps the transpose
                layer.bias.copy_(torch.from_numpy(b))

    def adam(self, **more: bool) -> Any:
        return self.torch.optim.Adam(self.model.parameters(), RATE, (BETA1, BETA2), EPSILON, fused=True, **more)

    def loss(self) -> float:
        self.model.eval()
        with self.torch.no_grad():
            value = float(self.plain_loss(self.tx, self.ty))
        self.model.train()
        return value

    def step(self) -> None:
        self.update(self.tx, self.ty)

    def update(self, x: Any, y: Any) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.loss_of(x, y).backward()
        self.optimizer.step()

    def outputs(self) -> Any:
        self.model.eval()
        with self.torch.inference_mode():
            result = self.outputs_of(self.tx)
        self.model.train()
        return result

    def train_on(self, x: Any, y: Any) -> None:
        self.update(self.torch.from_numpy(x), self.torch.from_numpy(y))

    def classes(self, x: Any) -> Any:
        self.model.eval()
        with self.torch.inference_mode():
            return np.asarray(self.model(self.torch.from_numpy(x)).argmax(1))
