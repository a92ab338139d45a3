"""`check_against`: compares a backward with another library's autodiff of the same forward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from .. import tree
from .._array import is_array, is_float
from .._types import Array, Nest
from ..backends import of
from ._case import Case, Leaf, case_of, floats_of, host, is_loss, paired

Gradients = Callable[[Case, list[Leaf], list[np.ndarray]], list[np.ndarray]]


def check_against(
    block: Any,
    /,
    *args: Any,
    oracle: str = "torch",
    key: Any = None,
    seed: int = 0,
    rtol: float = 1e-9,
    wrt: Sequence[str] | None = None,
    **kwargs: Any,
) -> None:
    """Compare backward with the autodiff of `oracle`, which runs the same forward on its own arrays, in float64.

    block, args, key, seed, wrt, kwargs : as in `check_backward`; arguments of any library are converted.
    oracle : "torch" (torch.autograd) or "jax" (jax.vjp); ImportError if it is not installed.
    rtol : relative to the largest element of each gradient, 1e-9 by default. A gradient that consists of rounding
        errors may differ by 1e-13 of the largest gradient, such as that of a bias before BatchNorm, which cancels it.

    Raises AssertionError that names the gradient, the worst element, and both values. Finite differences cannot detect
    errors this small, and an oracle cannot detect a wrong forward, so the two checks complement each other. At kinks
    the two may differ although both are right: torch takes 1/2 at the tie of a maximum, relu takes 0.
    """
    case = case_of(block, args, kwargs, key, seed, wrt)
    if oracle not in ORACLES:
        raise ValueError(f"oracle must be one of {', '.join(ORACLES)}, got {oracle!r}")
    put, context, autodiff = ORACLES[oracle]()
    with context:
        case = case.map(lambda x: put(host(x) if is_float(x) else _on_host(x)))
        y, backward = case.call()
        loss = is_loss(backward)
        rng = np.random.default_rng(seed)
        outputs = [rng.standard_normal(leaf.shape) for leaf in floats_of(y)]
        rest = iter(outputs)
        dy = float(outputs[0]) if loss else tree.map(lambda leaf: put(next(rest)) if is_float(leaf) else None, y)
        found = _float_gradients(case, case.gradients(backward(dy), loss))
        expected = autodiff(case, [leaf for leaf, _ in found], outputs)
    noise = 1e-13 * max((float(np.max(np.abs(e), initial=0.0)) for e in expected), default=0.0)
    pairs = zip(found, expected, strict=True)
    wrong = [line for (leaf, g), e in pairs for line in _differs(leaf, host(g), e, rtol, noise)]
    if wrong:
        raise AssertionError(f"{case.name}: backward differs from {oracle}'s autodiff\n" + "\n".join(wrong))


def _float_gradients(case: Case, gradients: dict[str, Nest]) -> list[tuple[Leaf, Array]]:
    leaves = {leaf.path: leaf for leaf in case.leaves()}
    pairs = [(path, g) for name, nest in gradients.items() for path, _, g in paired(name, case.inputs[name], nest)]
    return [(leaves[path], g) for path, g in pairs if path in leaves and g is not None]


def _differs(leaf: Leaf, got: np.ndarray, expected: np.ndarray, rtol: float, noise: float) -> list[str]:
    if not got.size:
        return []
    error = np.abs(got - expected)
    if np.all(error <= rtol * np.max(np.abs(expected)) + noise):
        return []
    worst = np.unravel_index(int(np.nanargmax(np.where(np.isnan(error), np.inf, error))), got.shape)
    index = [int(i) for i in worst]
    return [f"{leaf.gradient} is wrong, most at {index}: expected {expected[worst]:.17g}, got {got[worst]:.17g}"]


def _on_host(x: Array) -> np.ndarray:
    return of(x).to_numpy(x)


def _torch() -> tuple[Callable[[np.ndarray], Any], AbstractContextManager[Any], Gradients]:
    import torch

    class Recorded(torch.Tensor):  # type: ignore[misc]
        """A tensor whose augmented assignment makes a new tensor, as autograd needs the old values again."""

        __iadd__ = torch.Tensor.__add__
        __isub__ = torch.Tensor.__sub__
        __imul__ = torch.Tensor.__mul__
        __itruediv__ = torch.Tensor.__truediv__
        __ipow__ = torch.Tensor.__pow__

    def put(x: np.ndarray) -> Any:
        tensor = torch.from_numpy(np.array(x)).as_subclass(Recorded)
        return tensor.requires_grad_() if tensor.is_floating_point() else tensor

    def autodiff(case: Case, leaves: list[Leaf], cotangents: list[np.ndarray]) -> list[np.ndarray]:
        arrays = [leaf.array for leaf in leaves]
        y = [leaf for leaf in tree.leaves(case.call()[0]) if is_array(leaf) and is_float(leaf)]
        dy = [torch.from_numpy(np.array(c)) for c in cotangents]
        pairs = [(a, b) for a, b in zip(y, dy, strict=True) if a.requires_grad]
        if not arrays or not pairs:
            return [np.zeros(tuple(a.shape)) for a in arrays]
        outputs, weights = zip(*pairs, strict=True)
        found = torch.autograd.grad(outputs, arrays, weights, allow_unused=True)
        return [np.zeros(tuple(a.shape)) if g is None else host(g) for a, g in zip(arrays, found, strict=True)]

    return put, nullcontext(), autodiff


def _jax() -> tuple[Callable[[np.ndarray], Any], AbstractContextManager[Any], Gradients]:
    import jax

    def autodiff(case: Case, leaves: list[Leaf], cotangents: list[np.ndarray]) -> list[np.ndarray]:
        def forward(arrays: list[Any]) -> list[Any]:
            moved = case
            for leaf, array in zip(leaves, arrays, strict=True):
                moved = moved.with_leaf(leaf, array)
            return [leaf for leaf in tree.leaves(moved.call()[0]) if is_array(leaf) and is_float(leaf)]

        _, vjp = jax.vjp(forward, [leaf.array for leaf in leaves])
        return [host(g) for g in vjp([jax.numpy.asarray(c) for c in cotangents])[0]]

    enabled = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    return jax.numpy.asarray, enabled(True), autodiff


ORACLES = {"torch": _torch, "jax": _jax}
