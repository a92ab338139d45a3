"""What the two binary cross-entropies share: their targets and what they predict."""

from __future__ import annotations

from typing import ClassVar

from .._array import namespace, same_shape
from .._types import Array
from ._base import Loss, counted


class BinaryLoss(Loss):
    """A loss whose targets are 0 or 1 (or probabilities), for each output by itself; 1 where above `threshold`."""

    targets: ClassVar[str] = "binary"
    threshold: ClassVar[float]

    def prediction(self, outputs: Array) -> Array:
        return outputs > self.threshold


def binary_pair(outputs: Array, targets: Array, sample_weight: Array | None) -> tuple[Array, Array]:
    """(outputs, targets) in the outputs' dtype, 0 in rows of weight 0; ShapeError unless the shapes are the same."""
    same_shape("targets", targets, "outputs", outputs)
    targets = namespace(outputs).astype(targets, outputs.dtype, copy=False)
    return counted(outputs, sample_weight), counted(targets, sample_weight)
