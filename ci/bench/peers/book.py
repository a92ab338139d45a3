"""Plain NumPy as a first book on the subject teaches it: objects that keep what backward needs, a new array a line."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..workloads import BETA1, BETA2, EPSILON, RATE
from . import Base


class DenseLayer:
    def __init__(self, weights: np.ndarray, biases: np.ndarray, l2: float) -> None:
        self.weights, self.biases, self.l2 = weights.copy(), biases[None].copy(), l2

    def forward(self, inputs: np.ndarray, training: bool) -> None:
        self.inputs = inputs
        self.output = np.dot(inputs, self.weights) + self.biases

    def backward(self, dvalues: np.ndarray) -> None:
        self.dweights = np.dot(self.inputs.T, dvalues)
        self.dbiases = np.sum(dvalues, axis=0, keepdims=True)
        if self.l2 > 0:
            self.dweights += 2 * self.l2 * self.weights
            self.dbiases += 2 * self.l2 * self.biases
        self.dinputs = np.dot(dvalues, self.weights.T)


class ReLUActivation:
    def forward(self, inputs: np.ndarray, training: bool) -> None:
        self.inputs = inputs
        self.output = np.maximum(0, inputs)

    def backward(self, dvalues: np.ndarray) -> None:
        self.dinputs = dvalues.copy()
        self.dinputs[self.inputs <= 0] = 0


class DropoutLayer:
    def __init__(self, rate: float) -> None:
        self.keep = 1 - rate

    def forward(self, inputs: np.ndarray, training: bool) -> None:
        if not training:
            self.output = inputs.copy()
            return
        self.mask = np.random.binomial(1, self.keep, size=inputs.shape).astype("float32") / np.float32(self.keep)
        self.output = inputs * self.mask

    def backward(self, dvalues: np.ndarray) -> None:
        self.dinputs = dvalues * self.mask


class SoftmaxLoss:
    def forward(self, inputs: np.ndarray, labels: np.ndarray) -> float:
        exp = np.exp(inputs - np.max(inputs, axis=1, keepdims=True))
        self.output = exp / np.sum(exp, axis=1, keepdims=True)
        clipped = np.clip(self.output, 1e-7, 1 - 1e-7)
        return float(np.mean(-np.log(clipped[range(len(inputs)), labels])))

    def backward(self, labels: np.ndarray) -> None:
        self.dinputs = self.output.copy()
        self.dinputs[range(len(labels)), labels] -= 1
        self.dinputs = self.dinputs / np.float32(len(labels))


class AdamOptimizer:
    def __init__(self) -> None:
        self.iterations = 0

    def update(self, layer: DenseLayer) -> None:
        for name in ("weights", "biases"):
            if not hasattr(layer, f"{name}_momentums"):
                setattr(layer, f"{name}_momentums", np.zeros_like(getattr(layer, name)))
                setattr(layer, f"{name}_cache", np.zeros_like(getattr(layer, name)))
            gradient = getattr(layer, f"d{name}")
            momentums = BETA1 * getattr(layer, f"{name}_momentums") + (1 - BETA1) * gradient
            cache = BETA2 * getattr(layer, f"{name}_cache") + (1 - BETA2) * gradient**2
            setattr(layer, f"{name}_momentums", momentums)
            setattr(layer, f"{name}_cache", cache)
            corrected = momentums / (1 - BETA1 ** (self.iterations + 1))
            divisor = np.sqrt(cache / (1 - BETA2 ** (self.iterations + 1))) + EPSILON
            setattr(layer, name, getattr(layer, name) + -RATE * corrected / divisor)


class Peer(Base):
    def reset(self) -> None:
        self.layers: list[Any] = []
        pairs = self.work.weights()
        for w, b in pairs[:-1]:
            self.layers += [DenseLayer(w, b, self.work.l2), ReLUActivation()]
            self.layers += [DropoutLayer(self.work.dropout)] if self.work.dropout else []
        self.layers.append(DenseLayer(*pairs[-1], 0.0))
        self.trainable = [layer for layer in self.layers if isinstance(layer, DenseLayer)]
        self.head, self.optimizer = SoftmaxLoss(), AdamOptimizer()

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        for layer in self.layers:
            layer.forward(x, training)
            x = layer.output
        return x

    def penalty(self) -> float:
        return sum(
            layer.l2 * float(np.sum(p * p))
            for layer in self.trainable
            for p in (layer.weights, layer.biases)
            if layer.l2
        )

    def loss(self) -> float:
        return self.head.forward(self.forward(self.x, False), self.y) + self.penalty()

    def step(self) -> None:
        self.train_on(self.x, self.y)

    def train_on(self, x: np.ndarray, y: np.ndarray) -> None:
        self.head.forward(self.forward(x, True), y)
        self.penalty()
        self.head.backward(y)
        dvalues = self.head.dinputs
        for layer in reversed(self.layers):
            layer.backward(dvalues)
            dvalues = layer.dinputs
        for layer in self.trainable:
            self.optimizer.update(layer)
        self.optimizer.iterations += 1

    def outputs(self) -> np.ndarray:
        return self.forward(self.x, False)

    def classes(self, x: np.ndarray) -> np.ndarray:
        return self.forward(x, False).argmax(1)
