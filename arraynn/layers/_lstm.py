"""Long short-term memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from .. import initializers
from .._array import namespace, sum_of_rows
from .._ranges import flag
from .._types import Array, Backward, Nest, Shape
from ..backends import for_type
from ._logistic import logistic
from ._recurrent import Recurrent, check_steps, chosen, states_before, steps_of, time_first


def lstm(
    x: Array, w: Array, u: Array, b: Array, /, *, mask: Array | None = None, reverse: bool = False
) -> tuple[Array, Backward]:
    """Long short-term memory, h_t = o tanh(c_t) with c_t = f c_{t-1} + i g, from h = c = 0.

    The gates are i, f, o = σ(a) and g = tanh(a), each of its own columns of a = x_t w + h_{t-1} u + b.
    x : (N, T, D), T at least 1. w : (D, 4 H), u : (H, 4 H), b : (4 H,), one float dtype; the gates' columns have
        the order i, f, g, o, as in Keras, PyTorch and cuDNN (ONNX has i, o, f, c).
    mask : (N, T) of booleans or of 0 and 1; where it is 0, h and c stay. reverse : from the last step to the first.
    Returns h : (N, T, H), all states in the order of time, and backward(dh, need_dx=True) -> dx, dw, du, db, from the
    last step back: dc = dh o (1 - tanh²(c)) + f dc of the step after it, da the gates' slopes times dc or dh,
    dx_t = da_t wᵀ, dw = Σ x_tᵀ da_t, du = Σ h_{t-1}ᵀ da_t, db = Σ da_t; dx is None where it is not needed.
    Raises ShapeError where the shapes do not fit.

    PyTorch and cuDNN have a second bias, which adds to b, and store the transposes.

    Hochreiter and Schmidhuber, Neural Computation 9, 1997; with the gate f, Gers, Schmidhuber and Cummins, Neural
    Computation 12, 2000. No gate uses the cell state itself (no peepholes).

    >>> import numpy as np
    >>> w = np.asarray([[0.0, 0.0, 1.0, 0.0]])  # remembers the sum of tanh(x) / 2, but forgets half of it at each step
    >>> h, backward = lstm(np.ones((1, 2, 1)), w, np.zeros((1, 4)), np.zeros(4))
    >>> np.round(h[0, :, 0], 4)
    array([0.1817, 0.2581])
    """
    check_steps(x, w, u, b, 4)
    reverse = flag("reverse", reverse)
    xp, scan = namespace(x), for_type(type(x)).scan
    (rows, steps, width), units = x.shape, u.shape[0]
    flat, m = xp.reshape(time_first(x), (steps * rows, width)), steps_of(mask, x)
    inputs = xp.reshape(flat @ w + b, (steps, rows, 4 * units))  # all terms without the state

    def part(a: Array, gate: int) -> Array:
        return a[:, gate * units : (gate + 1) * units]

    def step(carry: Any, given: Any, u: Array) -> tuple[Any, Any]:
        xp, (h, c), (a, m) = namespace(u), carry, given
        a = a + h @ u
        gates = logistic(a)  # of i, f and o; g has a tanh
        i, f, g, o = part(gates, 0), part(gates, 1), xp.tanh(part(a, 2)), part(gates, 3)
        cell = f * c + i * g
        t = xp.tanh(cell)
        h, c = chosen(m, o * t, h), chosen(m, cell, c)
        return (h, c), (h, c, gates, g, t)

    zero = xp.zeros_like(inputs[0, :, :units])
    _, (states, cells, gates, new, tanhs) = scan(step, (zero, zero), (inputs, m), reverse, u)

    def lstm_backward(dh: Array, need_dx: bool = True) -> tuple[Array | None, Array, Array, Array]:
        # forward was h = o tanh(c), c = f c_before + i g: so do = dh tanh(c), dc has dh o (1 - tanh²(c)) beside what
        # the next step gave, di = dc g, dg = dc i, df = dc c_before, and c_before gets dc f. A gate's slope is
        # σ (1 - σ), that of g is 1 - g². A masked step passes both gradients on.
        def step_backward(carry: Any, given: Any, u: Array) -> tuple[Any, Array]:
            xp, (after, dc), (dh, gates, g, t, c, m) = namespace(u), carry, given
            dh, dcell = dh + after, dc
            own = dh if m is None else dh * m
            i, f, o = part(gates, 0), part(gates, 1), part(gates, 3)
            dcell = chosen(m, dcell, 0 * dcell) + own * o * (1 - t * t)
            da = xp.concat(
                (dcell * g * i * (1 - i), dcell * c * f * (1 - f), dcell * i * (1 - g * g), own * t * o * (1 - o)),
                axis=1,
            )
            through, dcell = da @ xp.matrix_transpose(u), dcell * f
            if m is not None:
                through, dcell = through + dh * (1 - m), dcell + dc * (1 - m)
            return (through, dcell), da

        given = time_first(dh), gates, new, tanhs, states_before(cells, reverse), m
        _, da = scan(step_backward, (zero, zero), given, not reverse, u)
        # all steps share w, u and b, so their parts add up, in one product
        da = xp.reshape(da, (steps * rows, 4 * units))
        before = xp.reshape(states_before(states, reverse), (steps * rows, units))
        dx = time_first(xp.reshape(da @ xp.matrix_transpose(w), (steps, rows, width))) if need_dx else None
        return dx, xp.matrix_transpose(flat) @ da, xp.matrix_transpose(before) @ da, sum_of_rows(da)

    return time_first(states), lstm_backward


@dataclass(frozen=True)
class LSTM(Recurrent):
    """The layer of `lstm`: parameters {"weight": (D, 4 H), "recurrent_weight": (H, 4 H), "bias": (4 H,)}.

    Input (N, T, D), or a pair (x, mask) with a mask (N, T) or lengths (N,): a step that does not count leaves the state
    as it is, and its output is 0, as in PyTorch's packed sequences (Keras repeats the output before it).
    units : H, at least 1. return_sequences : True gives all states, (N, T, H), False the last one, (N, H).
    reverse : from the last step to the first; the order of time is kept (Keras's go_backwards turns it).
    forget_bias : added to the bias of f at the start, so that it remembers at first (Jozefowicz, Zaremba and Sutskever,
        ICML 2015): 1 as in Keras, PyTorch has 0.
    weight_initializer, recurrent_initializer (orthogonal, as in Keras), bias_initializer, weight_regularizer,
    recurrent_regularizer, bias_regularizer : as in `Dense`.
    """

    forget_bias: float = 1.0

    gates: ClassVar[int] = 4
    function: ClassVar[Callable[..., tuple[Array, Backward]]] = staticmethod(lstm)

    def init(self, rng: Any, input_shape: Any, dtype: str = "float32") -> tuple[Nest, Shape]:
        params, output_shape = super().init(rng, input_shape, dtype)
        blocks = (0.0, self.forget_bias, 0.0, 0.0)
        added = [initializers.constant(value)(rng, (self.units,)).astype(dtype) for value in blocks]
        return {**params, "bias": params["bias"] + namespace(added[0]).concat(added)}, output_shape
