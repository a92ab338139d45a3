"""PyTorch, as an array library: its devices and its kernels, without its autograd."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from ..errors import BackendUnavailable
from . import windows as sliding
from .base import Backend
from .windows import Windows


class Torch(Backend):
    """PyTorch's tensors, without its autograd: on the CPU, CUDA and MPS."""

    name = "torch"

    @classmethod
    def open(cls, device: str | None = None) -> Backend:
        try:
            import torch
        except ImportError as error:
            raise BackendUnavailable(cls.name, str(error), 'pip install "arraynn[torch]"') from None
        import array_api_compat.torch as xp

        try:
            where = torch.empty(0, device=device).device  # names, and so proves, the device
        except (RuntimeError, AssertionError) as error:
            remedy = "arraynn.backends.report() lists the devices that work"
            raise BackendUnavailable(cls.name, f"device {device!r}: {error}".splitlines()[0], remedy) from None
        return cls(xp, where, version=torch.__version__, reason="asked for by name")

    def devices(self) -> tuple[str, ...]:
        import torch

        cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
        return ("cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else []))

    def _put(self, x: Any, dtype: Any, copy: bool | None) -> Any:
        import torch

        if isinstance(x, np.ndarray):
            # torch shares NumPy's memory where it can and warns where that memory may not be written to
            x = torch.from_numpy(np.array(x, copy=True if copy or not x.flags.writeable else None, order="C"))
            copy = None
        return x.detach().to(device=self.device, dtype=dtype, copy=bool(copy))

    def to_numpy(self, x: Any) -> np.ndarray:
        array: np.ndarray = x.detach().cpu().resolve_neg().numpy()
        return array

    @classmethod
    def view_int16(cls, words: Any) -> Any:
        import torch

        flat = words.reshape(-1)  # a column may have a stride of 0, which `view` refuses
        return flat.view(torch.int16).reshape(words.shape[0], 2 * words.shape[1])

    @classmethod
    def fold(cls, dp: Any, windows: Windows) -> Any:
        return sliding.fold_in_place(dp, windows)

    def synchronize(self) -> None:
        import torch

        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def context(self) -> AbstractContextManager[Any]:
        import torch

        # The backward passes are written by hand; a tape would only keep memory.
        no_tape: AbstractContextManager[Any] = torch.no_grad()
        return no_tape


BACKEND = Torch
