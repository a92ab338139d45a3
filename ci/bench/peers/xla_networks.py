"""JAX on images, text and series: XLA's own convolution and windows, attention by products, `lax.scan` over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import xla


class Peer(xla.Peer):
    def functions(self) -> tuple[Any, Any]:
        jax, jnp, work = self.jax, self.jnp, self.work
        forward = {"lenet": _lenet, "transformer": _transformer, "lstm": _lstm}[work.name]

        def outputs_of(params: Any, x: Any) -> Any:
            return forward(jax, params, x)

        def loss_of(params: Any, x: Any, y: Any, key: Any = None) -> Any:
            outputs = outputs_of(params, x)
            if not work.classes:
                return jnp.mean((outputs - y) ** 2)
            return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(outputs), y[..., None], axis=-1))

        return outputs_of, loss_of

    def weights(self) -> Any:
        return self.jax.tree.map(self.jnp.array, self.work.weights())


def _affine(x: Any, layer: Any) -> Any:
    return x @ layer["weight"] + layer["bias"]


def _lenet(jax: Any, params: Any, x: Any) -> Any:
    for place in (0, 3):
        layout = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(x, params[place]["weight"], (1, 1), "VALID", dimension_numbers=layout)
        x = jax.nn.relu(x + params[place]["bias"])
        x = jax.lax.reduce_window(x, -np.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return _affine(jax.nn.relu(_affine(x.reshape(x.shape[0], -1), params[7])), params[9])


def _transformer(jax: Any, params: Any, x: Any) -> Any:
    jnp = jax.numpy
    characters, places, *blocks, norm, last = params
    x = characters["weight"][x] + places["weight"]
    n, t, d = x.shape

    def normed(x: Any, layer: Any) -> Any:
        centred = x - jnp.mean(x, axis=-1, keepdims=True)
        spread = jnp.mean(centred * centred, axis=-1, keepdims=True)
        return centred * jax.lax.rsqrt(spread + 1e-5) * layer["scale"] + layer["bias"]

    for (first, own), (second, up, _, down) in zip(blocks[::2], blocks[1::2], strict=True):
        y = normed(x, first)
        q, k, v = (
            (y @ own[f"{name}_weight"] + own[f"{name}_bias"]).reshape(n, t, 4, d // 4)
            for name in ("query", "key", "value")
        )
        y = jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(n, t, d)
        x = x + y @ own["output_weight"] + own["output_bias"]
        x = x + _affine(jax.nn.relu(_affine(normed(x, second), up)), down)
    return _affine(normed(x, norm), last)


def _lstm(jax: Any, params: Any, x: Any) -> Any:
    jnp, own = jax.numpy, params[0]
    whole = jnp.swapaxes(_affine(x, own), 0, 1)  # all steps' products with x at once

    def step(carry: Any, z: Any) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(z + h @ own["recurrent_weight"], 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    zeros = jnp.zeros((x.shape[0], own["recurrent_weight"].shape[0]), x.dtype)
    (h, _), _ = jax.lax.scan(step, (zeros, zeros), whole)
    return _affine(h, params[1])
