"""NumPy by the names of the array API, looked up when the first of them is asked for: before NumPy 2.1 that is a module
of array_api_compat's which takes long to import."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import namespace


def __getattr__(name: str) -> Any:
    if name.startswith("__"):  # what Python asks of any module
        raise AttributeError(name)
    value = globals()[name] = getattr(namespace(np.empty(0)), name)
    return value
