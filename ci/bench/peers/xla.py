"""JAX: the whole step under jax.jit, with weights and state donated."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..workloads import BETA1, BETA2, EPSILON, RATE
from . import Base


class Peer(Base):
    def open(self, threads: int, variant: str) -> None:
        import jax
        import jax.numpy as jnp

        self.jax, self.jnp = jax, jnp
        self.jx, self.jy = jnp.asarray(self.x), jnp.asarray(self.y)
        logits_of, loss_of = self.functions()

        @partial(jax.jit, donate_argnums=(0,))
        def step(state: Any, x: Any, y: Any) -> Any:
            params, m, v, t = state
            grads = jax.grad(loss_of)(params, x, y, jax.random.fold_in(jax.random.key(0), t))
            t = t + 1
            rate, root = RATE / (1 - BETA1**t), jnp.sqrt(1 - BETA2**t)
            m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, grads)
            v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, grads)
            params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + EPSILON), params, m, v)
            return params, m, v, t

        self.take, self.loss_of, self.logits = step, jax.jit(loss_of), jax.jit(logits_of)

    def functions(self) -> tuple[Any, Any]:
        """outputs(params, x), and loss(params, x, y, key)."""
        jax, jnp, work = self.jax, self.jnp, self.work

        def logits_of(params: Any, x: Any, key: Any = None) -> Any:
            for i, (w, b) in enumerate(params):
                x = x @ w + b
                if i + 1 < len(params):
                    x = jax.nn.relu(x)
                    if work.dropout and key is not None:
                        keep = jax.random.bernoulli(jax.random.fold_in(key, i), 1 - work.dropout, x.shape)
                        x = jnp.where(keep, x / (1 - work.dropout), 0)
            return x

        def loss_of(params: Any, x: Any, y: Any, key: Any = None) -> Any:
            logs = jax.nn.log_softmax(logits_of(params, x, key))
            value = -jnp.mean(jnp.take_along_axis(logs, y[:, None], axis=1))
            return value + work.l2 * sum(jnp.sum(p * p) for layer in params[:-1] for p in layer) if work.l2 else value

        return logits_of, loss_of

    def weights(self) -> Any:
        return [tuple(self.jnp.array(p) for p in layer) for layer in self.work.weights()]

    def reset(self) -> None:
        params = self.weights()
        zeros = partial(self.jax.tree.map, self.jnp.zeros_like)
        self.state = params, zeros(params), zeros(params), self.jnp.asarray(0, "int32")

    def loss(self) -> float:
        return float(self.loss_of(self.state[0], self.jx, self.jy))

    def step(self) -> None:
        self.state = self.take(self.state, self.jx, self.jy)

    def outputs(self) -> Any:
        return self.logits(self.state[0], self.jx).block_until_ready()

    def wait(self) -> None:
        self.jax.block_until_ready(self.state)

    def train_on(self, x: Any, y: Any) -> None:
        self.state = self.take(self.state, x, y)

    def classes(self, x: Any) -> Any:
        return np.asarray(self.logits(self.state[0], x)).argmax(1)
