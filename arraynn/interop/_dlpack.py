"""DLPack: passes arrays from one library to another without a copy."""

from __future__ import annotations

from typing import Any

from .. import tree
from .._types import Nest
from ..backends import backend as resolve
from ..errors import DataError


def from_dlpack(nest: Nest, backend: Any = "numpy") -> Nest:
    """The arrays of a nest as arrays of another library that share their memory, by the DLPack protocol.

    nest : anything with `__dlpack__` at its leaves, such as a TensorFlow tensor, or the parameters of a model.
    backend : as for `arraynn.backend`, "torch", an array, …; each array stays on its device.
    A write to one array is seen in the other, and JAX's arrays must not be written to. So copy (`nn.put`) arrays that
    an optimizer will consume. Raises DataError where the two libraries have no device in common.

    >>> import numpy as np
    >>> x = np.zeros(2)
    >>> y = from_dlpack({"w": x}, "numpy")["w"]
    >>> x[0] = 5.0
    >>> y
    array([5., 0.])
    """
    target = resolve(backend)

    def shared(leaf: Any) -> Any:
        if not hasattr(leaf, "__dlpack__"):
            raise DataError(f"{type(leaf).__name__} has no __dlpack__; use nn.backend({target.name!r}).asarray(x)")
        if getattr(leaf, "requires_grad", False):  # a tensor that requires a gradient cannot be exported
            leaf = leaf.detach()
        try:
            return target.xp.from_dlpack(leaf)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise DataError(
                f"{type(leaf).__name__} cannot be shared with {target.name}: {str(error).rstrip('.')}. nn.put copies it"
            ) from error

    return tree.map(shared, nest)
