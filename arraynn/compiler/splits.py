"""How the reductions of a GPU are laid out: which of them a kernel of our own computes, and by how many threads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import tuning
from .graph import Node, Operand
from .render import CTYPES

REDUCTIONS = ("sum", "mean", "max", "min", "argmax", "argmin")
DTYPES = frozenset(map(np.dtype, CTYPES))


@dataclass(frozen=True)
class Split:
    """How the arrays of a reduction are laid out: some axes are reduced, the others kept.

    shape : of the arrays that are reduced. lead : how many axes come first, and are the kept ones (rows), or else the
    reduced ones (not rows).
    """

    shape: tuple[int, ...]
    lead: int
    rows: bool

    @cached_property
    def kept(self) -> tuple[int, ...]:
        return self.shape[: self.lead] if self.rows else self.shape[self.lead :]

    @property
    def results(self) -> int:
        return math.prod(self.kept)

    @property
    def length(self) -> int:
        """Numbers in each result."""
        return math.prod(self.shape) // max(1, self.results)

    @property
    def lanes(self) -> int:
        """Threads that share a result. It follows from the shape, as the order of a sum does."""
        if not self.rows:
            columns = min(tuning.COLUMNS, 1 << (self.results - 1).bit_length())
            return tuning.THREADS // columns
        return next((n for n in (1, tuning.WARP) if self.length <= n * tuning.WARP), tuning.THREADS)

    @property
    def fits(self) -> bool:
        return self.results > 0 and 1 < self.length <= self.lanes * tuning.LANE

    def keeps(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape has one number for each result: without the reduced axes, or with 1 there."""
        return shape in self._results

    @cached_property
    def _results(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        ones = (1,) * (len(self.shape) - len(self.kept))
        return self.kept, (*self.kept, *ones) if self.rows else (*ones, *self.kept)


def reduced(node: Node) -> Node | None:
    """What a reduction reduces; None for any other node. A product with ones is a sum of rows."""
    if node.op == "matmul":
        ones, x = node.operands
        return x if ones.op == "full" and ones.value == 1 and (ones.ndim, x.ndim) == (1, 2) else None
    if node.op not in REDUCTIONS or node.attributes["args"] != (Operand(0),):
        return None
    return node.operands[0] if node.attributes["options"].keys() <= {"axis", "keepdims", "dtype"} else None


def split_of(node: Node) -> Split | None:
    """The layout of a reduction that a kernel of our own computes; None for any other node."""
    x = reduced(node)
    if x is None or not x.shape or not {x.dtype, node.dtype} <= DTYPES or node.dtype.kind not in "fi":
        return None
    axis = 0 if node.op == "matmul" else node.attributes["options"].get("axis")
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(sorted(axis % x.ndim for axis in axes))
    if axes == tuple(range(len(axes))):
        split = Split(x.shape, len(axes), False)
    elif axes == (x.ndim - 1,):
        split = Split(x.shape, x.ndim - 1, True)
    else:
        return None
    alone = not node.op.startswith("arg") or (split.rows and split.lanes == 1)  # one thread sees the whole row
    return split if alone and split.fits and split.keeps(node.shape) else None
