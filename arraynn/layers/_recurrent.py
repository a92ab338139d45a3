"""Shared code of recurrent layers: time-major arrays, masks, and the base class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from .. import initializers
from .._array import device, namespace
from .._ranges import at_least_one
from .._text import row_shape
from .._types import Array, Backward, Nest, Shape
from ..errors import ShapeError
from ..regularizers import penalty_of
from ._base import Layer
from ._shapes import check_flags, check_rules, check_vectors

ORTHOGONAL = initializers.orthogonal()


def time_first(x: Array) -> Array:
    """(N, T, …) as (T, N, …), and back again."""
    return namespace(x).permute_dims(x, (1, 0, *range(2, len(x.shape))))


def states_before(states: Array, reverse: bool) -> Array:
    """The state before each step, (T, N, H): that of the step before, zeros for the first."""
    xp = namespace(states)
    zero = xp.zeros_like(states[:1, ...])
    return xp.concat((states[1:, ...], zero) if reverse else (zero, states[:-1, ...]), axis=0)


def steps_of(mask: Array | None, x: Array) -> Array | None:
    """A mask (N, T) as factors (T, N, 1) in the dtype of x; None if there is no mask."""
    if mask is None:
        return None
    if tuple(mask.shape) != tuple(x.shape[:2]):
        rows, steps = x.shape[:2]
        raise ShapeError(
            f"a mask must be {(rows, steps)}, one number a step, or for a layer ({rows},), the lengths, got "
            f"{tuple(mask.shape)}"
        )
    xp = namespace(x)
    steps = xp.astype(xp.astype(mask, xp.bool), x.dtype)
    return xp.reshape(time_first(steps), (x.shape[1], x.shape[0], 1))


def chosen(m: Array | None, new: Array, old: Array) -> Array:
    """The new state where the mask m is 1, else the old one. With m None it is the new state everywhere."""
    return new if m is None else new * m + old * (1 - m)


def check_steps(x: Array, w: Array, u: Array, b: Array, gates: int) -> None:
    """ShapeError where x is not (N, T, D) with at least one step, or weights are not those of so many gates."""
    if len(w.shape) != 2 or len(u.shape) != 2:
        raise ShapeError(f"w must be (D, {gates} H) and u (H, {gates} H), got {tuple(w.shape)} and {tuple(u.shape)}")
    units = u.shape[0]
    if len(x.shape) != 3 or x.shape[2] != w.shape[0] or x.shape[1] == 0:
        raise ShapeError(f"expected input (N, T, {w.shape[0]}) with at least one step, got {row_shape(x.shape[1:])}")
    if tuple(u.shape) != (units, gates * units) or w.shape[1] != gates * units:
        wide = "H" if gates == 1 else f"{gates} H"
        raise ShapeError(f"w must be (D, {wide}) and u (H, {wide}), got {tuple(w.shape)} and {tuple(u.shape)}")
    check_vectors(gates * units, b=b)


@dataclass(frozen=True)
class Recurrent(Layer):
    """A recurrent layer: x (N, T, D), or a pair (x, mask).

    mask : (N, T), which steps count, or (N,), how many do, from the first. A step that does not count leaves the state
        as it is, and its output is 0, as in PyTorch's packed sequences (Keras repeats the output before it). `Model`
        refuses lengths outside [0, T]; a layer called directly counts all T steps for a larger length.
    units : H, at least 1. return_sequences : True gives the states of all steps, (N, T, H), False the last one, (N, H).
    reverse : from the last step to the first; states stay in the order of time (Keras's go_backwards turns them).
    weight_initializer : of x's weights; recurrent_initializer : of the state's. bias_initializer : of biases.
    weight_regularizer, recurrent_regularizer, bias_regularizer : L1, L2, L1L2 or None.
    """

    units: int
    return_sequences: bool = False
    _: KW_ONLY
    reverse: bool = False
    weight_initializer: initializers.Initializer = initializers.glorot_uniform
    recurrent_initializer: initializers.Initializer = ORTHOGONAL
    bias_initializer: initializers.Initializer = initializers.zeros
    weight_regularizer: Any = None
    recurrent_regularizer: Any = None
    bias_regularizer: Any = None

    #: how many gates are computed from x and the state
    gates: ClassVar[int]
    #: the block: function(x, *parameters, mask=…, reverse=…) -> states, backward
    function: ClassVar[Callable[..., tuple[Array, Backward]]]
    #: the parameters, in the order in which the block takes them
    names: ClassVar[tuple[str, ...]] = ("weight", "recurrent_weight", "bias")

    def __post_init__(self) -> None:
        check_rules(self)
        kind = type(self).__name__
        remedy = f"; {kind} takes the units of its state only, those of the input are inferred: {kind}(64)"
        check_flags(self, "return_sequences", "reverse", remedy=remedy)
        at_least_one("units", self.units)

    def block(self, params: Nest, x: Array, mask: Array | None) -> tuple[Array, Backward]:
        """The states (N, T, H), and backward(dy, need_dx) -> dx and the gradients by the parameters' names."""
        weights = (params[name] for name in self.names)
        states, function_backward = self.function(x, *weights, mask=mask, reverse=self.reverse)

        def block_backward(dh: Array, need_dx: bool = True) -> tuple[Array | None, Nest]:
            dx, *grads = function_backward(dh, need_dx)
            return dx, dict(zip(self.names, grads, strict=True))

        return states, block_backward

    def shapes(self, input_shape: Any) -> tuple[dict[str, Shape], Shape]:
        """The shapes of the weights, by their names, and of an output row, for rows of this shape, or these."""
        shape, *others = input_shape if input_shape and isinstance(input_shape[0], tuple) else (input_shape,)
        if len(shape) != 2 or shape[0] == 0 or len(others) > 1 or (others and others[0] not in ((), shape[:1])):
            given = " and ".join(map(row_shape, (shape, *others)))
            remedy = "; rows of numbers become sequences by Reshape((T, D)) before it" if len(shape) == 1 else ""
            if len(shape) > 2:
                remedy = "; the places of an image become steps by Reshape((-1, D)) before it"
            raise ShapeError(
                f"expected input (N, T, D) with at least one step, alone or in a tuple with a mask (N, T) or lengths "
                f"(N,), got {given}{remedy}"
            )
        wide = self.gates * self.units
        found: dict[str, Shape] = {"weight": (shape[1], wide), "recurrent_weight": (self.units, wide), "bias": (wide,)}
        return found, (shape[0], self.units) if self.return_sequences else (self.units,)

    def init(self, rng: Any, input_shape: Any, dtype: str = "float32") -> tuple[Nest, Shape]:
        shapes, output_shape = self.shapes(input_shape)
        rules = {"weight": self.weight_initializer, "recurrent_weight": self.recurrent_initializer}
        drawn = {name: rules.get(name, self.bias_initializer)(rng, shape) for name, shape in shapes.items()}
        return {name: array.astype(dtype) for name, array in drawn.items()}, output_shape

    def __call__(self, params: Nest, x: Nest, key: Any = None) -> tuple[Array, Backward]:
        paired = isinstance(x, tuple)
        self.shapes(tuple(tuple(part.shape[1:]) for part in (x if paired else (x,))))
        x, mask = x if paired else (x, None)
        xp = namespace(x)
        if mask is not None and tuple(mask.shape) == tuple(x.shape[:1]):  # lengths
            places = xp.arange(x.shape[1], dtype=xp.int32, device=device(x))
            mask = places[None, :] < xp.astype(mask, xp.int32)[:, None]
        states, block_backward = self.block(params, x, mask)
        last = 0 if self.reverse else x.shape[1] - 1
        counted = None if mask is None else xp.astype(xp.astype(mask, xp.bool), x.dtype)[:, :, None]
        y = states if self.return_sequences else states[:, last, :]
        if self.return_sequences and counted is not None:
            y = y * counted

        def layer_backward(dy: Array, need_dx: bool = True) -> tuple[Nest, Nest]:
            # forward gave all states that count, or the last one: the others have no gradient of their own
            if self.return_sequences:
                dstates = dy if counted is None else dy * counted
            else:
                dstate = dy[:, None, :]
                rest = xp.zeros((dy.shape[0], states.shape[1] - 1, dy.shape[1]), dtype=dy.dtype, device=device(dy))
                dstates = xp.concat((dstate, rest) if self.reverse else (rest, dstate), axis=1)
            dx, grads = block_backward(dstates, need_dx)
            return (dx, None) if paired and need_dx else dx, grads

        return y, layer_backward

    def longest(self, input_shape: Any) -> tuple[int | None, ...] | None:
        if len(input_shape) != 2 or input_shape[1] != ():
            return None
        return None, input_shape[0][0]

    def penalty(self, params: Nest) -> tuple[Any, Backward]:
        rules = {"weight": self.weight_regularizer, "recurrent_weight": self.recurrent_regularizer}
        return penalty_of(params, {name: rules.get(name, self.bias_regularizer) for name in params})
