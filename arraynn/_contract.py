"""Calls layers and losses and checks the contract: the error names the block, its place and what was expected.

The library's own blocks are called without checks; blocks from outside are checked. `_contract_of_rules.py` does the
same for optimizers, metrics, penalties, initializers, schedules and callbacks.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import tree
from ._array import is_array, is_float
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
    """Call a layer: (y, backward).

    Raises ContractError (without a place) if its arguments or its results are not those of a layer, DataError for
    parameters and inputs of two libraries and for lists in place of arrays.
    """
    try:
        result = layer(params, x, key)
    except ArraynnError:
        raise
    except Exception as error:
        if not takes(layer, params, x, key):
            raise ContractError(f"it takes {signature(layer)}, but {LAYER}") from error
        if text := _not_arrays(params, x):
            raise DataError(text) from error
        raise
    if not is_outside(type(layer)):
        return result
    y, backward = pair(result, f"its forward returns {{}}, but {LAYER}")
    if not callable(backward):
        raise ContractError(f"its forward returns {form(y)} and {form(backward)}, but {LAYER}")

    def called_backward(dy: Nest, need_dx: bool = True) -> tuple[Nest, Nest]:
        try:
            result = backward(dy, need_dx)
        except TypeError as error:
            if not takes(backward, dy, need_dx):
                raise ContractError(f"its backward takes {signature(backward)}, but {BACKWARD}") from error
            raise
        dx, grads = pair(result, f"its backward returns {{}}, but {BACKWARD}")
        if need_dx and shapes(dx) != shapes(x) and (dx is not None or is_differentiable(x)):
            raise ContractError(f"its backward returns dx {shown(dx)} for x {shown(x)}; {BACKWARD}")
        if shapes(grads) != shapes(params):
            raise ContractError(f"its backward returns grads {shown(grads)} for params {shown(params)}; {BACKWARD}")
        return dx, grads

    return y, called_backward


def initialized(layer: LayerLike, rng: Any, shape: Any, dtype: str) -> tuple[Nest, Any]:
    """Call a layer's init: (params, output_shape). Raises ContractError if it returns something else."""
    if not is_outside(type(layer)):
        return layer.init(rng, shape, dtype)
    if not takes(layer.init, rng, shape, dtype):
        raise ContractError(f"its init takes {signature(layer.init)}, but {INIT}")
    result = layer.init(rng, shape, dtype)
    params, output_shape = pair(result, f"its init returns {{}}, but {INIT}")
    for leaf in tree.leaves(params):
        if not is_array(leaf):
            raise ContractError(f"its init returns parameters that hold {form(leaf)}, but {INIT}; params are arrays")
    if not isinstance(output_shape, (tuple, list)):
        raise ContractError(f"its init returns the output shape {output_shape!r}, but {INIT}; a shape is a tuple")
    return params, tuple(output_shape)


def called_loss(
    loss: Any, outputs: Nest, targets: Array, sample_weight: Array | None, total: Any
) -> tuple[Any, Backward]:
    """Call a loss: (loss, backward). Raises ContractError if its arguments or its results are not those of a loss."""
    own = getattr(loss, "function", loss)  # the block of a FunctionLoss
    place = {"layer": getattr(own, "__name__", type(own).__name__), "path": "loss"}
    try:
        result = loss(outputs, targets, sample_weight=sample_weight, total=total)
    except TypeError as error:
        if not takes(own, outputs, targets, sample_weight=sample_weight, total=total):
            raise ContractError(f"it takes {signature(own)}, but {LOSS}", **place) from error
        raise
    if not (outside(type(own).__module__) and outside(getattr(own, "__module__", None) or "")):
        return result
    value, backward = pair(result, f"it returns {{}}, but {LOSS}", **place)
    if not callable(backward) or tuple(getattr(value, "shape", ())) != ():
        raise ContractError(f"it returns {form(value)} and {form(backward)}, but {LOSS}", **place)

    def called_loss_backward(*dloss: Any) -> Nest:
        try:
            doutputs = backward(*dloss)
        except TypeError as error:
            if not takes(backward, *dloss):
                raise ContractError(f"its backward takes {signature(backward)}, but {LOSS}", **place) from error
            raise
        if shapes(doutputs) != shapes(outputs):
            text = f"its backward returns {shown(doutputs)} for outputs {shown(outputs)}"
            raise ContractError(f"{text}; {LOSS}", **place)
        return doutputs

    return value, called_loss_backward


@contextmanager
def named(network: LayerLike) -> Iterator[None]:
    """Give a ContractError that has no place the name of the network."""
    try:
        yield
    except ContractError as error:
        raise (error if error.path else error.inside(type(network).__name__, "network")) from error.__cause__


def is_differentiable(x: Nest) -> bool:
    """Whether x is one array of floats, for which a layer must return a gradient if need_dx is True."""
    return is_array(x) and is_float(x)


def takes(function: Any, *args: Any, **kwargs: Any) -> bool:
    """Whether a function can be called with these arguments; True if its signature is not known."""
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except ValueError:
        return True
    except TypeError:
        return False
    return True


def is_outside(kind: Any) -> bool:
    """Whether a class does not belong to the library, so that its contract is checked."""
    return outside(kind.__module__)


def pair(result: Any, text: str, **place: str) -> Any:
    """The result, if it is a pair; otherwise raises ContractError, with the result's form inserted into `text`."""
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise ContractError(text.format(form(result)), **place)
    return result


def _not_arrays(params: Nest, x: Nest) -> str:
    """The message for lists in place of arrays, or for arrays of two libraries; "" if there are neither."""
    for what, nest in (("x", x), ("params", params)):
        for leaf in [nest] if what == "x" and isinstance(nest, list) else tree.leaves(nest):
            if isinstance(leaf, (list, int, float)):
                return f"{what} holds {form(leaf)} where an array is expected; give np.asarray({what}, dtype='float32')"
    kinds = [type(leaf) for leaf in (tree.first(params), tree.first(x)) if is_array(leaf)]
    libraries = [kind.__module__.partition(".")[0].replace("jaxlib", "jax") for kind in kinds]
    if len(set(libraries)) > 1:
        return (
            f"the parameters are arrays of {libraries[0]} and x is one of {libraries[1]}; move them to one library, "
            f"such as by params = nn.put(params, like=x)"
        )
    return ""


def shapes(nest: Nest) -> Any:
    """The nest with shapes in place of arrays, and lists in place of tuples."""
    if isinstance(nest, dict):
        return {key: shapes(value) for key, value in nest.items()}
    if isinstance(nest, (list, tuple)):
        return [shapes(value) for value in nest]
    return tuple(nest.shape) if hasattr(nest, "shape") else type(nest)


def shown(nest: Nest) -> str:
    """The nest's shapes as text for a message."""
    if isinstance(nest, dict):
        return "{" + ", ".join(f"{key!r}: {shown(value)}" for key, value in nest.items()) + "}"
    if isinstance(nest, (list, tuple)):
        return "[" + ", ".join(map(shown, nest)) + "]"
    return str(tuple(nest.shape)) if hasattr(nest, "shape") else form(nest)


def form(value: Any) -> str:
    """A short description of a value: "one array of shape (2, 3)", "a dict"."""
    if value is None:
        return "None"
    if hasattr(value, "shape"):
        return f"one array of shape {tuple(value.shape)}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)} items"
    return "a function" if callable(value) else f"a {type(value).__name__}"


def signature(function: Any) -> str:
    """A function's signature as text: "(dy, need_dx=True)"."""
    return str(inspect.signature(function))
