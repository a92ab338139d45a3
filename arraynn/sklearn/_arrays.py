"""Chooses the library and device of an estimator's data and computations, by scikit-learn's array API dispatch.

Without dispatch, scikit-learn converts all data to NumPy. With dispatch, arrays keep their library and device, and
fitted attributes and predictions have the library and device of X: the home. For a NumPy X, the estimator's backend
may compute elsewhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import get_config

from .._array import device, is_array, namespace
from ..backends import Backend, backend, of

try:
    from sklearn.utils._array_api import check_same_namespace
except ImportError:  # before 1.9

    def check_same_namespace(X: Any, estimator: Any, *, attribute: str, method: str) -> None:
        """Raise ValueError unless X has the library and device that the estimator was fitted on."""
        fitted = getattr(estimator, attribute)
        if follows(X) or follows(fitted):
            same = follows(X) and follows(fitted) and (of(X).name, device(X)) == (of(fitted).name, device(fitted))
            if not same:
                raise ValueError(
                    f"Inputs passed to {type(estimator).__name__}.{method}() must use the same namespace and the same "
                    f"device as those passed to fit()."
                )


__all__ = [
    "check_same_namespace",
    "compute_backend",
    "dtype_name",
    "float_dtypes",
    "follows",
    "home",
    "on_host",
    "take",
]


def follows(x: Any) -> bool:
    """Whether x is an array of another library than NumPy that dispatch leaves unconverted."""
    if not get_config().get("array_api_dispatch", False) or hasattr(x, "tocsr") or isinstance(x, np.ndarray):
        return False
    return not hasattr(x, "iloc") and is_array(x)


def home(x: Any) -> Backend:
    """The backend of attributes fitted on x: that of x under dispatch, else NumPy."""
    return of(x) if follows(x) else backend("numpy")


def compute_backend(where: Backend, wanted: Any) -> Backend:
    """The backend that computes for this home: the home itself, or for NumPy the one that is wanted."""
    return where if where.name != "numpy" or wanted is None else backend(wanted)


def float_dtypes(x: Any) -> Any:
    """The float dtypes that x may keep, widest first. Integers are converted to the first."""
    if not follows(x):
        return np.float64, np.float32
    found = namespace(x).__array_namespace_info__().dtypes(device=device(x), kind="real floating")
    return [found[name] for name in ("float64", "float32") if name in found]


def dtype_name(x: Any) -> str:
    """ "float32" or "float64" for a float array of any library."""
    return "float32" if str(x.dtype).rpartition(".")[2] == "float32" else "float64"


def on_host(x: Any) -> Any:
    """x as a NumPy array if it is an array of another library; anything else is returned unchanged."""
    return of(x).to_numpy(x) if follows(x) else x


def take(x: Any, rows: Any, chosen: Any = None) -> Any:
    """Rows of an array of any library or of a SciPy matrix.

    rows : slice, or index array on the host. chosen : the same index array in the library and on the device of x.
    """
    if isinstance(rows, slice):
        return x[rows] if len(x.shape) == 1 else x[rows, :]
    if hasattr(x, "tocsr"):
        return x[rows]
    return namespace(x).take(x, rows if chosen is None else chosen, axis=0)
