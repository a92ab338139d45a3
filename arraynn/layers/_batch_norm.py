"""Batch normalization."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .. import initializers
from .._array import device, namespace, sum_of_rows
from .._ranges import above_zero, flag, keeping
from .._text import row_shape
from .._types import Array, Backward, Nest, Shape
from ..errors import ShapeError
from ._base import Layer
from ._shapes import NO_AXIS, check_vectors


def batch_norm(
    x: Array,
    scale: Array,
    bias: Array,
    mean: Array,
    variance: Array,
    /,
    *,
    training: bool,
    mask: Array | None = None,
    momentum: float = 0.9,
    epsilon: float = 1e-5,
    parts: Any = None,
) -> tuple[Any, Backward]:
    """Batch normalization of each column, y = scale x̂ + bias with x̂ = (x - μ) / √(σ² + ε).

    x : (N, D) or (N, …, D), channels last, its squares finite. scale, bias, mean, variance : (D,).
    training : True takes μ and σ² from the batch, over all axes but the last (σ² divided by their count n);
        False takes `mean` and `variance`, the running ones.
    mask : (N,) of booleans or of 0 and 1; rows at 0, such as padding, are normalized but do not count for μ and σ².
    momentum : in [0, 1), how slowly the running ones forget. It is what is *kept*, 0.9; Keras keeps 0.99;
        PyTorch's momentum of 0.1 is the share of the new statistics, and equals 0.9 here.
    epsilon : ε > 0, under the root; 1e-5 as in PyTorch, Keras takes 1e-3.
    parts : where x is one part of a batch, `key.parts`: its gather(array) returns the arrays of all parts, stacked.
        μ, σ² and dx are then those of the whole batch, with one exchange forward and one backward; dscale and dbias
        are this part's, which add up, and the running statistics are the same in every part. (PyTorch's SyncBatchNorm.)
    Returns y, shaped as x, and backward(dy, need_dx=True) -> dx, dscale = Σ dy x̂, dbias = Σ dy, new_mean, new_variance,
    with dx = scale (dy - (dbias + x̂ dscale) / n) / √(σ² + ε) in training, and scale dy / √(σ² + ε) in inference and for
    rows that do not count. The last two are not gradients, but the new running statistics: in training momentum · old +
    (1 - momentum) · the batch's, else the old ones. They use the unbiased variance, σ² n / (n - 1), as in the paper's
    Algorithm 2 and PyTorch (Keras and Flax use σ²). A batch of fewer than two positions that count, such as a single
    row left over at the end of an epoch, has no variance, and leaves them unchanged. (PyTorch raises an error there;
    Keras uses a variance of 0, which makes the running one too small.)
    Raises ShapeError where the shapes do not fit, ValueError for hyperparameters out of range.

    μ is computed twice, the second time of x - μ, so that a column far from 0 loses no digits: the rounding error of a
    float32 sum over many rows exceeds an ulp of the mean, and may be as large as a small σ.

    In training a row's y depends on the other rows, so dx flows to all of them, and a batch cannot be split.

    Ioffe and Szegedy, ICML 2015, Algorithm 1, and the gradients of its section 3.

    >>> import numpy as np
    >>> x, one, zero = np.asarray([[1.0], [3.0]]), np.ones(1), np.zeros(1)
    >>> y, backward = batch_norm(x, one, zero, zero, one, training=True, epsilon=3.0)
    >>> y[:, 0]
    array([-0.5,  0.5])
    >>> backward(np.asarray([[1.0], [0.0]]), need_dx=False)
    (None, array([-0.5]), array([1.]), array([0.2]), array([1.1]))
    """
    if len(x.shape) < 2 or tuple(x.shape[-1:]) != tuple(scale.shape):
        check_vectors(math.prod(scale.shape), scale=scale)
        raise ShapeError(f"expected input (N, …, {scale.shape[0]}), got {row_shape(x.shape[1:])}")
    check_vectors(scale.shape[0], bias=bias, mean=mean, variance=variance)
    if mask is not None and tuple(mask.shape) != tuple(x.shape[:1]):
        raise ShapeError(f"mask must have one element a row, {tuple(x.shape[:1])}, got {tuple(mask.shape)}")
    xp, training = namespace(x), flag("training", training)
    momentum, epsilon = keeping("momentum", momentum), above_zero("epsilon", epsilon)

    def column_sums(a: Array) -> Any:
        return sum_of_rows(xp.reshape(a, (math.prod(a.shape[:-1]), a.shape[-1])))

    if not training:
        normal = x - mean
        spread, new = variance, (mean, variance)
    else:
        # n, the positions that count: a number from the shape, or from the mask an array, never read on the host
        if mask is None:
            weight, n = None, math.prod(x.shape[:-1])
            divisor, taken = max(n, 1), (1 - momentum) * (n > 1)
            unbiased = n / max(n - 1, 1)
        else:
            weight = xp.reshape(xp.astype(mask, x.dtype), (x.shape[0], *[1] * (len(x.shape) - 1)))
            n = xp.sum(weight) * math.prod(x.shape[1:-1])
            one = xp.asarray(1.0, dtype=x.dtype, device=device(x))
            divisor, taken = xp.maximum(n, one), (1 - momentum) * xp.astype(n > 1, x.dtype)
            unbiased = n / xp.maximum(n - 1, one)
        center = column_sums(x if weight is None else x * weight) / divisor
        normal = x - center
        # The rounding error of the mean. E[x²] - E[x]² would lose all digits at a large mean.
        rest = column_sums(normal if weight is None else normal * weight) / divisor
        normal -= rest
        square = normal * normal
        squares = column_sums(square if weight is None else square * weight)
        if parts is not None:
            n, divisor, taken, unbiased, center, rest, squares, shift = _whole_batch(
                parts.gather(xp.stack([xp.zeros_like(center) + n, center, rest, squares])), center, rest, momentum
            )
            normal -= shift
        center = center + rest
        spread = squares / divisor
        new = mean * (1 - taken) + center * taken, variance * (1 - taken) + spread * (unbiased * taken)
    deviation = xp.sqrt(spread + epsilon)
    normal /= deviation  # now x̂

    def batch_norm_backward(dy: Array, need_dx: bool = True) -> tuple[Any, Array, Array, Array, Array]:
        # y = scale x̂ + bias, the same scale and bias for all rows, so their parts add up
        dscale, dbias = column_sums(dy * normal), column_sums(dy)
        if not need_dx:
            return None, dscale, dbias, *new
        dx = dy
        if training:
            # x̂ = (x - μ) / deviation, and a row that counts has its n-th part in μ and, times 2 (x - μ), in σ². So
            # with g = dL/dx̂ = dy scale: g goes straight through, μ takes Σg / n away from each row that counts, and
            # the deviation x̂ Σ(g x̂) / n. Both sums are known: they are scale dbias and scale dscale.
            scales, biases = dscale, dbias
            if parts is not None:  # of the whole batch
                everyone = parts.gather(xp.stack([dscale, dbias]))
                scales, biases = xp.sum(everyone[:, 0, :], axis=0), xp.sum(everyone[:, 1, :], axis=0)
            through = (normal * scales + biases) / divisor
            dx = dy - (through if weight is None else through * weight)
        return dx * (scale / deviation), dscale, dbias, *new

    y = normal * scale
    y += bias
    return y, batch_norm_backward


def _whole_batch(everyone: Array, center: Array, rest: Array, momentum: float) -> tuple[Any, ...]:
    """The statistics of the whole batch from those of its parts: n, the divisor, the share of the new statistics,
    n / (n - 1), the mean as center + rest, Σ (x - μ)², and what remains to be subtracted from this part's numbers.

    everyone : (parts, 4, D): n, center, rest and squares of each, whose mean is center + rest, and which has the sum
    squares of squared distances from it. Chan, Golub and LeVeque, 1979: Σ (x - μ)² = Σ_p squares_p + n_p (μ_p - μ)².
    All means are kept as differences from one common number near them, so that no digits are lost.
    """
    xp = namespace(everyone)
    counts, centers, rests, squares = (everyone[:, i, :] for i in range(4))
    n = xp.sum(counts, axis=0)
    one = xp.ones_like(n)
    divisor = xp.maximum(n, one)
    common = xp.sum(counts * centers, axis=0) / divisor
    distances = (centers - common) + rests
    mean = xp.sum(counts * distances, axis=0) / divisor
    apart = distances - mean
    squares = xp.sum(squares + counts * apart * apart, axis=0)
    taken = (1 - momentum) * xp.astype(n > 1, everyone.dtype)
    shift = mean - ((center - common) + rest)
    return n, divisor, taken, n / xp.maximum(n - 1, one), common, mean, squares, shift


@dataclass(frozen=True)
class BatchNorm(Layer):
    """The layer of `batch_norm`: parameters {"scale": (D,), all 1, "bias": (D,), all 0,
    "statistics": {"mean": (D,), all 0, "variance": (D,), all 1}}; D is inferred.

    momentum : in [0, 1), what the running statistics keep. epsilon : ε > 0, finite.
    With a key it trains: it normalizes by the batch's statistics, and the backward returns the new running ones in
    place of their gradients, from where `Optimizer.update` takes them. Without a key it normalizes by the running
    ones, unchanged. If a batch is split among several workers, the statistics are those of the whole batch.
    x : an array, or a pair (x, mask) whose rows at mask 0 do not count; its gradient is then the pair (dx, None).
    """

    momentum: float = 0.9
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        keeping("momentum", self.momentum)
        above_zero("epsilon", self.epsilon)

    batch_coupled = True
    coupled_in_inference = False
    exchanges_parts = True

    def init(self, rng: Any, input_shape: Any, dtype: str = "float32") -> tuple[Nest, Shape]:
        if input_shape and isinstance(input_shape[0], tuple):
            input_shape = input_shape[0]  # of the pair (x, mask)
        if not input_shape:
            raise ShapeError(f"expected input (N, …, D), got (N,){NO_AXIS}")
        zero, one = (initializers.constant(value)(rng, input_shape[-1:]).astype(dtype) for value in (0.0, 1.0))
        statistics = {"mean": zero, "variance": one}
        return {"scale": one.copy(), "bias": zero.copy(), "statistics": statistics}, tuple(input_shape)

    def __call__(self, params: Nest, x: Nest, key: Any = None) -> tuple[Any, Backward]:
        paired = isinstance(x, tuple)
        x, mask = x if paired else (x, None)
        y, batch_norm_backward = batch_norm(
            x,
            params["scale"],
            params["bias"],
            params["statistics"]["mean"],
            params["statistics"]["variance"],
            training=key is not None,
            mask=mask,
            momentum=self.momentum,
            epsilon=self.epsilon,
            parts=getattr(key, "parts", None),
        )

        def layer_backward(dy: Array, need_dx: bool = True) -> tuple[Nest, Nest]:
            dx, dscale, dbias, mean, variance = batch_norm_backward(dy, need_dx)
            grads = {"scale": dscale, "bias": dbias, "statistics": {"mean": mean, "variance": variance}}
            return (dx, None) if paired and need_dx else dx, grads

        return y, layer_backward
