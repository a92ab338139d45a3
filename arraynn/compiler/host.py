"""NumPy by the names of the array API, imported when the first of them is asked for: array_api_compat's module brings
`numpy.testing` and `numpy.f2py` with it, which take longer to import than all of `compiler`."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("__"):  # what Python asks of any module
        raise AttributeError(name)
    import array_api_compat.numpy as host

    value = globals()[name] = getattr(host, name)
    return value
