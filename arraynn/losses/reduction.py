"""Weighted means of losses of rows, their gradients, and targets in the shape of the outputs."""

from __future__ import annotations

from typing import Any

from .._array import device, namespace, same_shape, shape_of, zero_like
from .._hyperparameters import python_number
from .._types import Array, Backward
from ..errors import DataError, ShapeError
from .labels import check_host_labels


def counted(x: Array, sample_weight: Array | None) -> Any:
    """x with 0 in the rows of weight 0, also for inf and nan, which a product with the weight would keep.

    x : (N, …). sample_weight : (N,) or None, which leaves x as it is. Raises ShapeError where N differs.
    """
    if sample_weight is None:
        return x
    _one_weight_a_row(sample_weight, x)
    xp = namespace(x)
    counts = xp.astype(sample_weight, x.dtype, copy=False) != 0
    # where, as the branch that is not taken may be infinite or nan
    return xp.where(xp.reshape(counts, (-1, *[1] * (len(x.shape) - 1))), x, zero_like(x))


def _one_weight_a_row(sample_weight: Array, rows: Array) -> None:
    if shape_of("sample_weight", sample_weight) != tuple(rows.shape[:1]):
        raise ShapeError(f"sample_weight must have shape {tuple(rows.shape[:1])}, got {tuple(sample_weight.shape)}")


def weighted_mean(rows: Array, sample_weight: Array | None, total: Any) -> tuple[Any, Backward]:
    """Σ w_i rows_i / total, and backward(dloss=1.0) -> its gradient by each row: a number, or (N,) with weights.

    rows : (N,), finite where the weight is 0 (see `counted`). sample_weight : (N,) or None, all ones.
    total : None is Σ w_i; where it is 0, loss and gradient are 0.
    """
    xp = namespace(rows)
    if sample_weight is not None:
        _one_weight_a_row(sample_weight, rows)
        sample_weight = xp.astype(sample_weight, rows.dtype, copy=False)
        rows = rows * sample_weight
    if total is None:
        total = rows.shape[0] if sample_weight is None else xp.sum(sample_weight)
    total = python_number(total)
    if isinstance(total, (int, float)):
        total = total or 1
    else:
        total = xp.astype(total, rows.dtype, copy=False)
        total = total + xp.astype(total == 0, rows.dtype)  # no weight, no loss: 0 / 1

    def weighted_mean_backward(dloss: Any = 1.0) -> Any:
        share = python_number(dloss) / total
        return share if sample_weight is None else sample_weight * share

    return xp.sum(rows) / total, weighted_mean_backward


def spread(share: Any, like: Array) -> Any:
    """The backward of `row_means`: the gradient by each element of `like`, given that by its row means."""
    columns = 1
    for size in like.shape[1:]:
        columns *= size
    if isinstance(share, (int, float)) or len(share.shape) == 0:
        return share / columns
    return namespace(share).reshape(share, (-1, *[1] * (len(like.shape) - 1))) / columns


def target_distribution(
    targets: Array, like: Array, sample_weight: Array | None = None, ignore_label: int | None = None
) -> Any:
    """Targets as (N, K) rows in the dtype of `like` (N, K): integer classes (N,) become one-hot rows.

    Raises ShapeError where they are neither, and DataError where (N,) targets are not integers, or where NumPy's are
    not in [0, K) (see `check_labels`). Labels outside of it, on other libraries, become rows of zeros.
    """
    xp = namespace(like)
    if len(like.shape) != 2:
        raise ShapeError(f"a loss over classes takes outputs (N, K), got {tuple(like.shape)}")
    if shape_of("targets", targets) == tuple(like.shape):
        return counted(xp.astype(targets, like.dtype, copy=False), sample_weight)
    if tuple(targets.shape) != (like.shape[0],):
        raise ShapeError(
            f"targets have shape {tuple(targets.shape)}, outputs {tuple(like.shape)}; "
            f"expected {like.shape[0]} integer classes or {tuple(like.shape)} distributions"
        )
    if not xp.isdtype(targets.dtype, "integral"):
        raise DataError(f"class targets (N,) must be integers, got {targets.dtype}")
    check_host_labels(targets, like.shape[1], ignore_label, sample_weight)
    classes = xp.arange(like.shape[1], dtype=targets.dtype, device=device(like))
    return xp.astype(targets[:, None] == classes[None, :], like.dtype)


def binary_pair(outputs: Array, targets: Array, sample_weight: Array | None) -> tuple[Any, Array]:
    """(outputs, targets) in the outputs' dtype, 0 in rows of weight 0; ShapeError unless the shapes are the same."""
    same_shape("targets", targets, "outputs", outputs)
    targets = namespace(outputs).astype(targets, outputs.dtype, copy=False)
    return counted(outputs, sample_weight), counted(targets, sample_weight)
