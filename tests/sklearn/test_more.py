"""What scikit-learn's estimators refuse: dropout, other activations, losses, optimizers, class weights, callbacks."""

from __future__ import annotations

import copy
import pickle

import array_api_strict
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import arraynn as nn
from arraynn.sklearn import MLPClassifier, MLPRegressor
from arraynn.sklearn._network import make_network


def fitted(data, kind="classes", **options):
    name, x, y = data[kind]
    cls = MLPClassifier if name == "MLPClassifier" else MLPRegressor
    return cls(**{"random_state": 0, "max_iter": 30, "learning_rate_init": 0.01, **options}).fit(x, y), x, y


def test_dropout_applies_in_training_only_and_is_reproducible(data):
    mlp, x, y = fitted(data, dropout=0.3)
    again, *_ = fitted(data, dropout=0.3)
    without, *_ = fitted(data)
    assert np.array_equal(mlp.coefs_[0], again.coefs_[0])
    assert not np.allclose(mlp.coefs_[0], without.coefs_[0])
    assert np.array_equal(mlp.predict_proba(x), mlp.predict_proba(x))
    assert mlp.score(x, y) > 0.9


def test_each_layer_has_its_activation_and_its_dropout(data):
    mlp, x, y = fitted(data, hidden_layer_sizes=(30, 20), activation=[nn.GELU(), "tanh"], dropout=[0.1, 0.0])
    assert [type(layer).__name__ for layer in mlp.network_.layers] == [
        *("MLPDense", "GELU", "Dropout", "MLPDense", "Tanh", "MLPDense"),
    ]
    assert mlp.score(x, y) > 0.9


def test_an_activation_may_have_parameters_and_statistics(data):
    for solver in ("adam", "lbfgs"):
        mlp, x, y = fitted(data, activation=nn.Sequential(nn.BatchNorm(), nn.ReLU()), solver=solver)
        assert set(mlp.layer_params_[0][0]) == {"scale", "bias", "statistics"}
        assert mlp.score(x, y) > 0.8


def test_l1_makes_weights_small(data):
    sums = [sum(np.sum(np.abs(w)) for w in fitted(data, l1=l1)[0].coefs_) for l1 in (0.0, 1.0)]
    assert sums[1] < 0.7 * sums[0]


def test_class_weights_are_sample_weights(data):
    weights = {0: 3.0, 1: 0.5}
    _, x, y = data["classes"]
    table = np.ones(10)
    table[:2] = 3.0, 0.5
    by_class = MLPClassifier(class_weight=weights, max_iter=5, random_state=0).fit(x, y)
    by_row = MLPClassifier(max_iter=5, random_state=0).fit(x, y, sample_weight=table[y])
    assert by_class.coefs_[0] == pytest.approx(by_row.coefs_[0], rel=1e-12)
    balanced, *_ = fitted(data, kind="two", class_weight="balanced")
    assert balanced.score(*data["two"][1:]) > 0.95
    with pytest.raises(ValueError, match="class_weight 'balanced' is not supported for partial_fit"):
        MLPClassifier(class_weight="balanced").partial_fit(x, y, classes=np.arange(10))


def test_each_output_of_multilabel_targets_has_its_class_weights(data):
    _, x, y = data["labels"]
    weights = [{0: 1.0, 1: 2.0}] * y.shape[1]
    by_class = MLPClassifier(class_weight=weights, max_iter=5, random_state=0).fit(x, y)
    by_row = MLPClassifier(max_iter=5, random_state=0).fit(x, y, sample_weight=2.0 ** y.sum(axis=1))
    assert by_class.coefs_[0] == pytest.approx(by_row.coefs_[0], rel=1e-12)


@pytest.mark.parametrize(
    "loss",
    ["hinge", "focal", nn.SoftmaxCrossEntropy(label_smoothing=0.1), nn.CrossEntropy(), nn.BinaryCrossEntropy()],
    ids=str,
)
@pytest.mark.parametrize("kind", ["classes", "two", "labels"])
def test_classifiers_take_losses(data, kind, loss):
    if kind == "labels" and getattr(loss, "targets", "") == "classes":
        with pytest.raises(ValueError, match="y is multilabel"):
            fitted(data, kind, loss=loss)
        return
    mlp, x, y = fitted(data, kind, loss=loss)
    assert mlp.score(x, y) > (0.1 if kind == "labels" else 0.85)
    if loss != "hinge":
        found = mlp.predict_proba(x)
        assert found.shape == (len(x), len(mlp.classes_))
        if kind != "labels":
            assert found.sum(axis=1) == pytest.approx(1.0)
    else:
        assert not hasattr(mlp, "predict_proba")


@pytest.mark.parametrize("kind", ["value", "values"])
@pytest.mark.parametrize("loss", ["huber", "absolute_error", "log_cosh", "quantile", nn.mean_squared_error])
def test_regressors_take_losses(data, kind, loss):
    mlp, x, y = fitted(data, kind, loss=loss, max_iter=100)
    assert mlp.score(x, y) > 0.9


def test_a_quantile_is_exceeded_by_its_share(rng):
    x = rng.random((2000, 1))
    y = x[:, 0] + rng.random(2000)
    mlp = MLPRegressor(loss=nn.Quantile(0.8), hidden_layer_sizes=(8,), random_state=0, learning_rate_init=0.01)
    assert np.mean(y <= mlp.fit(x, y).predict(x)) == pytest.approx(0.8, abs=0.03)


def test_any_optimizer_and_any_schedule(data):
    for options in (
        {"solver": nn.AdamW(nn.CosineDecay(0.01, steps=100))},
        {"solver": nn.RMSProp(0.005), "clip_norm": 1.0},
        {"solver": "adam", "learning_rate": nn.InverseTimeDecay(0.01, decay=0.01)},
        {"solver": nn.Groups(nn.Adam(0.01), {"*.bias": nn.SGD(0.1)})},
        {"solver": nn.SGD(0.1, momentum=0.9), "learning_rate": "adaptive"},
    ):
        mlp, x, y = fitted(data, **options)
        assert mlp.score(x, y) > 0.9, options
    assert fitted(data, learning_rate=nn.CosineDecay(0.01, steps=10))[0].learning_rate_ == 0.01


def test_validation_has_its_loss_curve(data):
    mlp, *_ = fitted(data, early_stopping=True)
    assert len(mlp.validation_loss_curve_) == len(mlp.validation_scores_) == mlp.n_iter_
    assert mlp.validation_loss_curve_[-1] < mlp.validation_loss_curve_[0]


def test_callbacks_see_a_model_and_may_change_it(data, tmp_path):
    stop, best = (
        nn.EarlyStopping("loss", patience=2, min_delta=0.05),
        nn.BestWeights(tmp_path / "m.safetensors", "loss"),
    )
    slower = nn.ReduceLROnPlateau("loss", patience=1, min_delta=0.2)
    seen = []

    class Look(nn.Callback):
        def on_epoch_end(self, model, epoch, logs):
            seen.append((epoch, logs["loss"], model.predict(x[:2]).shape))

    x = data["classes"][1]
    mlp, x, y = fitted(data, max_iter=200, callbacks=[stop, best, slower, Look()])
    assert mlp.n_iter_ == len(seen) < 200
    assert [loss for _, loss, _ in seen] == mlp.loss_curve_
    assert mlp.learning_rate_ < 0.01
    loaded = nn.Model.load(tmp_path / "m.safetensors", backend="numpy")
    assert np.mean(loaded.predict(x) == y) == pytest.approx(mlp.score(x, y), abs=0.05)


def test_a_callback_that_follows_a_missing_quantity_is_refused(data):
    with pytest.raises(nn.DataError, match="follows 'val_loss', but the logs have loss, learning_rate"):
        fitted(data, callbacks=[nn.EarlyStopping()])


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_of_scikit_learn_are_called(data, solver):
    callback = pytest.importorskip("sklearn.callback")
    _, x, y = data["classes"]

    class Stop:
        def __init__(self):
            self.tasks = []

        def setup(self, estimator, context):
            self.tasks.append("setup")

        def teardown(self, estimator, context):
            self.tasks.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
            self.tasks.append((context.task_name, fitted_estimator.score(X, y)))
            return context.task_id == 3 and context.parent is not None

    stop = Stop()
    mlp = MLPClassifier(max_iter=10, random_state=0, solver=solver).set_callbacks(stop).fit(x, y)
    name = "epoch" if solver == "adam" else "lbfgs-iter"
    assert [task[0] for task in stop.tasks[1:-1]] == [name] * 4 + ["fit"]
    assert stop.tasks[-2][1] == mlp.score(x, y)
    monitor = callback.ScoringMonitor(scoring="accuracy")
    MLPClassifier(max_iter=3, solver=solver).set_callbacks(monitor).fit(x, y, sample_weight=np.ones(len(y)))


def test_a_callback_sees_the_estimator_as_if_the_fit_ended_at_that_epoch(data):
    pytest.importorskip("sklearn.callback")
    _, x, y = data["classes"]

    class Look:
        def setup(self, estimator, context):
            self.seen = []

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            self.seen.append(fitted_estimator)

    look, options = Look(), {"early_stopping": True, "n_iter_no_change": 3, "learning_rate_init": 0.05}
    mlp = MLPClassifier(max_iter=60, random_state=0, **options).set_callbacks(look).fit(x, y)
    assert mlp.n_iter_ > 1 + int(np.argmax(mlp.validation_scores_))  # the best epoch was not the last
    for shown in look.seen[-2:]:  # the last epoch, and the fit
        assert np.array_equal(shown.coefs_[0], mlp.coefs_[0])


def test_estimators_work_in_pipelines_searches_and_worker_processes(data):
    _, x, y = data["classes"]
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(max_iter=20, random_state=0))
    grid = {"mlpclassifier__dropout": [0.0, 0.2], "mlpclassifier__solver": ["adam", nn.AdamW(0.01)]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(x, y)
    assert search.best_score_ > 0.6
    assert np.mean(cross_val_score(pipeline, x, y, cv=2, n_jobs=2)) > 0.6


def test_data_frames_keep_their_names(data):
    pandas = pytest.importorskip("pandas")
    _, x, y = data["value"]
    frame = pandas.DataFrame(x, columns=[f"c{i}" for i in range(12)])
    mlp = MLPRegressor(max_iter=3, early_stopping=True).fit(frame, pandas.Series(y))
    assert mlp.feature_names_in_.tolist() == list(frame.columns)
    with pytest.raises(ValueError, match="The feature names should match"):
        mlp.predict(frame.rename(columns={"c0": "other"}))


@pytest.mark.parametrize("kind", [bool, float, np.int8, np.bool_])
def test_class_weights_by_keys_of_any_numeric_type(kind):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 3))
    z = (x[:, 0] > 0).astype(int)
    fits = [
        MLPClassifier((4,), max_iter=3, tol=0, class_weight=weights, random_state=0).fit(x, z).loss_curve_
        for weights in ({kind(0): 1.0, kind(1): 10.0}, {0: 1.0, 1: 10.0}, None)
    ]
    assert fits[0] == fits[1] != fits[2]


def test_class_weights_count_in_rows_that_lack_a_class():
    # scikit-learn's rule, applied to the rows at hand, refused {0: 1, 2: 3} where they had no class 2
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 3)), np.repeat([0, 1], 30)
    weighted = MLPClassifier((4,), class_weight={0: 5.0, 2: 3.0}, random_state=0)
    weighted.partial_fit(x, y, classes=[0, 1, 2])
    by_rows = MLPClassifier((4,), random_state=0).partial_fit(
        x, y, classes=[0, 1, 2], sample_weight=np.where(y == 0, 5.0, 1.0)
    )
    assert weighted.loss_curve_ == by_rows.loss_curve_
    with pytest.raises(ValueError, match="not in class_weight"):
        MLPClassifier(class_weight={0: 5.0, 7: 3.0}).partial_fit(x, y, classes=[0, 1, 2])


@pytest.mark.parametrize(
    ("loss", "shift", "told"),
    [
        ("poisson", -1, r"y holds -1 in row \d+; loss='poisson' takes targets of at least 0"),
        (nn.Poisson(), -1, r"y holds -1 in row \d+; Poisson takes targets of at least 0"),
        (nn.Hinge(), 1, r"y holds 2 in row \d+; Hinge takes targets of 0 and 1, or of -1 and 1"),
        (nn.SigmoidCrossEntropy(), 1, r"y holds 2 in row \d+; SigmoidCrossEntropy takes targets in \[0, 1\]"),
    ],
)
def test_targets_outside_the_losss_domain_are_refused(loss, shift, told):
    x = np.random.default_rng(0).standard_normal((20, 3))
    y = (x[:, 0] > 0) + shift
    for method in ("fit", "partial_fit"):
        with pytest.raises(nn.DataError, match=told):
            getattr(MLPRegressor(loss=loss), method)(x, y)
    with pytest.raises(ValueError, match="SoftmaxCrossEntropy is a loss over classes; MLPRegressor takes"):
        MLPRegressor(loss=nn.softmax_cross_entropy).fit(x, y)


@pytest.mark.parametrize("backend", [nn.backend("array_api_strict:device1"), array_api_strict])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fitted_estimator_with_a_backend_and_callbacks_is_cloned_copied_and_pickled(data, tmp_path, backend):
    _, x, y = data["classes"]
    log = nn.CSVLog(tmp_path / "log.csv")
    mlp = MLPClassifier(max_iter=2, random_state=0, backend=backend, callbacks=[log]).fit(x, y)
    for other in (copy.deepcopy(mlp), pickle.loads(pickle.dumps(mlp))):
        assert np.array_equal(other.predict(x), mlp.predict(x))
        assert other.partial_fit(x, y).loss_ == copy.deepcopy(mlp).partial_fit(x, y).loss_
    assert clone(mlp).fit(x, y).loss_curve_ == mlp.loss_curve_
    assert clone(clone(mlp)).get_params()["backend"].name == "array_api_strict"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_workers_take_and_return_estimators_that_have_logged(data, tmp_path):
    _, x, y = data["classes"]
    callbacks = [nn.CSVLog(tmp_path / "log.csv", append=True), nn.EarlyStopping("loss")]
    mlp = MLPClassifier(max_iter=2, random_state=0, callbacks=callbacks, backend=nn.backend("numpy")).fit(x, y)
    scores = cross_val_score(mlp, x, y, cv=2)
    found = cross_validate(mlp, x, y, cv=2, return_estimator=True, n_jobs=2)
    assert found["test_score"].tolist() == scores.tolist()
    assert [one.score(x, y) > 0 for one in found["estimator"]] == [True, True]


# ---------------------------------------------------------------- going on with other hyperparameters

GOING_ON = {
    "partial_fit": lambda mlp, x, y: mlp.partial_fit(x, y),
    "warm_start": lambda mlp, x, y: mlp.set_params(warm_start=True, max_iter=2).fit(x, y),
}


@pytest.mark.parametrize("kind", ["classes", "value"])
@pytest.mark.parametrize("way", GOING_ON)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"dropout": 0.2}),
        ({"dropout": 0.2}, {"dropout": 0.0}),
        ({"dropout": [0.2, 0.0]}, {"dropout": [0.0, 0.3]}),
        ({}, {"activation": "identity"}),
        ({"activation": [nn.LayerNorm(), "tanh"]}, {"activation": [nn.LayerNorm(), nn.GELU()], "dropout": 0.1}),
    ],
)
def test_adding_or_removing_layers_without_parameters_keeps_the_weights(data, kind, way, before, after):
    options = {"hidden_layer_sizes": (8, 6), "max_iter": 2, "learning_rate_init": 0.01}
    mlp, x, y = fitted(data, kind, **options, **before)
    plain = copy.deepcopy(mlp)
    mlp.set_params(**after, learning_rate_init=1e-12)
    GOING_ON[way](mlp, x, y)
    for name in ("coefs_", "intercepts_"):  # at that rate they hardly move
        for a, b in zip(getattr(mlp, name), getattr(plain, name), strict=True):
            assert a == pytest.approx(b, abs=1e-9)
    assert [type(layer).__name__ for layer in mlp.network_.layers].count("Dropout") == np.count_nonzero(
        np.broadcast_to(mlp.dropout, 2)
    )
    if way == "partial_fit":  # the optimizer goes on, too
        assert mlp._training["step"] > plain._training["step"]
        for a, b in zip(nn.tree.leaves(mlp._training["slots"]), nn.tree.leaves(plain._training["slots"]), strict=True):
            assert a.shape == b.shape
            assert np.any(b)
    assert mlp.predict(x).shape == y.shape


def test_dropout_turned_on_and_off_again_changes_nothing(data):
    _, x, y = data["value"]
    first, second = (
        MLPRegressor(hidden_layer_sizes=(8,), random_state=1, batch_size=300, shuffle=False) for _ in range(2)
    )
    first.partial_fit(x, y).partial_fit(x, y)
    second.partial_fit(x, y)
    second._carry_to(make_network([8], 1, second._loss, dropout=0.3))
    second.network_ = make_network([8], 1, second._loss, dropout=0.3)
    second.set_params(dropout=0.0).partial_fit(x, y)
    assert np.array_equal(first.coefs_[0], second.coefs_[0])


@pytest.mark.parametrize("way", GOING_ON)
@pytest.mark.parametrize(
    "change",
    [
        {"hidden_layer_sizes": (8,)},
        {"hidden_layer_sizes": (8, 6, 5)},
        {"hidden_layer_sizes": (8, 5)},
        {"hidden_layer_sizes": ()},
        {"activation": ["relu", nn.LayerNorm()]},
        {"loss": nn.SigmoidCrossEntropy()},
    ],
)
def test_another_shape_is_refused_and_leaves_the_estimator_unchanged(data, way, change):
    mlp, x, y = fitted(data, "two", hidden_layer_sizes=(8, 6), max_iter=2, loss=nn.SoftmaxCrossEntropy())
    before, expected = mlp.get_params(), mlp.predict_proba(x)
    mlp.set_params(**change)
    with pytest.raises(
        ValueError, match=r"has parameters of the shapes weight \(64, 8\), bias \(8,\); .* need the same shapes"
    ):
        GOING_ON[way](mlp, x, y)
    assert np.array_equal(mlp.predict_proba(x), expected)
    mlp.set_params(**before)
    GOING_ON[way](mlp, x, y)


def test_batches_of_one_row_are_refused_where_a_layer_couples_rows():
    x = np.random.default_rng(0).standard_normal((60, 3))
    y = (x[:, 0] > 0).astype(int)
    with pytest.raises(nn.DataError, match=r"BatchNorm 'layers.1'.* at least 2 rows"):
        MLPClassifier((4,), activation=nn.BatchNorm(), batch_size=1).fit(x, y)
    short = MLPClassifier((4,), activation=nn.BatchNorm(), batch_size=59, max_iter=60, random_state=0, tol=0.0)
    with pytest.warns(Warning, match="Maximum iterations"):
        short.fit(x, y)
    hidden = x @ short.coefs_[0] + short.intercepts_[0]
    variance = short.layer_params_[0]["statistics"]["variance"]
    assert variance == pytest.approx(hidden.var(axis=0, ddof=1), rel=0.1)  # one row is left over each epoch


def test_hyperparameters_may_be_numpy_scalars():
    x = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)

    def fitted(f, i):
        one = MLPClassifier(
            (i(4),), activation=nn.ELU(f(1.0)), solver=nn.Adam(f(0.01)), alpha=f(1e-3), l1=f(1e-4), batch_size=i(20),
            max_iter=i(5), dropout=f(0.1), clip_norm=f(1.0), random_state=0, tol=f(0.0),
        )  # fmt: skip
        with pytest.warns(Warning, match="Maximum iterations"):
            return one.fit(x, y)

    for a, b in zip(fitted(np.float64, np.int64).coefs_, fitted(float, int).coefs_, strict=True):
        assert a.dtype == np.float32
        assert np.array_equal(a, b)


@pytest.mark.parametrize("filled", [np.nan, np.inf])
def test_rows_of_weight_0_do_not_count_in_what_estimators_descend(filled):
    from arraynn.sklearn._clipped import ClippedSigmoidCrossEntropy, ClippedSoftmaxCrossEntropy

    weight = np.asarray([1.0, 0.0, 2.0])
    for loss, outputs, targets in (
        (ClippedSoftmaxCrossEntropy(), np.eye(3), np.asarray([0, 1, 1])),
        (ClippedSigmoidCrossEntropy(), np.eye(3)[:, :1], np.asarray([[0.0], [1.0], [1.0]])),
    ):
        value, backward = loss(outputs, targets, sample_weight=weight)
        outputs = outputs.copy()
        outputs[1] = filled
        again, again_backward = loss(outputs, targets, sample_weight=weight)
        assert again == value
        assert np.array_equal(again_backward(), backward())
