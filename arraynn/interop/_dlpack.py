"""Arrays from one library to another without a copy, by the protocol that they share."""

from __future__ import annotations

from typing import Any

from .. import tree
from .._types import Nest
from ..backends import backend as resolve
from ..errors import DataError


def from_dlpack(nest: Nest, backend: Any = "numpy") -> Nest:
    """The arrays of a nest as arrays of another library, which share their memory: in, and out.

    nest : anything with `__dlpack__` at its leaves, such as a TensorFlow tensor, or the parameters of a model.
    backend : as for `arraynn.backend`, "torch", an array, …; each array stays on the device it is on.
    Who writes into the one writes into the other (JAX's arrays are never to be written into), so copy (`nn.put`) what
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
        leaf = leaf.detach() if getattr(leaf, "requires_grad", False) else leaf  # a tape cannot be shared
        try:
            return target.xp.from_dlpack(leaf)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise DataError(
                f"{type(leaf).__name__} cannot be shared with {target.name}: {str(error).rstrip('.')}. nn.put copies it"
            ) from error

    return tree.map(shared, nest)
