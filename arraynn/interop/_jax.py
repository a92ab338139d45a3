"""JAX: wraps blocks as functions that `jax.grad` differentiates by the block's own backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._leaves import SplitArguments, forward
from ._need import need


def as_jax(block: Any) -> Callable[..., Any]:
    """Wrap a block, a loss or a layer for `jax.grad` and `jax.vjp`, which then call the block's own backward.

    block : such as `nn.relu`, `nn.softmax_cross_entropy`, or a layer, which is then called as (params, x, key=None).
    Returns a function with the block's arguments that returns y alone, a `jax.custom_vjp` over its arrays. Numbers,
    keys and None are static. It can be jitted and vmapped like any other. JAX carries only arrays from forward to
    backward, so the backward pass computes the forward again; under `jit` the compiler merges the two. Only reverse
    mode, and only once: no `jvp`, no second derivative.

    >>> import jax                                                                              # doctest: +SKIP
    >>> jax.grad(lambda x: as_jax(nn.relu)(x).sum())(jax.numpy.asarray([-1.0, 2.0]))            # doctest: +SKIP
    """
    jax = need("jax", "jax")
    import numpy as np

    def is_array(leaf: Any) -> bool:
        return isinstance(leaf, (jax.Array, np.ndarray))

    def zero(array: Any) -> Any:
        if jax.numpy.issubdtype(array.dtype, jax.numpy.inexact):
            return jax.numpy.zeros_like(array)
        return np.zeros(array.shape, jax.dtypes.float0)  # JAX's gradient of an integer array

    def function(*arguments: Any, **options: Any) -> Any:
        split = SplitArguments(arguments, is_array)

        @jax.custom_vjp  # type: ignore[untyped-decorator]
        def value(*arrays: Any) -> Any:
            return forward(block, split.filled(arrays), options)[0]

        def value_forward(*arrays: Any) -> Any:
            return value(*arrays), arrays

        def value_backward(arrays: Any, dy: Any) -> Any:
            _, backward = forward(block, split.filled(arrays), options)
            grads = split.gradients(block, backward(jax.tree.map(jax.numpy.asarray, dy), True))
            return tuple(
                zero(a) if g is None or not jax.numpy.issubdtype(a.dtype, jax.numpy.inexact) else g
                for g, a in zip(grads, arrays, strict=True)
            )

        value.defvjp(value_forward, value_backward)
        return value(*map(jax.numpy.asarray, split.arrays))

    return function
