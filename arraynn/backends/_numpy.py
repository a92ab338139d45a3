"""NumPy: the CPU backend, always there, and the one that the others are compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import array_api_compat.numpy as xp
import numpy as np

from .. import tree
from ..errors import BackendUnavailable
from . import _workers
from ._base import Backend

#: numbers that the layers of a row block put out together: 0.7 MB in float32, so that a core's cache holds the few
#: arrays alive at a time, and few enough blocks that Python's share stays small
BLOCK = 180_000


@dataclass(frozen=True)
class Plan:
    """Row blocks of a batch; why says what they follow from."""

    blocks: tuple[slice, ...]
    why: str


class NumPy(Backend):
    name = "numpy"
    inference_rows = 1024

    @classmethod
    def open(cls, device: str | None = None) -> Backend:
        if device not in (None, "cpu"):
            raise BackendUnavailable("numpy", f"it has no device {device!r}, only 'cpu'", "Say 'numpy'")
        return cls(xp, "cpu", version=np.__version__, reason="asked for by name")

    @classmethod
    def of(cls, x: Any) -> Backend:
        return cls(xp, "cpu", version=np.__version__, reason="the arrays given live there")

    def fetch(self, numbers: list[Any]) -> list[float]:
        return [float(n) for n in numbers]

    @contextmanager
    def context(self) -> Iterator[None]:
        # A run that leaves the finite numbers is told by DivergedError; a line from NumPy for each would drown it.
        with np.errstate(all="ignore"), _workers.limit():
            yield

    @classmethod
    def plan(cls, params: Any, batch: Any, couples_rows: bool) -> Plan | None:
        """Row blocks where a batch's intermediate arrays outgrow the cache; from shapes alone, never from the cores.

        A block costs a pass over all parameters, to add its gradients, so it is at least twice as large as they are:
        where products dominate, one pass with BLAS's own threads is left alone.
        """
        weights = [leaf.shape for leaf in tree.leaves(tree.trained(params)) if len(leaf.shape) == 2]
        rows, width = batch[1].shape[0], sum(shape[1] for shape in weights)
        size = max(BLOCK, 2 * sum(math.prod(shape) for shape in weights))
        count = round(rows * width / size)
        if couples_rows or count < 2:
            return None
        step = -(-rows // count)
        why = f"{rows} rows of {width} intermediate numbers, some {size:,} a block"
        return Plan(tuple(slice(i, min(i + step, rows)) for i in range(0, rows, step)), why)

    @classmethod
    def accumulate(
        cls, gradient: Callable[..., Any], params: Any, batch: Any, key: Any, total: Any, plan: Plan | None
    ) -> Any:
        """As the portable default, in the plan's row blocks, on the workers; summed in the order of the rows, so that
        the result has the same bits with any number of workers."""
        if plan is None:
            return gradient(params, batch, key, total)
        x, targets, weight = batch

        def of_rows(rows: slice) -> Any:
            part = tree.map(lambda leaf: leaf[rows], x), targets[rows], None if weight is None else weight[rows]
            return gradient(params, part, key.rows(rows.start), total)

        parts = iter(_workers.run(of_rows, plan.blocks))
        result = tree.map(np.add, next(parts), next(parts))  # a new nest, which the rest may be added into
        for part in parts:
            result = tree.map(_add, result, part)
        return result


def _add(a: Any, b: Any) -> Any:
    a += b
    return a


BACKEND = NumPy
