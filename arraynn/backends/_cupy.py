"""CuPy: NumPy's interface on an NVIDIA GPU. Taken only where the probe has proved that it works."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from ..errors import BackendUnavailable
from ._base import Backend, Status
from ._cupy_probe import probe


class CuPy(Backend):
    name = "cupy"

    @classmethod
    def open(cls, device: str | None = None) -> Backend:
        if device is not None and not device.isdecimal():
            raise BackendUnavailable(cls.name, f"device {device!r} is not a number", 'Say "cupy:0" for the first GPU')
        number = int(device or 0)
        status = cls._proved(number)
        import cupy
        from array_api_compat import cupy as xp

        if device is None and cupy.cuda.Device().id != number:  # the caller made another GPU the current one
            number = cupy.cuda.Device().id
            status = cls._proved(number)
        return cls(xp, cupy.cuda.Device(number), version=status.version, reason=status.reason)

    @staticmethod
    def _proved(number: int) -> Status:
        status = probe(number or None)
        if not status.usable:
            raise BackendUnavailable("cupy", status.reason, status.remedy)
        return status

    @classmethod
    def status(cls) -> Status:
        return probe()

    def devices(self) -> tuple[str, ...]:
        return probe(self.device.id or None).devices

    def _put(self, x: Any, dtype: Any, copy: bool | None) -> Any:
        with self.context():  # most of CuPy allocates on the current GPU, whatever `device=` says
            return self.xp.asarray(x, dtype=dtype, copy=copy)

    def to_numpy(self, x: Any) -> np.ndarray:
        import cupy

        array: np.ndarray = cupy.asnumpy(x)
        return array

    def synchronize(self) -> None:
        self.device.synchronize()

    def context(self) -> AbstractContextManager[Any]:
        """This GPU made the current one. The stream stays the caller's: what they queued before comes first."""
        import cupy

        # A new object each time: CuPy before 13 keeps the way back on the object, which threads would share.
        entered: AbstractContextManager[Any] = cupy.cuda.Device(self.device.id)
        return entered


BACKEND = CuPy
