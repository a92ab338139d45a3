"""Elementwise rules as CUDA kernels: one launch updates all leaves, in one pass over memory instead of a dozen.

The source is made from the rule's one Array-API source (`compiler.rules`) and needs no header, so all of it can be
compiled, and run, on a machine without a GPU. Its arithmetic is that of CuPy's own kernels, one rounding an operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..._array import namespace
from ...compiler import tuning
from ...compiler.rules import CUDA_TYPES

THREADS, BLOCKS = tuning.THREADS, tuning.BLOCKS
LEAVES = 16  #: in one launch: their pointers are its arguments, of which CUDA takes 4 KB
# Not contracted to fused multiply-adds: these kernels wait for memory anyway, and keep the portable rule's bits so.
OPTIONS = ("--fmad=false",)


def fits(leaf: tuple[Any, Any, Mapping[str, Any]]) -> bool:
    """Whether a kernel may go through the leaf's memory: one dtype, one shape, one device, C-contiguous throughout."""
    p, g, slots = leaf
    return str(p.dtype) in CUDA_TYPES and all(
        x.dtype == p.dtype and x.shape == p.shape and x.device == p.device and x.flags.c_contiguous
        for x in (p, g, *slots.values())
    )


def contiguous(g: Any) -> Any:
    """The gradient, or a copy of one that lies otherwise, as a transposed product does: it is only read."""
    return g if g.flags.c_contiguous else namespace(g).ascontiguousarray(g)


def launch(kernel: Any, leaves: list[tuple[Any, Any, Mapping[str, Any]]], constants: list[Any]) -> None:
    """Start the kernel of a rule over these leaves, on the current device and stream."""
    arguments: list[Any] = []
    for p, g, slots in leaves:
        arguments += [np.int64(p.size), p, g, *slots.values()]
    most = max(p.size for p, _, _ in leaves)
    kernel((max(1, min(BLOCKS, -(-most // THREADS))), len(leaves)), (THREADS,), (*arguments, *constants))
