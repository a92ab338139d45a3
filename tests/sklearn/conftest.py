"""These tests need scikit-learn, and are left out where it is not installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

collect_ignore_glob = [] if find_spec("sklearn") else ["test_*.py"]

THEIRS = "sklearn.neural_network"


@pytest.fixture(autouse=True)
def _quiet(request: pytest.FixtureRequest) -> Any:
    """A few epochs never converge, and scikit-learn says so each time."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@pytest.fixture
def dispatch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """scikit-learn's array API dispatch, switched on for a test."""
    from sklearn import config_context

    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    with config_context(array_api_dispatch=True):
        yield


@pytest.fixture(scope="session")
def data() -> dict[str, tuple[str, np.ndarray, np.ndarray]]:
    """(kind of estimator, X, y) for each kind of target."""
    from sklearn.datasets import load_digits, make_multilabel_classification, make_regression

    x, y = load_digits(return_X_y=True)
    x, y = x[:500] / 16, y[:500]
    rx, ry = make_regression(300, 12, random_state=0)
    mx, my = make_regression(300, 12, n_targets=3, random_state=0)
    lx, ly = make_multilabel_classification(200, random_state=0)
    counts = np.random.RandomState(0).poisson(2, 300)
    return {
        "classes": ("MLPClassifier", x, y),
        "two": ("MLPClassifier", x[y < 2], np.asarray(["no", "yes"])[y[y < 2]]),
        "labels": ("MLPClassifier", lx, ly),
        "value": ("MLPRegressor", rx, ry / ry.std()),
        "values": ("MLPRegressor", mx, my / my.std(axis=0)),
        "counts": ("MLPRegressor", rx, counts),
    }
