"""array-api-strict: the standard and nothing else, on devices that are not the host. For tests and for proofs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import BackendUnavailable
from .base import Backend


class ArrayAPIStrict(Backend):
    """array-api-strict: the standard and nothing beside it, on the CPU; what tests a namespace against."""

    name = "array_api_strict"

    @classmethod
    def open(cls, device: str | None = None) -> Backend:
        try:
            import array_api_strict as xp
        except ImportError as error:
            raise BackendUnavailable(cls.name, str(error), "pip install array-api-strict") from None
        try:
            where = xp.Device(device or "CPU_DEVICE")
        except ValueError:
            known = ", ".join(d._device for d in xp.__array_namespace_info__().devices())
            raise BackendUnavailable(cls.name, f"it has no device {device!r}, only {known}") from None
        return cls(xp, where, version=xp.__version__, reason="asked for by name")

    def devices(self) -> tuple[str, ...]:
        return tuple(d._device for d in self.xp.__array_namespace_info__().devices())

    def device_name(self) -> str:
        name: str = self.device._device
        return name

    def to_numpy(self, x: Any) -> np.ndarray:
        return np.asarray(x.to_device(self.xp.Device("CPU_DEVICE")))


BACKEND = ArrayAPIStrict
