"""NumPy: the CPU backend, always there, and the one that the others are compared with."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import array_api_compat.numpy as xp
import numpy as np

from ..errors import BackendUnavailable
from ._base import Backend


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

    def context(self) -> AbstractContextManager[Any]:
        # A run that leaves the finite numbers is told by DivergedError; a line from NumPy for each would drown it.
        return np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")


BACKEND = NumPy
