"""The same numbers as scikit-learn's own estimators: weights, curves, counts, answers; and its own tests and checks."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import sklearn
import sklearn.neural_network
from sklearn import neural_network
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.fixes import parse_version

import arraynn.sklearn
from arraynn.sklearn import MLPClassifier, MLPRegressor

ROOT = Path(__file__).parents[2]

#: they look at private names; what they look for is tested in test_behaviour.py
PRIVATE = (
    *("test_gradient", "test_learning_rate_warmstart", "test_adaptive_learning_rate", "test_n_iter_no_change"),
    "test_n_iter_no_change_inf",
)

VARIANTS = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.01},
    "plain": {"solver": "sgd", "momentum": 0, "shuffle": False},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "nesterovs_momentum": False},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.01, "n_iter_no_change": 2},
    "alpha": {"alpha": 1.0, "batch_size": 33},
    "logistic": {"activation": "logistic", "hidden_layer_sizes": (20, 10)},
    "identity": {"activation": "identity", "hidden_layer_sizes": 5, "momentum": 1.0},
    "tanh": {"activation": "tanh", "early_stopping": True},
    "weights": {"alpha": 0.1, "batch_size": 50, "weighted": True},
    "linear": {"hidden_layer_sizes": ()},
}


def both(data, kind, options, weighted=False, epochs=20):
    name, x, y = data[kind]
    options = {"random_state": 5, "max_iter": epochs, **options}
    if kind == "counts":
        options["loss"] = "poisson"
    weight = np.random.RandomState(3).rand(len(x)) if weighted else None
    return (
        getattr(module, name)(**options).fit(x, y, sample_weight=weight) for module in (arraynn.sklearn, neural_network)
    ), x


def close(ours, theirs, tolerance):
    for a, b in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        assert np.max(np.abs(a - b)) <= tolerance * np.max(np.abs(b))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", ["classes", "two", "labels", "value", "values", "counts"])
def test_twenty_epochs_give_the_same_weights(data, kind, variant):
    options = dict(VARIANTS[variant])
    if kind == "two" and "early_stopping" in options and parse_version(sklearn.__version__) < parse_version("1.9"):
        pytest.skip("scikit-learn before 1.9 cannot stop early on labels that are words")
    (ours, theirs), x = both(data, kind, options, options.pop("weighted", False))
    close(ours, theirs, 1e-5)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("loss_", "best_loss_", "best_validation_score_"):
        found, expected = getattr(ours, name), getattr(theirs, name)
        assert found == (None if expected is None else pytest.approx(expected, rel=1e-9)), name
    assert ours.loss_curve_ == pytest.approx(theirs.loss_curve_, rel=1e-9)
    assert (ours.validation_scores_ or []) == pytest.approx(theirs.validation_scores_ or [], rel=1e-9)
    if hasattr(theirs, "classes_"):
        assert ours.classes_.tolist() == theirs.classes_.tolist()
        assert np.array_equal(ours.predict(x), theirs.predict(x))
        assert ours.predict_proba(x) == pytest.approx(theirs.predict_proba(x), rel=1e-6)
        assert ours.predict_log_proba(x) == pytest.approx(theirs.predict_log_proba(x), rel=1e-6, abs=1e-12)
    else:
        assert ours.predict(x) == pytest.approx(theirs.predict(x), rel=1e-6)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("kind", ["classes", "two", "labels"])
def test_unscaled_data_give_the_same_curves_and_the_same_end(data, kind, early_stopping):
    """Their logits are in the hundreds, where scikit-learn clips probabilities. (In a hundred epochs rounding would
    part them: a difference grows tenfold in ten.)"""
    name, x, y = data[kind]
    options = {"random_state": 0, "max_iter": 40, "learning_rate_init": 0.01, "n_iter_no_change": 3}
    options["early_stopping"] = early_stopping
    ours, theirs = (getattr(m, name)(**options).fit(1000 * x, y) for m in (arraynn.sklearn, neural_network))
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.loss_curve_ == pytest.approx(theirs.loss_curve_, rel=1e-6)
    assert ours.loss_curve_[0] > 5
    close(ours, theirs, 1e-5)


@pytest.mark.parametrize("kind", ["classes", "value"])
def test_float32_stays_float32_and_stays_near(data, kind):
    name, x, y = data[kind]
    x = x.astype("float32")
    ours, theirs = (getattr(m, name)(random_state=5, max_iter=20).fit(x, y) for m in (arraynn.sklearn, neural_network))
    assert {leaf.dtype.name for leaf in ours.coefs_ + ours.intercepts_} == {"float32"}
    close(ours, theirs, 1e-2)


@pytest.mark.parametrize("kind", ["classes", "two", "value", "counts"])
def test_lbfgs_reaches_the_same_optimum(data, kind):
    # a strong penalty leaves one optimum near
    options = {"solver": "lbfgs", "alpha": 10.0, "tol": 1e-7, "hidden_layer_sizes": (5,), "activation": "tanh"}
    (ours, theirs), _ = both(data, kind, options, epochs=2000)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-5)


def test_sparse_rows_are_fitted_as_scikit_learn_fits_them(data):
    from scipy.sparse import csc_matrix, csr_array, csr_matrix

    _, x, y = data["classes"]
    for kind in (csr_matrix, csc_matrix, csr_array):
        ours, theirs = (
            m.MLPClassifier(random_state=0, max_iter=5).fit(kind(x), y) for m in (arraynn.sklearn, neural_network)
        )
        close(ours, theirs, 1e-9)
        assert np.array_equal(ours.predict(kind(x)), theirs.predict(x))


def test_every_parameter_of_scikit_learn_exists_with_its_default():
    for ours, theirs in (
        (MLPClassifier(), neural_network.MLPClassifier()),
        (MLPRegressor(), neural_network.MLPRegressor()),
    ):
        assert theirs.get_params().items() <= ours.get_params().items()


def test_scikit_learns_own_tests_pass(tmp_path):
    source = Path(sklearn.neural_network.__file__).parent / "tests" / "test_mlp.py"
    if not source.exists():
        pytest.skip("scikit-learn was installed without its tests")
    text = source.read_text(encoding="utf-8")
    theirs = "from sklearn.neural_network import MLPClassifier, MLPRegressor"
    assert theirs in text
    (tmp_path / "test_mlp.py").write_text(
        text.replace(theirs, theirs.replace("sklearn.neural_network", "arraynn.sklearn"))
    )
    (tmp_path / "conftest.py").write_text("from sklearn.conftest import *\n")
    program = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        "test_mlp.py",
    ]
    skipped = [f"--deselect=test_mlp.py::{name}" for name in PRIVATE]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        program + skipped, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert f"{len(PRIVATE)} deselected" in done.stdout


@pytest.mark.parametrize("ours", [MLPClassifier, MLPRegressor])
def test_check_estimator_passes(ours, monkeypatch):
    from sklearn.utils._test_common import instance_generator

    # what scikit-learn grants its own: with minibatches a weight of 0 is not the same as a row left out
    granted = instance_generator.PER_ESTIMATOR_CHECK_PARAMS
    monkeypatch.setitem(granted, ours, granted[getattr(neural_network, ours.__name__)])
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(ours(max_iter=100), on_skip=None, on_fail=None)
    assert [
        (one["check_name"], one["exception"]) for one in results if one["status"] not in ("passed", "skipped")
    ] == []
    assert sum(one["status"] == "passed" for one in results) > 50
