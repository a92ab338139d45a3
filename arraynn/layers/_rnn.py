"""The simple recurrent network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import namespace, sum_of_rows
from .._ranges import flag
from .._types import Array, Backward
from ..backends import for_type
from ._recurrent import Recurrent, check_steps, chosen, states_before, steps_of, time_first


def rnn(
    x: Array, w: Array, u: Array, b: Array, /, *, mask: Array | None = None, reverse: bool = False
) -> tuple[Array, Backward]:
    """Simple recurrent network, h_t = tanh(x_t w + h_{t-1} u + b), from h = 0.

    x : (N, T, D), T at least 1. w : (D, H), u : (H, H), b : (H,), one float dtype.
    mask : (N, T) of booleans or of 0 and 1; where it is 0, h_t = h_{t-1}. reverse : from the last step to the first.
    Returns h : (N, T, H), all states in the order of time, and backward(dh, need_dx=True) -> dx, dw, du, db, with
    da_t = (dh_t + da_{t+1} uᵀ) (1 - h_t²) from the last step back, dx_t = da_t wᵀ, dw = Σ x_tᵀ da_t,
    du = Σ h_{t-1}ᵀ da_t and db = Σ da_t; dx is None where it is not needed.
    Raises ShapeError where the shapes do not fit.

    PyTorch has a second bias, which adds to b, and stores the transposes.

    Elman, Cognitive Science 14, 1990; the backward is that through time of Werbos, Proceedings of the IEEE 78, 1990.

    >>> import numpy as np
    >>> one = np.ones((1, 1))
    >>> h, backward = rnn(np.ones((1, 2, 1)), one, one, np.zeros(1))
    >>> np.round(h[0, :, 0], 4)
    array([0.7616, 0.9427])
    """
    check_steps(x, w, u, b, 1)
    reverse = flag("reverse", reverse)
    xp, scan = namespace(x), for_type(type(x)).scan
    (rows, steps, width), units = x.shape, u.shape[0]
    flat, m = xp.reshape(time_first(x), (steps * rows, width)), steps_of(mask, x)
    inputs = xp.reshape(flat @ w + b, (steps, rows, units))  # all terms without the state

    def step(h: Array, given: Any, u: Array) -> tuple[Array, Any]:
        a, m = given
        new = namespace(a).tanh(a + h @ u)
        h = chosen(m, new, h)
        return h, (h, new)

    _, (states, new) = scan(step, xp.zeros_like(inputs[0, ...]), (inputs, m), reverse, u)

    def rnn_backward(dh: Array, need_dx: bool = True) -> tuple[Array | None, Array, Array, Array]:
        # forward was h_t = tanh(a_t), a_t = x_t w + h_{t-1} u + b. So h_t has dh_t from outside and, through the next
        # step, da_{t+1} uᵀ; da = dh (1 - h²). A masked step passes its gradient on to the state before.
        def step_backward(after: Array, given: Any, u: Array) -> tuple[Array, Array]:
            dh, new, m = given
            dh = dh + after
            da = chosen(m, dh, 0 * dh) * (1 - new * new)
            through = da @ namespace(u).matrix_transpose(u)
            return through if m is None else through + dh * (1 - m), da

        _, da = scan(step_backward, xp.zeros_like(states[0, ...]), (time_first(dh), new, m), not reverse, u)
        # all steps share w, u and b, so their parts add up, in one product
        da, before = (xp.reshape(a, (steps * rows, units)) for a in (da, states_before(states, reverse)))
        dx = time_first(xp.reshape(da @ xp.matrix_transpose(w), (steps, rows, width))) if need_dx else None
        return dx, xp.matrix_transpose(flat) @ da, xp.matrix_transpose(before) @ da, sum_of_rows(da)

    return time_first(states), rnn_backward


@dataclass(frozen=True)
class RNN(Recurrent):
    """The layer of `rnn`: parameters {"weight": (D, H), "recurrent_weight": (H, H), "bias": (H,)}; D is inferred.

    Input (N, T, D), or a pair (x, mask) with a mask (N, T) or lengths (N,): a step that does not count leaves the state
    as it is, and its output is 0, as in PyTorch's packed sequences (Keras repeats the output before it).
    units : H, at least 1. return_sequences : True gives all states, (N, T, H), False the last one, (N, H).
    reverse : from the last step to the first; the order of time is kept (Keras's go_backwards turns it).
    weight_initializer, recurrent_initializer (orthogonal, as in Keras), bias_initializer, weight_regularizer,
    recurrent_regularizer, bias_regularizer : as in `Dense`.
    """

    gates: ClassVar[int] = 1
    function: ClassVar[Callable[..., tuple[Array, Backward]]] = staticmethod(rnn)
