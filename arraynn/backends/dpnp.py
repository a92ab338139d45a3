"""dpnp: Intel's array library for SYCL devices, with queues of their own and no hidden transfers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import BackendUnavailable
from .base import Backend


class DPNP(Backend):
    """dpnp: NumPy's interface on SYCL devices, GPUs of Intel and CPUs."""

    name = "dpnp"

    @classmethod
    def open(cls, device: str | None = None) -> Backend:
        try:
            import dpnp as xp
        except ImportError as error:
            raise BackendUnavailable(cls.name, str(error), "pip install dpnp") from None
        try:
            where = xp.empty(1, dtype="float32", device=device).device
        except Exception as error:  # dpctl raises several kinds, none of them shared with another library
            remedy = "A SYCL or OpenCL driver is needed; OCL_ICD_FILENAMES may name libintelocl.so for the CPU"
            raise BackendUnavailable(cls.name, f"device {device!r}: {error}", remedy) from None
        return cls(xp, where, version=xp.__version__, reason="asked for by name")

    def device_name(self) -> str:
        name: str = self.device.sycl_device.filter_string
        return name

    def _put(self, x: Any, dtype: Any, copy: bool | None) -> Any:
        # dpnp's to_device gives a new array over the same memory, so a copy is asked for outright
        return self.xp.asarray(x, dtype=dtype, device=self.device, copy=copy)

    def to_numpy(self, x: Any) -> np.ndarray:
        array: np.ndarray = self.xp.asnumpy(x)
        return array

    def synchronize(self) -> None:
        self.device.sycl_queue.wait()


BACKEND = DPNP
