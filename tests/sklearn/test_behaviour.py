"""What scikit-learn's tests of private names look for, seen from outside; and errors and warnings, text by text."""

from __future__ import annotations

import os
import pickle
import re
import signal
import warnings

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import arraynn as nn
import arraynn.sklearn
from arraynn.sklearn import MLPClassifier, MLPRegressor
from arraynn.sklearn._clipped import ClippedSigmoidCrossEntropy, ClippedSoftmaxCrossEntropy, exact
from arraynn.sklearn._conventions import EpsilonHatAdam, HalfPoissonDeviance, HeavySGD, MLPDense, Summed
from arraynn.sklearn._objective import PerSample, WithWeights
from arraynn.testing import check_backward

POINTS, ANSWERS = [[3, 2], [1, 6], [5, 6], [-2, -4]], [1, 1, 1, 0]


# ---------------------------------------------------------------- the objective and its gradient


def objective(rng, loss, outputs, rows=6, weighted=True):
    network = nn.Sequential(MLPDense(4), nn.Tanh(), MLPDense(outputs))
    params, _ = network.init(rng, (3,), "float64")
    x = rng.standard_normal((rows, 3))
    weight = rng.random(rows) if weighted else None
    return network, params, x, weight, PerSample(loss, nn.L1L2(l1=0.02, l2=0.3))


LOSSES = {
    "classes": (nn.SoftmaxCrossEntropy(), lambda rng: rng.integers(0, 3, 6)),
    "labels": (Summed(nn.SigmoidCrossEntropy()), lambda rng: rng.integers(0, 2, (6, 3)).astype(float)),
    "values": (Summed(nn.MeanSquaredError(), 0.5), lambda rng: rng.standard_normal((6, 3))),
    "counts": (HalfPoissonDeviance(), lambda rng: rng.poisson(1.0, (6, 3)).astype(float)),
}


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_is_that_of_the_loss_with_its_penalty(rng, kind, weighted):
    loss, targets = LOSSES[kind]
    network, params, x, weight, objective_ = objective(rng, loss, 3, weighted=weighted)
    y, wrapped = targets(rng), WithWeights(network)

    def block(w1, b1, w2, b2):
        nest = [{"weight": w1, "bias": b1}, {}, {"weight": w2, "bias": b2}]
        outputs, network_backward = wrapped(nest, x.astype(w1.dtype))
        weights = None if weight is None else weight.astype(w1.dtype)
        value, loss_backward = objective_(
            outputs, y if y.dtype.kind == "i" else y.astype(w1.dtype), sample_weight=weights
        )

        def block_backward(dvalue):
            grads = network_backward(loss_backward(dvalue), need_dx=False)[1]
            return grads[0]["weight"], grads[0]["bias"], grads[2]["weight"], grads[2]["bias"]

        return value, block_backward

    check_backward(block, params[0]["weight"], params[0]["bias"], params[2]["weight"], params[2]["bias"])


@pytest.mark.parametrize("scale", [1, 1000])
@pytest.mark.parametrize("kind", [ClippedSoftmaxCrossEntropy, ClippedSigmoidCrossEntropy])
def test_clipped_losses_are_reported_and_exact_ones_descended(rng, kind, scale):
    loss, outputs, weight = kind(), scale * rng.standard_normal((6, 3)), rng.random(6)
    y = rng.integers(0, 3, 6) if loss.targets == "classes" else rng.integers(0, 2, (6, 3))
    for options in ({}, {"sample_weight": weight}, {"sample_weight": weight, "total": 20.0}):
        value, backward = loss(outputs, y, **options)
        other, plain_backward = exact(loss)(outputs, y, **options)
        assert backward(2.0) == pytest.approx(plain_backward(2.0), rel=1e-12, abs=1e-15)
        assert value < 37 * max(1.0, np.sum(weight))
        assert value == pytest.approx(other, rel=1e-12) if scale == 1 else value < other


def test_row_blocks_add_up_to_the_batch(rng):
    network, params, x, weight, loss = objective(rng, nn.SoftmaxCrossEntropy(), 3)
    y, wrapped = rng.integers(0, 3, 6), WithWeights(network)
    whole = loss(wrapped(params, x)[0], y, sample_weight=weight)[0]
    total = loss.total(y, weight)
    parts = [
        loss(wrapped(params, x[part])[0], y[part], sample_weight=weight[part], total=total)[0]
        for part in (slice(0, 2), slice(2, 6))
    ]
    assert sum(parts) == pytest.approx(whole, rel=1e-12)


def test_the_step_runs_on_every_library(rng, xp):
    network, params, x, weight, loss = objective(rng, nn.SoftmaxCrossEntropy(), 3)
    dtype = xp.float_dtype
    params = nn.put(params, like=xp.asarray(0.0, dtype))
    optimizer = EpsilonHatAdam(0.01)
    step = nn.make_train_step(WithWeights(network), loss, optimizer)
    batch = xp.asarray(x, dtype), xp.asarray(rng.integers(0, 3, 6)), xp.asarray(weight, dtype)
    params, _, logs = step(params, optimizer.init(params), batch, nn.Key(0))
    assert all(dtype in str(leaf.dtype) for leaf in nn.tree.leaves(params))
    assert np.isfinite(float(xp.to_numpy(logs["data_loss"])))


def test_epsilon_hat_is_added_to_the_root_of_v():
    optimizer, p, g = EpsilonHatAdam(0.1, epsilon=0.5), {"w": np.asarray([1.0])}, {"w": np.asarray([2.0])}
    p, _ = optimizer.update(p, g, optimizer.init(p))
    m, v = 0.1 * 2.0, 0.001 * 4.0
    assert p["w"][0] == pytest.approx(1 - 0.1 * 0.001**0.5 / 0.1 * m / (v**0.5 + 0.5))
    with pytest.raises(ValueError, match="beta1 must lie in"):
        EpsilonHatAdam(beta1=1.0)


def test_a_momentum_of_1_adds_up_all_gradients():
    optimizer, p = HeavySGD(1.0, momentum=1.0), {"w": np.asarray([0.0])}
    state = optimizer.init(p)
    for _ in range(3):
        p, state = optimizer.update(p, {"w": np.asarray([1.0])}, state)
    assert p["w"][0] == -6.0  # 1 + 2 + 3 steps


# ---------------------------------------------------------------- learning rates and stopping


@pytest.mark.parametrize("learning_rate", ["invscaling", "constant"])
def test_warm_start_continues_from_the_rows_seen(learning_rate):
    mlp = MLPClassifier(
        4, solver="sgd", learning_rate=learning_rate, max_iter=1, power_t=0.25, warm_start=True, random_state=0
    )
    first = mlp.fit(POINTS, ANSWERS).learning_rate_
    second = mlp.fit(POINTS, ANSWERS).learning_rate_
    expected = mlp.learning_rate_init / (8 + 1) ** mlp.power_t if learning_rate == "invscaling" else first
    assert second == pytest.approx(expected, rel=1e-15)


def test_an_adaptive_learning_rate_falls_until_it_stops():
    mlp = MLPClassifier(tol=0.5, max_iter=3000, solver="sgd", learning_rate="adaptive", random_state=0)
    mlp.fit([[3, 2], [1, 6]], [1, 0])
    assert mlp.n_iter_ < mlp.max_iter
    assert mlp.learning_rate_ < 1e-6


@pytest.mark.parametrize("n_iter_no_change", [2, 5, 10])
def test_it_stops_after_so_many_epochs_without_improvement(n_iter_no_change):
    mlp = MLPClassifier(tol=1e9, solver="sgd", n_iter_no_change=n_iter_no_change, random_state=0)
    mlp.fit(POINTS, ANSWERS)
    # the first epoch improves upon infinity; the one after the last that is waited for stops
    assert mlp.n_iter_ == n_iter_no_change + 2
    theirs = neural_network.MLPClassifier(
        **{k: mlp.get_params()[k] for k in neural_network.MLPClassifier().get_params()}
    )
    assert theirs.fit(POINTS, ANSWERS).n_iter_ == mlp.n_iter_


def test_an_infinite_n_iter_no_change_never_stops_early():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(30\) reached and the optimization hasn't"):
        mlp = MLPClassifier(tol=1e9, solver="sgd", n_iter_no_change=np.inf, max_iter=30).fit(POINTS, ANSWERS)
    assert mlp.n_iter_ == 30


def test_partial_fit_takes_the_epochs_of_fit_one_by_one(data):
    _, x, y = data["value"]
    options = {"random_state": 1, "batch_size": len(x), "learning_rate": "adaptive", "solver": "sgd"}
    whole = MLPRegressor(max_iter=8, **options).fit(x, y)
    parts = MLPRegressor(**options)
    for _ in range(8):
        parts.partial_fit(x, y)
    assert parts.predict(x) == pytest.approx(whole.predict(x), rel=1e-9)
    assert len(parts.loss_curve_) == 8
    assert parts.t_ == whole.t_


def test_ctrl_c_warns_and_returns(data):
    _, x, y = data["classes"]

    class Interrupted(nn.Callback):
        def on_batch_end(self, model):
            if model.step == 7:
                os.kill(os.getpid(), signal.SIGINT)

    mlp = MLPClassifier(callbacks=[Interrupted()], batch_size=100, random_state=0)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        mlp.fit(x, y)
    assert mlp.n_iter_ == 1
    assert mlp.predict(x).shape == y.shape


def test_verbose_prints_what_scikit_learn_prints(capsys):
    options = {"verbose": True, "random_state": 0, "tol": 0.5, "n_iter_no_change": 1, "max_iter": 50}
    x, y = np.tile(POINTS, (10, 1)), ANSWERS * 10
    for more in ({}, {"early_stopping": True}, {"solver": "sgd", "learning_rate": "adaptive"}):
        printed = []
        for module in (arraynn.sklearn, neural_network):
            module.MLPClassifier(**options, **more).fit(x, y)
            printed.append(capsys.readouterr().out)
        assert printed[0] == printed[1]


# ---------------------------------------------------------------- errors


def first_error(act):
    try:
        act()
    except Exception as error:
        return type(error), str(error)
    return None


def cases():
    nan = np.asarray([[0.0, np.nan]] * 4)
    yield "sizes", {"hidden_layer_sizes": [5, -1]}, POINTS, ANSWERS
    yield "fractions", {"hidden_layer_sizes": [5.5]}, POINTS, ANSWERS
    yield "nan", {}, nan, ANSWERS
    yield "lengths", {}, POINTS, ANSWERS[:3]
    yield "alpha", {"alpha": -1}, POINTS, ANSWERS
    yield "batch", {"batch_size": 0}, POINTS, ANSWERS
    yield "momentum", {"momentum": 2}, POINTS, ANSWERS
    yield "tol", {"tol": -1}, POINTS, ANSWERS
    yield "one axis", {}, [1, 2], [0, 1]
    yield "small", {"early_stopping": True, "validation_fraction": 0.1}, POINTS, [0, 1, 0, 1]


@pytest.mark.parametrize(("options", "x", "y"), [case[1:] for case in cases()], ids=[case[0] for case in cases()])
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_bad_input_raises_what_scikit_learn_raises(name, options, x, y):
    ours, theirs = (
        first_error(lambda module=module: getattr(module, name)(**options).fit(x, y))
        for module in (arraynn.sklearn, neural_network)
    )
    assert theirs is not None
    assert ours == theirs


def test_weights_that_are_not_finite_are_refused():
    x = np.finfo(np.float64).max * np.random.default_rng(0).random((10, 2))
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        MLPRegressor(max_iter=5).fit(x, np.arange(10.0))


def test_predictions_before_a_fit_are_refused():
    for ask in ("predict", "predict_proba", "to_model", "to_sklearn"):
        mlp = MLPClassifier()
        with pytest.raises(NotFittedError):
            getattr(mlp, ask)(*([POINTS] if ask.startswith("predict") else []))


def test_lbfgs_has_no_partial_fit():
    for mlp in (MLPClassifier(solver="lbfgs"), MLPRegressor(solver="lbfgs")):
        assert not hasattr(mlp, "partial_fit")
        with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
            mlp.partial_fit(POINTS, ANSWERS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": ["relu", "tanh"]}, "activation must be one value, or one for each of the 1 hidden layers"),
        ({"activation": ["swish"]}, "activation must be one of"),
        ({"dropout": [0.1, 0.2]}, "dropout must be one value"),
        ({"dropout": [1.5]}, "dropout is a probability of dropping"),
        ({"dropout": 1.0}, "The 'dropout' parameter of MLPClassifier must be"),
        ({"l1": -1}, "The 'l1' parameter of MLPClassifier must be a float in the range [0.0, inf)"),
        ({"dtype": "float16"}, "The 'dtype' parameter of MLPClassifier must be"),
        ({"solver": "lbfgs", "callbacks": [nn.Callback()]}, "callbacks are called after epochs"),
        ({"loss": "squared_error"}, "The 'loss' parameter of MLPClassifier must be a str among"),
    ],
)
def test_bad_hyperparameters_are_refused(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        MLPClassifier(**options).fit(POINTS, ANSWERS)


def test_estimators_are_cloned_and_pickled(data):
    _, x, y = data["classes"]
    mlp = MLPClassifier(max_iter=3, solver=nn.AdamW(0.01), activation=[nn.GELU()], random_state=0).fit(x, y)
    again = pickle.loads(pickle.dumps(mlp))
    assert np.array_equal(again.predict(x), mlp.predict(x))
    assert np.array_equal(clone(mlp).fit(x, y).coefs_[0], mlp.coefs_[0])
    assert again.partial_fit(x, y).coefs_[0] == pytest.approx(mlp.partial_fit(x, y).coefs_[0])


@pytest.mark.parametrize("kind", ["classes", "two classes", "labels", "values", "counts"])
def test_steps_on_numpy_are_compiled(rng, caplog, kind):
    # else they are right, and take twice as long
    x = rng.standard_normal((60, 5)).astype("float32")
    if kind in ("values", "counts"):
        y = rng.integers(0, 9, 60).astype("float32")
        est = MLPRegressor(max_iter=2, loss="poisson" if kind == "counts" else "squared_error")
    else:
        y = rng.integers(0, 2, (60, 3)) if kind == "labels" else rng.integers(0, 3 if kind == "classes" else 2, 60)
        est = MLPClassifier(max_iter=2)
    with caplog.at_level("INFO", "arraynn"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        est.fit(x, y)
    assert not [record.message for record in caplog.records if "runs as it is" in record.message]
