"""Layers and losses called by their contract: a block that breaks it is named, with its place and what was expected.

The library's own blocks are called as they are; what comes from outside is looked at.
"""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any

from . import tree
from ._array import is_array
from ._coupling import outside
from ._types import Array, Backward, LayerLike, Nest
from .errors import ArraynnError, ContractError, DataError

LAYER = "a layer is called as layer(params, x, key=None) and returns (y, backward)"
BACKWARD = "a layer's backward takes (dy, need_dx=True) and returns (dx, grads), where grads is a nest like params"
INIT = "a layer's init takes (rng, input_shape, dtype) and returns (params, output_shape)"
LOSS = (
    "a loss takes (outputs, targets, *, sample_weight=None, total=None) and returns (loss, backward), one number and a "
    "function backward(dloss=1.0) -> doutputs"
)


def called(layer: LayerLike, params: Nest, x: Nest, key: Any) -> tuple[Nest, Backward]:
    """(y, backward) of a layer. ContractError, without a place, where it is not called or does not answer as a layer
    does; DataError for parameters and inputs of two libraries, and for lists in place of arrays."""
    try:
        result = layer(params, x, key)
    except ArraynnError:
        raise
    except Exception as error:
        if not takes(layer, params, x, key):
            raise ContractError(f"it takes {_signature(layer)}, but {LAYER}") from error
        if told := _not_arrays(params, x):
            raise DataError(told) from error
        raise
    if not _is_outside(type(layer)):
        return result
    y, backward = _pair(result, f"its forward returns {{}}, but {LAYER}")
    if not callable(backward):
        raise ContractError(f"its forward returns {_form(y)} and {_form(backward)}, but {LAYER}")

    def called_backward(dy: Nest, need_dx: bool = True) -> tuple[Nest, Nest]:
        try:
            result = backward(dy, need_dx)
        except TypeError as error:
            if not takes(backward, dy, need_dx):
                raise ContractError(f"its backward takes {_signature(backward)}, but {BACKWARD}") from error
            raise
        dx, grads = _pair(result, f"its backward returns {{}}, but {BACKWARD}")
        if need_dx and dx is not None and _shapes(dx) != _shapes(x):
            raise ContractError(f"its backward returns dx {_told(dx)} for x {_told(x)}; {BACKWARD}")
        if _shapes(grads) != _shapes(params):
            raise ContractError(f"its backward returns grads {_told(grads)} for params {_told(params)}; {BACKWARD}")
        return dx, grads

    return y, called_backward


def initialized(layer: LayerLike, rng: Any, shape: Any, dtype: str) -> tuple[Nest, Any]:
    """(params, output_shape) of a layer; ContractError where its init returns something else."""
    result = layer.init(rng, shape, dtype)
    if not _is_outside(type(layer)):
        return result
    params, output_shape = _pair(result, f"its init returns {{}}, but {INIT}")
    if not isinstance(output_shape, (tuple, list)):
        raise ContractError(f"its init returns the output shape {output_shape!r}, but {INIT}; a shape is a tuple")
    return params, tuple(output_shape)


def called_loss(
    loss: Any, outputs: Nest, targets: Array, sample_weight: Array | None, total: Any
) -> tuple[Any, Backward]:
    """(loss, backward) of a Loss. ContractError where it does not take or return what a loss does."""
    own = getattr(loss, "function", loss)  # of a block that is given as a function
    place = {"layer": getattr(own, "__name__", type(own).__name__), "path": "loss"}
    try:
        result = loss(outputs, targets, sample_weight=sample_weight, total=total)
    except TypeError as error:
        if not takes(own, outputs, targets, sample_weight=sample_weight, total=total):
            raise ContractError(f"it takes {_signature(own)}, but {LOSS}", **place) from error
        raise
    if not (outside(type(own).__module__) and outside(getattr(own, "__module__", None) or "")):
        return result
    value, backward = _pair(result, f"it returns {{}}, but {LOSS}", **place)
    if not callable(backward) or tuple(getattr(value, "shape", ())) != ():
        raise ContractError(f"it returns {_form(value)} and {_form(backward)}, but {LOSS}", **place)

    def called_loss_backward(*dloss: Any) -> Nest:
        try:
            doutputs = backward(*dloss)
        except TypeError as error:
            if not takes(backward, *dloss):
                raise ContractError(f"its backward takes {_signature(backward)}, but {LOSS}", **place) from error
            raise
        if _shapes(doutputs) != _shapes(outputs):
            told = f"its backward returns {_told(doutputs)} for outputs {_told(outputs)}"
            raise ContractError(f"{told}; {LOSS}", **place)
        return doutputs

    return value, called_loss_backward


def takes(function: Any, *args: Any, **kwargs: Any) -> bool:
    """Whether a function can be called with these; True where nobody can tell."""
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except ValueError:
        return True
    except TypeError:
        return False
    return True


@lru_cache(maxsize=1024)
def _is_outside(kind: Any) -> bool:
    return outside(kind.__module__)


def _pair(result: Any, told: str, **place: str) -> Any:
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise ContractError(told.format(_form(result)), **place)
    return result


def _not_arrays(params: Nest, x: Nest) -> str:
    """What is said of lists for arrays, and of arrays of two libraries; "" of neither."""
    for what, nest in (("x", x), ("params", params)):
        for leaf in [nest] if what == "x" and isinstance(nest, list) else tree.leaves(nest):
            if isinstance(leaf, (list, int, float)):
                return (
                    f"{what} holds {_form(leaf)} where an array is expected; give np.asarray({what}, dtype='float32')"
                )
    kinds = [type(leaf) for leaf in (tree.first(params), tree.first(x)) if is_array(leaf)]
    libraries = [kind.__module__.partition(".")[0].replace("jaxlib", "jax") for kind in kinds]
    if len(set(libraries)) > 1:
        return (
            f"the parameters are arrays of {libraries[0]} and x is one of {libraries[1]}; bring them to one place, as "
            f"by params = nn.put(params, like=x)"
        )
    return ""


def _shapes(nest: Nest) -> Any:
    """The nest with shapes in place of arrays; keys in one order."""
    if isinstance(nest, dict):
        return {key: _shapes(value) for key, value in nest.items()}
    if isinstance(nest, (list, tuple)):
        return [_shapes(value) for value in nest]
    return tuple(nest.shape) if hasattr(nest, "shape") else type(nest)


def _told(nest: Nest) -> str:
    """The nest of shapes, as a message shows it."""
    if isinstance(nest, dict):
        return "{" + ", ".join(f"{key!r}: {_told(value)}" for key, value in nest.items()) + "}"
    if isinstance(nest, (list, tuple)):
        return "[" + ", ".join(map(_told, nest)) + "]"
    return str(tuple(nest.shape)) if hasattr(nest, "shape") else _form(nest)


def _form(value: Any) -> str:
    if value is None:
        return "None"
    if hasattr(value, "shape"):
        return f"one array of shape {tuple(value.shape)}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)} items"
    return "a function" if callable(value) else f"a {type(value).__name__}"


def _signature(function: Any) -> str:
    return str(inspect.signature(function))
