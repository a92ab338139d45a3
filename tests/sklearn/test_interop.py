"""To and from arraynn's Model and scikit-learn's own estimators, with equal predictions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import neural_network

import arraynn as nn
import arraynn.sklearn
from arraynn.sklearn import MLPClassifier, MLPRegressor, from_model, from_sklearn

KINDS = ["classes", "two", "labels", "value", "values", "counts"]


def fitted(module, data, kind, **options):
    name, x, y = data[kind]
    if kind == "counts":
        options["loss"] = "poisson"
    return getattr(module, name)(max_iter=5, random_state=0, **options).fit(x, y), x, y


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    assert np.array_equal(a, b) if a.dtype.kind in "iUb" else a == pytest.approx(b, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_from_and_to_scikit_learn(data, kind):
    theirs, x, y = fitted(neural_network, data, kind)
    ours = from_sklearn(theirs)
    same(ours.predict(x), theirs.predict(x))
    assert ours.loss_curve_ == theirs.loss_curve_
    ours.partial_fit(x, y)  # a copy: theirs is as it was
    back = ours.to_sklearn()
    assert type(back) is type(theirs)
    same(back.predict(x), ours.predict(x))
    assert not np.allclose(back.coefs_[0], theirs.coefs_[0])
    back.partial_fit(x, y)


@pytest.mark.parametrize("kind", KINDS)
def test_to_and_from_a_model(data, kind):
    mlp, x, y = fitted(arraynn.sklearn, data, kind, dropout=0.1, activation=[nn.GELU()])
    model = mlp.to_model()
    assert isinstance(model, nn.Model)
    if kind in ("value", "values", "counts"):
        same(model.predict(x), mlp.predict(x))
        again = from_model(model)
    else:
        same(model.predict_proba(x)[:, -1], mlp.predict_proba(x)[:, -1])
        again = from_model(model, y if kind == "labels" else mlp.classes_)
    same(again.predict(x), mlp.predict(x))
    assert again.dropout == [0.1]
    again.partial_fit(x, y)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_trains_on_the_same_objective(data, kind):
    mlp, x, y = fitted(arraynn.sklearn, data, kind, alpha=5.0, batch_size=64)
    model = mlp.to_model()
    targets = y if kind not in ("two", "labels") else np.asarray(mlp._label_binarizer.transform(y), float)
    theirs = mlp._loss
    ratio = theirs.scale * mlp.n_outputs_ if hasattr(theirs, "scale") else mlp.n_outputs_ if kind == "counts" else 1.0
    value = model.network.penalty(model.params)[0]
    assert value * ratio == pytest.approx(5.0 / 2 / 64 * sum(np.sum(w * w) for w in mlp.coefs_))
    model.fit(x, targets, epochs=1, verbose=0)


def test_a_model_becomes_an_estimator_with_its_network(data):
    _, x, y = data["classes"]
    network = nn.Sequential(nn.Dense(16), nn.BatchNorm(), nn.ReLU(), nn.Dropout(0.2), nn.Dense(8), nn.Dense(10))
    model = nn.Model(network, optimizer=nn.AdamW(0.01), seed=0)
    model.fit(x, y, epochs=5, verbose=0)
    mlp = from_model(model, classes=np.arange(10) * 10)
    assert mlp.predict(x).tolist() == (model.predict(x) * 10).tolist()
    assert (mlp.hidden_layer_sizes, mlp.dropout, mlp.solver) == ((16, 8), [0.2, 0.0], nn.AdamW(0.01))
    assert mlp.loss_curve_ == model.history["loss"]
    mlp.partial_fit(x, y * 10)
    assert mlp.to_model().predict(x).shape == y.shape


def test_models_of_another_structure_are_refused(data):
    with pytest.raises(ValueError, match="has no weights yet"):
        MLPClassifier.from_model(nn.Model(nn.Sequential(nn.Dense(3))))
    flat = nn.Model(nn.Sequential(nn.Flatten(), nn.Dense(3))).build((2, 2))
    with pytest.raises(ValueError, match="must be a Sequential of Dense layers"):
        MLPClassifier.from_model(flat)
    late = nn.Model(nn.Sequential(nn.Dense(3), nn.ReLU())).build((2,))
    with pytest.raises(ValueError, match="after its last Dense, the network may only have"):
        MLPClassifier.from_model(late)
    with pytest.raises(ValueError, match="2 classes take"):
        MLPClassifier.from_model(nn.Model(nn.Sequential(nn.Dense(3))).build((2,)), classes=["a", "b"])


def test_two_outputs_become_one_for_scikit_learn(data):
    mlp, x, _ = fitted(arraynn.sklearn, data, "two", loss=nn.softmax_cross_entropy)
    assert mlp.n_outputs_ == 2
    same(mlp.to_sklearn().predict_proba(x), mlp.predict_proba(x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": nn.GELU()}, "have one activation of"),
        ({"activation": ["relu", "tanh"], "hidden_layer_sizes": (4, 4)}, "have one activation of"),
        ({"activation": nn.Sequential(nn.BatchNorm(), nn.ReLU())}, "have no parameters beside"),
        ({"loss": "hinge"}, "has no link like that of Hinge"),
        ({"loss": nn.BinaryCrossEntropy()}, "takes a softmax for several classes"),
    ],
)
def test_networks_without_a_counterpart_in_scikit_learn_are_refused(data, options, message):
    mlp, *_ = fitted(arraynn.sklearn, data, "classes", **options)
    with pytest.raises(ValueError, match=message):
        mlp.to_sklearn()


def test_regressors_of_other_losses_predict_the_same_there(data):
    mlp, x, _ = fitted(arraynn.sklearn, data, "value", loss="huber", dropout=0.1)
    same(mlp.to_sklearn().predict(x), mlp.predict(x))
    assert isinstance(from_sklearn(neural_network.MLPRegressor(alpha=3.0)), MLPRegressor)


@pytest.mark.parametrize(
    "loss",
    [nn.SigmoidCrossEntropy(), nn.BinaryCrossEntropy(), nn.Hinge(), nn.Focal()],
    ids=lambda one: type(one).__name__,
)
def test_two_classes_keep_the_order_given(loss, rng):
    # the names were sorted, and the output was not: 0.005 where 0.995 was right
    x = rng.standard_normal((200, 3))
    z = (x[:, 0] > 0).astype(int)
    end = [nn.Sigmoid()] if isinstance(loss, nn.BinaryCrossEntropy) else []
    model = nn.Model(nn.Sequential(nn.Dense(8), nn.Tanh(), nn.Dense(1), *end), loss, nn.Adam(0.05), backend="numpy")
    model.fit(x, z, epochs=20)
    for names in (["spam", "ham"], ["ham", "spam"], [True, False], [1, 0], [7, -2]):
        mlp = from_model(model, classes=names)
        assert mlp.classes_.tolist() == sorted(names)
        assert (mlp.predict(x) == np.asarray(names)[model.predict(x)]).all()
        if not isinstance(loss, nn.Hinge):
            p = mlp.predict_proba(x)[:, list(mlp.classes_).index(names[1])]
            assert p == pytest.approx(model.predict_proba(x)[:, 0], abs=1e-6)
    mirrored = from_model(model, classes=["spam", "ham"])
    if isinstance(loss, nn.Focal):
        assert (mirrored.loss.alpha, model.loss.alpha) == (0.75, 0.25)
    score = mirrored.score(x, np.asarray(["spam", "ham"])[z])
    assert (
        mirrored.partial_fit(x, np.asarray(["spam", "ham"])[z]).score(x, np.asarray(["spam", "ham"])[z]) > score - 0.05
    )


@pytest.mark.parametrize("loss", [nn.SoftmaxCrossEntropy(), nn.CrossEntropy()], ids=lambda one: type(one).__name__)
def test_several_classes_keep_the_order_given(loss, rng):
    x = rng.standard_normal((300, 2))
    y = x.argmax(axis=1) + (x.sum(axis=1) > 1)
    end = [nn.Softmax()] if isinstance(loss, nn.CrossEntropy) else []
    model = nn.Model(nn.Sequential(nn.Dense(3), *end), loss, nn.Adam(0.05), backend="numpy")
    model.fit(x, y, epochs=5)
    for names in (["spam", "ham", "eggs"], [30, 10, 20], ["a", "b", "c"]):
        mlp = from_model(model, classes=names)
        assert (mlp.predict(x) == np.asarray(names)[model.predict(x)]).all()
        columns = [list(mlp.classes_).index(name) for name in names]
        assert mlp.predict_proba(x)[:, columns] == pytest.approx(model.predict_proba(x), rel=1e-5)


def test_classes_that_name_no_outputs_are_refused(rng):
    x = rng.standard_normal((20, 2))
    three = nn.Model(nn.Sequential(nn.Dense(3)), backend="numpy").build((2,))
    with pytest.raises(ValueError, match="2 classes take 2 outputs, the model has 3"):
        from_model(three, classes=["b", "b", "a"])
    value = nn.Model(nn.Sequential(nn.Dense(1)), nn.mean_squared_error, backend="numpy").build((2,))
    assert from_model(value, classes=["no", "yes"]).predict(x).shape == (20,)
    with pytest.raises(
        ValueError, match=r"single output of MeanSquaredError .* classes must be sorted, got \['yes', 'no'\]"
    ):
        from_model(value, classes=["yes", "no"])


def test_column_names_are_kept_both_ways(rng):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rng.standard_normal((40, 2)), columns=["a", "b"])
    z = (frame["a"] > 0).astype(int)
    mlp = MLPClassifier((4,), max_iter=3, tol=0, random_state=0, callbacks=[nn.EarlyStopping("loss")]).fit(frame, z)
    model = mlp.to_model()
    assert model.columns == ("a", "b")
    with pytest.raises(nn.DataError, match="another order"):
        model.predict(frame[["b", "a"]])
    back = from_model(model)
    assert (back.predict(frame) == mlp.predict(frame)).all()
    with pytest.raises(ValueError, match="same order"):
        back.predict(frame[["b", "a"]])
