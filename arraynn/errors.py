"""The exceptions of the library. Each message names the value, the allowed range and the remedy."""

import sys
import warnings
from typing import Any, Self


class ArraynnError(Exception):
    """The base class of this library's exceptions, so that one `except` catches them all."""


class BackendUnavailable(ArraynnError, ImportError):
    """A backend that was asked for by name cannot be used. `reason` says why, `remedy` what would help."""

    def __init__(self, name: str, reason: str, remedy: str = "") -> None:
        self.reason, self.remedy = reason, remedy
        super().__init__(f"backend {name!r} cannot be used: {reason}" + (f". {remedy}" if remedy else ""), name=name)

    def __reduce__(self) -> Any:  # pickled when it leaves a worker process
        return type(self), (self.name, self.reason, self.remedy)


class CheckpointError(ArraynnError, ValueError):
    """A saved model cannot be read, or cannot be written."""


class DataError(ArraynnError, ValueError):
    """Data that cannot be trained on or read: empty, not finite, wrong labels, a damaged file."""


class DataWarning(UserWarning):
    """Data that can be trained on, but probably not as intended. The message names the finding and the remedy.

    `warnings.filterwarnings("ignore", category=nn.DataWarning)` silences them all, "error" makes each an error.
    """


class DeviceFault(ArraynnError, RuntimeError):
    """A kernel failed on a GPU, and CUDA reported it at some later call. The GPU is lost to this process."""

    def __init__(self, device: str, said: str) -> None:
        self.device, self.said = device, said
        super().__init__(
            f"a kernel that was started earlier has failed on {device}: {said}. The call that raised this is only the "
            f"first one after it; CUDA_LAUNCH_BLOCKING=1 makes the traceback point at the kernel. This process cannot "
            f"use the GPU any more: start it again, from a checkpoint where there is one"
        )

    def __reduce__(self) -> Any:
        return type(self), (self.device, self.said)


class DeviceOutOfMemory(ArraynnError, MemoryError):
    """A GPU has too little free memory. The model keeps its last good weights.

    asked : the bytes requested, or None if unknown. free, total : bytes of the GPU's memory.
    """

    def __init__(self, device: str, asked: int | None, free: int, total: int) -> None:
        self.device, self.asked, self.free, self.total = device, asked, free, total
        wanted = "memory" if asked is None else f"{asked:,} bytes"
        super().__init__(
            f"out of memory: {wanted} asked for on {device}, where {free:,} of {total:,} bytes are free. "
            f"A smaller batch_size takes less; the model keeps its last good weights"
        )

    def __reduce__(self) -> Any:
        return type(self), (self.device, self.asked, self.free, self.total)


class DivergedError(ArraynnError, ArithmeticError):
    """Training diverged: a loss, a weight or a gradient is not finite. The model keeps the last finite weights.

    epoch, step : when it happened, counted from 0.
    layer : the first layer whose value or gradient is not finite, such as "layers.2".
    remedy : the most likely remedy for these data, such as scaling; "" if there is none.
    """

    def __init__(self, epoch: int, step: int, layer: str, what: str, remedy: str = "") -> None:
        self.epoch, self.step, self.layer, self.what, self.remedy = epoch, step, layer, what, remedy
        before = f"{remedy}; else " if remedy else ""
        super().__init__(
            f"training diverged at epoch {epoch}, step {step}: {what} is not finite. The model keeps its last "
            f"finite weights; {before}a smaller learning_rate, or clip_norm, usually helps"
        )

    def __reduce__(self) -> Any:
        return type(self), (self.epoch, self.step, self.layer, self.what, self.remedy)


class Placed(ArraynnError):
    """The base class of errors in a layer. Each combinator that it passes adds its part of the path, by `inside`.

    problem : the message. layer : the kind of layer, such as "Dense". path : such as "layers.2". source : the layer
    whose output is the input.
    """

    def __init__(self, problem: str, *, layer: str = "", path: str = "", source: str = "") -> None:
        self.problem, self.layer, self.path, self.source = problem, layer, path, source
        where = f"{layer} {path!r}: " if layer else ""
        wrong, mark, remedy = problem.partition("; ")
        super().__init__(where + wrong + (f" from {source}" if source else "") + mark + remedy)

    def inside(self, layer: str, path: str, source: str = "") -> Self:
        """The same error with the layer, its path and the source of its input, which a combinator knows."""
        return type(self)(
            self.problem,
            layer=self.layer or layer,
            path=f"{path}.{self.path}" if self.path else path,
            source=self.source or source,
        )


class ContractError(Placed, TypeError):
    """A user's own layer, loss, optimizer or metric breaks its contract. Names it, its path and the contract."""

    def inside(self, layer: str, path: str, source: str = "") -> Self:
        return super().inside(layer, path)  # the source of the input is irrelevant here


class ShapeError(Placed, ValueError):
    """Shapes do not agree. Names the layer, its path, the layer whose output is the input, and both shapes."""


class WorkerError(ArraynnError, RuntimeError):
    """Workers cannot train together: their engine is missing, their data or models differ, or one has failed."""


def warn_of_data(message: str) -> None:
    """Issue a `DataWarning` that points at the innermost line of the caller's code, outside the library."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "arraynn":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, DataWarning, stacklevel=level)
