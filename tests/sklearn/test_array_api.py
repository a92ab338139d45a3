"""Arrays of other libraries: everything follows X under dispatch; without it, `backend` computes elsewhere."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import config_context
from sklearn.utils import estimator_checks

from arraynn.sklearn import MLPClassifier, MLPRegressor

pytest.importorskip("sklearn", minversion="1.9")

PLACES = [
    ("numpy", None, "float64"),
    ("array_api_strict", "CPU_DEVICE", "float64"),
    ("array_api_strict", "device1", None),
    ("array_api_strict", "device2", None),
]
PLACES += [("torch", "cpu", "float64"), ("torch", "cpu", "float32")]
OPTIONS = {
    "adam": {"max_iter": 5},
    "held out": {"max_iter": 5, "solver": "sgd", "early_stopping": True},
    "lbfgs": {"max_iter": 5, "solver": "lbfgs"},
    "more": {"max_iter": 5, "dropout": 0.2, "activation": "tanh", "l1": 0.1, "clip_norm": 1.0},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
@pytest.mark.parametrize("place", PLACES, ids=lambda place: "-".join(map(str, place)))
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_results_are_on_the_library_and_device_of_x(kind, place, options, dispatch):
    if place[0] != "numpy":
        pytest.importorskip(place[0])
    with config_context(array_api_dispatch=False):
        estimator_checks.check_array_api_input(kind.__name__, kind(**options), *place, check_sample_weight=True)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_results_equal_those_of_numpy(kind, dispatch, data):
    torch = pytest.importorskip("torch")
    _, x, y = data["classes" if kind is MLPClassifier else "values"]
    options = {"max_iter": 5, "random_state": 0, "early_stopping": True}
    with config_context(array_api_dispatch=False):
        expected = kind(**options).fit(x, y)
    found = kind(**options).fit(torch.asarray(x), torch.asarray(y))
    assert isinstance(found.coefs_[0], torch.Tensor)
    assert found.coefs_[0].numpy() == pytest.approx(expected.coefs_[0], rel=1e-9)
    assert found.loss_curve_ == pytest.approx(expected.loss_curve_, rel=1e-9)
    assert found.predict(torch.asarray(x)).numpy() == pytest.approx(expected.predict(x))


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_y_and_weights_are_moved_to_x(kind, dispatch):
    pytest.importorskip("torch")
    torch, strict, numpy = (
        estimator_checks.NamespaceAndDevice(*place)
        for place in (("torch", "cpu"), ("array_api_strict", "device1"), ("numpy", None))
    )
    with config_context(array_api_dispatch=False):
        for x, other in ((torch, strict), (strict, torch), (strict, numpy), (torch, numpy), (numpy, torch)):
            estimator_checks.check_array_api_mixed_inputs(kind.__name__, kind(max_iter=3), x, other)


@pytest.mark.parametrize("place", ["CPU_DEVICE", "device1", "no_float64"])
def test_partial_fit_takes_classes_and_labels_from_anywhere(place, dispatch, data):
    import array_api_strict as strict

    _, x, y = data["classes"]
    expected = MLPClassifier(random_state=0).partial_fit(x.astype("float32"), y, classes=np.arange(10))
    x, y, classes = (
        strict.asarray(part, device=strict.Device(place)) for part in (x.astype("float32"), y, np.arange(10))
    )
    found = MLPClassifier(random_state=0).partial_fit(x, y, classes=classes)
    assert np.array_equal(found.classes_, expected.classes_)
    assert found.loss_ == pytest.approx(expected.loss_, rel=1e-5)
    assert str(found.partial_fit(x, y).predict(x).device) == str(x.device)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
@pytest.mark.parametrize("kind", ["classes", "labels", "values"])
def test_a_device_without_float64_is_fitted_on_in_float32(kind, options, dispatch, data):
    """scikit-learn's accuracy_score asks for float64, so its check, which scores, cannot be had there."""
    import array_api_strict as strict

    device = strict.Device("no_float64")
    name, x, y = data[kind]
    y = y.astype("float32" if kind == "values" else "int64")
    cls = MLPRegressor if name == "MLPRegressor" else MLPClassifier
    mlp = cls(random_state=0, **options)
    mlp.fit(strict.asarray(x.astype("float32"), device=device), strict.asarray(y, device=device))
    found = mlp.predict(strict.asarray(x.astype("float32"), device=device))
    assert mlp.coefs_[0].dtype == strict.float32
    assert {str(a.device) for a in (*mlp.coefs_, *mlp.intercepts_, found)} == {str(device)}
    assert tuple(found.shape) == y.shape


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_another_library_at_predict_raises_scikit_learns_error(kind, dispatch):
    estimator_checks.check_array_api_same_namespace(kind.__name__, kind(max_iter=3), "array_api_strict")


def test_string_labels_are_predicted_as_strings(dispatch, data, xp):
    if xp.name in ("jax", "numpy-readonly", "strict-rebinding"):
        pytest.skip("scikit-learn writes into what it is given")
    _, x, y = data["two"]
    mlp = MLPClassifier(max_iter=20, random_state=0).fit(xp.asarray(x), y)
    assert type(mlp.coefs_[0]) is type(xp.asarray(0.0))
    assert np.mean(mlp.predict(xp.asarray(x)) == y) > 0.9


def test_estimators_move_between_libraries(dispatch, data):
    torch = pytest.importorskip("torch")
    from sklearn.utils._array_api import get_namespace, move_estimator_to

    for kind in ("classes", "two", "labels"):
        _, x, y = data[kind]
        mlp = MLPClassifier(max_iter=5, random_state=0).fit(x, y)
        moved = move_estimator_to(mlp, get_namespace(torch.asarray(0.0))[0], torch.device("cpu"))
        assert isinstance(moved.coefs_[0], torch.Tensor)
        assert isinstance(mlp.coefs_[0], np.ndarray)
        there = moved.predict(torch.asarray(x))
        assert np.array_equal(np.asarray(there), mlp.predict(x))
        moved.partial_fit(torch.asarray(x), y)
        mlp.partial_fit(x, y)
        assert moved.coefs_[0].numpy() == pytest.approx(mlp.coefs_[0], rel=1e-9)


def test_tags_declare_array_api_and_sparse_support():
    for kind in (MLPClassifier, MLPRegressor):
        tags = kind().__sklearn_tags__()
        assert tags.array_api_support
        assert tags.input_tags.sparse


def test_with_a_backend_numpy_data_give_numpy_results(backend, data):
    for kind in ("classes", "values"):
        name, x, y = data[kind]
        options = {"max_iter": 3, "random_state": 0, "dtype": "float32"}
        cls = MLPClassifier if name == "MLPClassifier" else MLPRegressor
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            there = cls(backend=backend, **options).fit(x, y)
        here = cls(**options).fit(x, y)
        assert isinstance(there.coefs_[0], np.ndarray)
        assert isinstance(there.predict(x), np.ndarray)
        assert there.coefs_[0] == pytest.approx(here.coefs_[0], rel=1e-3, abs=1e-4)
        assert pytest.approx(here.score(x, y), abs=0.05) == there.score(x, y)
        there.partial_fit(x, y)


def test_sparse_rows_on_another_backend(data):
    pytest.importorskip("torch")
    from scipy.sparse import csr_matrix

    _, x, y = data["classes"]
    there, here = (
        MLPClassifier(max_iter=3, random_state=0, backend=b).fit(csr_matrix(x), y) for b in ("torch", "numpy")
    )
    assert there.coefs_[0] == pytest.approx(here.coefs_[0], rel=1e-9)
    assert np.array_equal(there.predict(csr_matrix(x)), here.predict(x))


def test_lbfgs_copies_only_loss_and_gradient_to_the_host(dispatch, spy):
    import array_api_strict as strict

    device = strict.Device("device1")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    mlp = MLPRegressor(hidden_layer_sizes=4, solver="lbfgs", max_iter=3, random_state=0)
    mlp.fit(strict.asarray(x, device=device), strict.asarray(y, device=device))
    assert [call for call in spy.calls if "/arraynn/layers" in call or "/arraynn/losses" in call] == []
