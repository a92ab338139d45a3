"""A metric's name means the loss's own metric: its threshold, its link, its ignored label."""

import numpy as np
import pytest

import arraynn as nn
from arraynn.metrics import as_metric


@pytest.fixture
def noise(rng):
    """Inputs, and yes-or-no labels that have nothing to do with them."""
    return rng.standard_normal((400, 3)), rng.integers(0, 2, 400)


def model_of(units, loss, **options):
    layers = [nn.Dense(units)]
    if isinstance(loss, nn.BinaryCrossEntropy):
        layers.append(nn.Sigmoid())
    return nn.Model(nn.Sequential(*layers), loss, nn.SGD(0.01), backend="numpy", **options)


BINARY = [nn.SigmoidCrossEntropy(), nn.BinaryCrossEntropy(), nn.Focal(), nn.Hinge()]


@pytest.mark.parametrize("name", ["accuracy", "binary_accuracy"])
@pytest.mark.parametrize("loss", BINARY, ids=lambda loss: type(loss).__name__)
def test_accuracy_of_one_output_is_that_of_predict(noise, loss, name):
    # it read 1.0, the argmax of one column, or took logits by the threshold of probabilities
    x, y = noise
    model = model_of(1, loss, metrics=[name])
    history = model.fit(x, y, validation_data=(x, y))
    expected = float(np.mean(model.predict(x) == y))
    assert 0.4 < expected < 0.6
    assert history["val_accuracy"][-1] == pytest.approx(expected)
    assert model.evaluate(x, y)["accuracy"] == pytest.approx(expected)


def test_early_stopping_follows_the_accuracy_of_predict(rng):
    x = rng.standard_normal((400, 3))
    y = (x[:, 0] > 0).astype(int)
    stop = nn.EarlyStopping("val_accuracy", patience=100)
    model = nn.Model(
        nn.Sequential(nn.Dense(1)), nn.sigmoid_cross_entropy, nn.Adam(0.01), metrics=["accuracy"], backend="numpy"
    )
    history = model.fit(x, y, epochs=10, validation_data=(x, y), callbacks=[stop])
    assert stop.best_epoch == int(np.argmax(history["val_accuracy"])) > 0
    assert model.evaluate(x, y)["accuracy"] > 0.9


@pytest.mark.parametrize("loss", BINARY, ids=lambda loss: type(loss).__name__)
def test_accuracy_of_several_binary_outputs_is_the_mean_over_outputs(rng, loss):
    x, y = rng.standard_normal((100, 3)), rng.integers(0, 2, (100, 4))
    model = model_of(4, loss, metrics=["accuracy"])
    model.fit(x, y)
    assert model.evaluate(x, y)["accuracy"] == pytest.approx(float(np.mean(model.predict(x) == y)))


def test_accuracy_takes_targets_of_minus_one_and_one(noise):
    x, y = noise
    model = model_of(1, nn.Hinge(), metrics=["accuracy"])
    model.fit(x, 2 * y - 1)
    assert model.evaluate(x, 2 * y - 1)["accuracy"] == pytest.approx(float(np.mean(model.predict(x) == y)))


def test_accuracy_by_name_skips_ignored_labels(rng):
    x, y = rng.standard_normal((60, 3)), rng.integers(0, 3, 60)
    y[::2] = -100
    named, own = (model_of(3, nn.SoftmaxCrossEntropy(ignore_label=-100), metrics=m) for m in (["accuracy"], None))
    assert named.fit(x, y, epochs=2) == own.fit(x, y, epochs=2)
    counted = y != -100
    hits = np.mean(named.predict(x)[counted] == y[counted])
    assert named.evaluate(x, y)["accuracy"] == pytest.approx(float(hits))


@pytest.mark.parametrize(
    "loss", [nn.MeanSquaredError(), nn.MeanAbsoluteError(), nn.Huber(), nn.Quantile(), nn.LogCosh(), nn.Poisson()]
)
def test_accuracy_with_a_regression_loss_is_refused_with_the_names_that_fit(loss):
    with pytest.raises(ValueError, match=rf"'accuracy' does not fit {type(loss).__name__}, .*r2"):
        model_of(1, loss, metrics=["accuracy"])


@pytest.mark.parametrize("name", ["r2", "regression_accuracy"])
@pytest.mark.parametrize("loss", [nn.SoftmaxCrossEntropy(), nn.SigmoidCrossEntropy(), nn.Hinge()])
def test_r2_with_a_classification_loss_is_refused(loss, name):
    with pytest.raises(ValueError, match=rf"'{name}' does not fit {type(loss).__name__}, .*accuracy"):
        model_of(3, loss, metrics=[name])


def test_r2_of_a_poisson_loss_is_that_of_its_rates(rng):
    x = rng.standard_normal((200, 2))
    y = rng.poisson(np.exp(0.5 * x[:, 0]))
    model = nn.Model(nn.Sequential(nn.Dense(1)), nn.poisson, nn.Adam(0.05), metrics=["r2"], backend="numpy")
    model.fit(x, y, epochs=10)
    rates = model.predict(x)
    expected = 1 - np.sum((rates - y) ** 2) / np.sum((y - y.mean()) ** 2)
    assert model.evaluate(x, y)["r2"] == pytest.approx(expected, rel=1e-4)
    assert nn.metrics.OfPrediction(nn.metrics.r2, nn.Poisson()).mode == "max"


def test_a_metric_of_predictions_is_saved(tmp_path, rng):
    x, y = rng.standard_normal((20, 2)), rng.poisson(1.0, 20)
    model = nn.Model(nn.Sequential(nn.Dense(1)), nn.poisson, metrics=["r2"], backend="numpy")
    model.fit(x, y)
    model.save(tmp_path / "m.safetensors")
    loaded = nn.Model.load(tmp_path / "m.safetensors", backend="numpy")
    assert loaded.evaluate(x, y) == model.evaluate(x, y)


def test_accuracy_by_name_takes_the_threshold_of_a_custom_loss():
    class Own(nn.Focal):
        threshold = 0.25

    assert as_metric("accuracy", Own()) == nn.metrics.BinaryAccuracy(threshold=0.25)


@pytest.mark.parametrize("shape", [(6, 1), (6,)])
def test_accuracy_of_one_column_is_refused(xp, shape):
    with pytest.raises(nn.ShapeError, match=r"accuracy takes outputs \(N, K\)"):
        nn.metrics.accuracy(xp.asarray(np.zeros(shape)), xp.asarray([0, 1, 0, 1, 0, 1]))


def test_the_metric_itself_is_refused_for_one_output_before_anything_is_trained(noise):
    x, y = noise
    model = model_of(1, nn.SigmoidCrossEntropy(), metrics=[nn.metrics.accuracy])
    with pytest.raises(nn.ShapeError, match=r"the largest of one output is always the first\. Give metrics=\['acc"):
        model.fit(x, y)
    assert (model.params, model.history) == (None, {})
    with pytest.raises(nn.ShapeError, match="the largest of one output"):
        model.evaluate(x, y)


def test_classes_on_one_output_are_refused(noise):
    # softmax of one logit is always 1: a loss of 0 and an accuracy of class 0
    x, y = noise
    for targets in (np.zeros(400, int), y, y[:, None]):
        with pytest.raises(nn.ShapeError, match=r"an output for each class, and the network has one.*sigmoid_cross"):
            model_of(1, nn.SoftmaxCrossEntropy()).fit(x, targets)


def test_an_old_file_with_argmax_accuracy_of_one_output_loads_with_binary_accuracy(tmp_path, noise):
    # as files of before are
    x, y = noise
    model = model_of(1, nn.SigmoidCrossEntropy())
    model.fit(x, y)
    expected = model.evaluate(x, y)
    model.metrics = model.prepared_metrics = (nn.metrics.Accuracy(),)
    model.save(tmp_path / "old.safetensors")
    assert nn.Model.load(tmp_path / "old.safetensors", backend="numpy").evaluate(x, y) == expected
