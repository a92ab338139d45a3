"""Helpers for blocks on arrays of any library: namespace, device, zeros, sums and shape checks."""

from __future__ import annotations

import math
import sys
from types import ModuleType
from typing import Any

import array_api_compat

from .errors import ShapeError

_namespaces: dict[type, ModuleType] = {}


def namespace(x: Any, /) -> Any:
    """The array-API namespace of x, looked up once for each array type (40 ns from then on)."""
    try:
        return _namespaces[type(x)]
    except KeyError:
        try:
            # NumPy follows the standard by itself from 2.1 on; array_api_compat's module for it takes longer to import
            # than all of this library, as it brings numpy.testing and numpy.f2py with it
            itself = array_api_compat.is_numpy_array(x) and hasattr(sys.modules["numpy"], "unstack")
            xp = array_api_compat.array_namespace(x, use_compat=False if itself else None)
        except TypeError:
            kind = type(x).__name__
            raise TypeError(f"expected an array, got a {kind}; give np.asarray(…, dtype='float32') of it") from None
        if isinstance(xp, ModuleType):  # the namespaces of tracers may differ from one to the next
            _namespaces[type(x)] = xp
        return xp


def device(x: Any, /) -> Any:
    """The device of x, for the `device=` of creation functions. Works on JAX tracers, where `x.device` fails."""
    return array_api_compat.device(x)


def zero_like(x: Any, /) -> Any:
    """A 0-d zero of x's library, dtype and device."""
    return namespace(x).zeros((), dtype=x.dtype, device=device(x))


def zeros_as(x: Any, /) -> Any:
    """Zeros with the library, shape, dtype and device of x, which take no memory until they are written to.

    (NumPy's `zeros_like` writes them at once.) So the optimizer state of a model that only predicts takes no memory.
    """
    return namespace(x).zeros(x.shape, dtype=x.dtype, device=device(x))


def sum_of_rows(x: Any, /) -> Any:
    """The sum Σ_i x_ij of the rows of a matrix x (N, D), D at least 1: (D,).

    It is a product with ones, as BLAS adds several rows at a time and NumPy's sum one after another.
    """
    return namespace(x).ones_like(x[:, 0]) @ x


def row_means(x: Any, /) -> Any:
    """The mean of the numbers of each row, (N, …) to (N,)."""
    return x if len(x.shape) == 1 else namespace(x).mean(x, axis=tuple(range(1, len(x.shape))))


def rows_of_places(outputs: Any, targets: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Reshape outputs, targets and weights of sequences or images to one row per position.

    Outputs (N, …, K) become (M, K), targets (N, …) or (N, …, K) become (M,) or (M, K), and weights (N,) or (N, …)
    become (M,); None stays None. The caller has checked the shapes.
    """
    xp, shape = namespace(outputs), tuple(outputs.shape)
    rows = math.prod(shape[:-1])
    if weight is not None:
        own = tuple(weight.shape)
        weight = xp.reshape(weight, (*own, *[1] * (len(shape) - 1 - len(own))))
        weight = xp.reshape(xp.broadcast_to(weight, shape[:-1]), (rows,))
    targets = xp.reshape(targets, (rows,) if len(targets.shape) < len(shape) else (rows, shape[-1]))
    return xp.reshape(outputs, (rows, shape[-1])), targets, weight


def is_float(x: Any, /) -> bool:
    """Whether x holds real floating-point numbers, the only ones that have gradients."""
    return bool(namespace(x).isdtype(x.dtype, "real floating"))


def is_array(x: Any, /) -> bool:
    """Whether x is an array of any array-API library (not a list, not a number)."""
    return type(x) in _namespaces or hasattr(x, "__array_namespace__") or array_api_compat.is_array_api_obj(x)


def shape_of(what: str, x: Any) -> tuple[Any, ...]:
    """The shape of an array. Raises TypeError with a remedy for a list or a number."""
    try:
        return tuple(x.shape)
    except AttributeError:
        kind = type(x).__name__
        raise TypeError(f"{what} must be an array, got a {kind}; give np.asarray({what})") from None


def same_shape(what: str, x: Any, other: str, y: Any) -> None:
    """Raise ShapeError unless the shapes are equal: broadcasting (N, 1) and (N,) would silently give N × N numbers."""
    if shape_of(what, x) != shape_of(other, y):
        raise ShapeError(f"{what} has shape {tuple(x.shape)}, {other} has {tuple(y.shape)}; they must be the same")
