"""CuPy's errors of a run, in our words: memory that ran out, kernels that failed before the call that tells of it."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any

from ...errors import DeviceFault, DeviceOutOfMemory

# What CUDA tells at some later call: the kernel that went wrong had long been started.
LATER = re.compile(
    r"(?i)illegal_?address|misaligned_?address|illegal_?instruction|launch_?failure|launch_failed|launch_?timeout|"
    r"invalid_?pc|invalid_?address_?space|hardware_?stack|ecc_?uncorrectable|cudaErrorAssert|CUDA_ERROR_ASSERT"
)


class Entered:
    """A GPU made the current one for a while; on the way out, CuPy's errors become ours."""

    def __init__(self, number: int) -> None:
        import cupy

        # A new object each time: CuPy before 13 keeps the way back on the object, which threads would share.
        self.number, self.device = number, cupy.cuda.Device(number)

    def __enter__(self) -> None:
        self.device.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ours = None if error is None else translated(error, self.number)
        self.device.__exit__(kind, error, trace)
        if ours is not None:
            for note in getattr(error, "__notes__", ()):
                ours.add_note(note)
            raise ours from error


def translated(error: BaseException, number: int) -> Exception | None:
    """Our error for one of CuPy's, known by its name and words; None where it says all there is to say."""
    name = type(error).__name__
    if name == "OutOfMemoryError":
        asked = re.search(r"allocating ([\d,]+) bytes", str(error))
        return DeviceOutOfMemory(
            f"GPU {number}", int(asked[1].replace(",", "")) if asked else None, *memory(number)[:2]
        )
    if name in ("CUDARuntimeError", "CUDADriverError", "CUBLASError") and LATER.search(str(error)):
        return DeviceFault(f"GPU {number}", str(error))
    return None


def memory(number: int) -> tuple[int, int, int]:
    """(free, all, kept): bytes that this process can still have on the GPU, that the GPU has, and that the pool keeps
    for arrays to come, which count as free. Zeros where CUDA does not answer any more."""
    try:
        import cupy

        with cupy.cuda.Device(number):
            free, total = cupy.cuda.runtime.memGetInfo()
            kept = cupy.get_default_memory_pool().free_bytes()
    except Exception:  # asked about in the middle of a failure
        return 0, 0, 0
    return int(free) + int(kept), int(total), int(kept)


def told(number: int) -> str:
    """The GPU's memory in a line."""
    free, total, kept = memory(number)
    return f"{gigabytes(free)} of {gigabytes(total)} free, {gigabytes(kept)} of it kept by CuPy's memory pool"


def gigabytes(size: Any) -> str:
    """The bytes as text: MB below a thousand of them, else GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
