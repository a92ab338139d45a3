"""Groups of a step that share a launch (`compiler.launches`), as a raw kernel: its outputs are made here."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...compiler.cuda_launch import BlockKernel
from .update_kernel import OPTIONS, THREADS, contiguous


class BlockLaunch:
    """run(*inputs) -> the outputs. Each number among the inputs is Python's, or, in a CUDA graph, a 0-d array."""

    def __init__(self, made: BlockKernel) -> None:
        import cupy

        self.empty = cupy.empty  # the standard's own takes half as long again to look at its arguments
        # NVRTC compiles a source when it is first launched, and CuPy keeps it on disk
        self.kernels = [cupy.RawKernel(made.source(pointers), "fused", options=OPTIONS) for pointers in (False, True)]
        self.arrays = sum(not x.host for x in made.inputs)
        self.dtypes = [dtype.type for dtype in made.dtypes[self.arrays :]]
        self.counts = tuple(map(np.int64, made.counts))
        self.outputs = [(x.shape, x.dtype) for x in made.outputs]
        self.grid = made.grid

    def __call__(self, *given: Any) -> Any:
        arrays = [contiguous(x) for x in given[: self.arrays]]
        numbers = given[self.arrays :]
        pointers = bool(numbers) and hasattr(numbers[0], "shape")
        if not pointers:
            numbers = tuple([dtype(x) for dtype, x in zip(self.dtypes, numbers, strict=True)])
        made = [self.empty(shape, dtype=dtype) for shape, dtype in self.outputs]
        self.kernels[pointers](self.grid, (THREADS,), (*self.counts, *arrays, *numbers, *made))
        return tuple(made) if len(made) > 1 else made[0]
