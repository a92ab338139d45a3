"""The gated recurrent unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import namespace, sum_of_rows
from .._ranges import flag
from .._types import Array, Backward, Shape
from ..backends import for_type
from ._logistic import logistic
from ._recurrent import Recurrent, check_steps, chosen, states_before, steps_of, time_first
from ._shapes import check_vectors


def gru(
    x: Array, w: Array, u: Array, b: Array, d: Array, /, *, mask: Array | None = None, reverse: bool = False
) -> tuple[Array, Backward]:
    """Gated recurrent unit, h_t = (1 - z) n + z h_{t-1} with n = tanh(x_t w_n + b_n + r (h_{t-1} u_n + d)), from h = 0.

    The gates are r, z = σ(a), each of its own columns of a = x_t w + h_{t-1} u + b.
    x : (N, T, D), T at least 1. w : (D, 3 H), u : (H, 3 H), b : (3 H,), d : (H,), one float dtype; the columns have the
        order r, z, n, as in PyTorch and cuDNN (Keras and ONNX have z, r, h).
    mask : (N, T) of booleans or of 0 and 1; where it is 0, h_t = h_{t-1}. reverse : from the last step to the first.
    Returns h : (N, T, H), all states in the order of time, and backward(dh, need_dx=True) -> dx, dw, du, db, dd, from
    the last step back: dn = dh (1 - z), dz = dh (h_{t-1} - n), dr = dn (1 - n²) (h_{t-1} u_n + d), and the sums over
    all steps as in `lstm`; dx is None where it is not needed.
    Raises ShapeError where the shapes do not fit.

    r multiplies after the product with u_n, as in cuDNN, PyTorch and Keras's reset_after=True; in the paper it
    multiplies h_{t-1} before it. PyTorch has second biases for r and z, which add to b, and stores the transposes.

    Cho, van Merriënboer, Gulcehre, Bahdanau, Bougares, Schwenk and Bengio, EMNLP 2014, section 2.3.

    >>> import numpy as np
    >>> w = np.asarray([[0.0, 0.0, 1.0]])  # goes half of the way to tanh(x) at each step
    >>> h, backward = gru(np.ones((1, 2, 1)), w, np.zeros((1, 3)), np.zeros(3), np.zeros(1))
    >>> np.round(h[0, :, 0], 4)
    array([0.3808, 0.5712])
    """
    check_steps(x, w, u, b, 3)
    reverse = flag("reverse", reverse)
    xp, scan = namespace(x), for_type(type(x)).scan
    (rows, steps, width), units = x.shape, u.shape[0]
    check_vectors(units, d=d)
    flat, m = xp.reshape(time_first(x), (steps * rows, width)), steps_of(mask, x)
    inputs = xp.reshape(flat @ w + b, (steps, rows, 3 * units))  # all terms without the state

    def step(h: Array, given: Any, weights: Any) -> tuple[Array, Any]:
        (a, m), (u, d) = given, weights
        recurrent = h @ u
        gates = logistic(a[:, : 2 * units] + recurrent[:, : 2 * units])
        r, z, inner = gates[:, :units], gates[:, units:], recurrent[:, 2 * units :] + d
        n = namespace(a).tanh(a[:, 2 * units :] + r * inner)
        h = chosen(m, (1 - z) * n + z * h, h)
        return h, (h, gates, n, inner)

    zero = xp.zeros_like(inputs[0, :, :units])
    _, (states, gates, new, inners) = scan(step, zero, (inputs, m), reverse, (u, d))

    def gru_backward(dh: Array, need_dx: bool = True) -> tuple[Array | None, Array, Array, Array, Array]:
        # forward was h = (1 - z) n + z h_before, n = tanh(a_n + r inner), inner = h_before u_n + d. So dn = dh (1 - z),
        # dz = dh (h_before - n); through the tanh da_n = dn (1 - n²), dr = da_n inner, dinner = da_n r. h_before gets
        # dh z, and the gradients through the products with u. A masked step passes dh on.
        def step_backward(after: Array, given: Any, u: Array) -> tuple[Array, Any]:
            xp, (dh, gates, n, inner, h, m) = namespace(u), given
            dh = dh + after
            own = dh if m is None else dh * m
            r, z = gates[:, :units], gates[:, units:]
            da_n = own * (1 - z) * (1 - n * n)
            da_gates = xp.concat((da_n * inner * r * (1 - r), own * (h - n) * z * (1 - z)), axis=1)
            through = xp.concat((da_gates, da_n * r), axis=1)  # of the products with u
            before = own * z + through @ xp.matrix_transpose(u)
            before = before if m is None else before + dh * (1 - m)
            return before, (xp.concat((da_gates, da_n), axis=1), through)

        old = states_before(states, reverse)
        given = time_first(dh), gates, new, inners, old, m
        _, parts = scan(step_backward, zero, given, not reverse, u)
        # all steps share w, u, b and d, so their parts add up, in one product
        da, through = (xp.reshape(part, (steps * rows, 3 * units)) for part in parts)
        dx = time_first(xp.reshape(da @ xp.matrix_transpose(w), (steps, rows, width))) if need_dx else None
        du = xp.matrix_transpose(xp.reshape(old, (steps * rows, units))) @ through
        return dx, xp.matrix_transpose(flat) @ da, du, sum_of_rows(da), sum_of_rows(through)[2 * units :]

    return time_first(states), gru_backward


@dataclass(frozen=True)
class GRU(Recurrent):
    """The layer of `gru`: parameters {"weight": (D, 3 H), "recurrent_weight": (H, 3 H), "bias": (3 H,),
    "recurrent_bias": (H,)}, the last one its d; D is inferred.

    Input (N, T, D), or a pair (x, mask) with a mask (N, T) or lengths (N,): a step that does not count leaves the state
    as it is, and its output is 0, as in PyTorch's packed sequences (Keras repeats the output before it).
    units : H, at least 1. return_sequences : True gives all states, (N, T, H), False the last one, (N, H).
    reverse : from the last step to the first; the order of time is kept (Keras's go_backwards turns it).
    weight_initializer, recurrent_initializer (orthogonal, as in Keras), bias_initializer, weight_regularizer,
    recurrent_regularizer, bias_regularizer : as in `Dense`.
    """

    gates: ClassVar[int] = 3
    function: ClassVar[Callable[..., tuple[Array, Backward]]] = staticmethod(gru)
    names: ClassVar[tuple[str, ...]] = ("weight", "recurrent_weight", "bias", "recurrent_bias")

    def shapes(self, input_shape: Any) -> tuple[dict[str, Shape], Shape]:
        """As of all recurrent layers, and the bias inside of r."""
        found, output_shape = super().shapes(input_shape)
        return found | {"recurrent_bias": (self.units,)}, output_shape
