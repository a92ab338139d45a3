import math

import numpy as np
import pytest

import arraynn as nn
from arraynn import metrics
from arraynn.metrics import as_metric

OUTPUTS = np.asarray([[0.1, 0.9, 0.0], [0.8, 0.1, 0.1], [0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
WEIGHTS = np.asarray([1.0, 2.0, 0.0, 1.0])


def test_accuracy_is_the_share_of_rows_that_are_largest_at_their_class(xp):
    assert metrics.accuracy(xp.asarray(OUTPUTS), xp.asarray([1, 0, 0, 2])) == 0.5
    assert metrics.accuracy(xp.asarray(OUTPUTS), xp.asarray(np.eye(3)[[1, 0, 0, 2]])) == 0.5
    assert metrics.accuracy(xp.asarray(OUTPUTS), xp.asarray([1, 0, 0, 2]), xp.asarray(WEIGHTS)) == 0.75


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_labels_of_every_integer_dtype_are_taken(dtype):
    assert metrics.accuracy(OUTPUTS, np.asarray([1, 0, 2, 0], dtype)) == 1.0


def test_binary_accuracy_counts_every_output_on_the_right_side(xp):
    p, t = xp.asarray([[0.9, 0.2], [0.4, 0.7]]), xp.asarray([[1.0, 0.0], [1.0, 1.0]])
    assert metrics.binary_accuracy(p, t) == 0.75
    assert metrics.BinaryAccuracy(threshold=0.0)(xp.asarray([-1.0, 2.0, 3.0]), xp.asarray([0, 1, 0])) == pytest.approx(
        2 / 3
    )


def test_regression_accuracy_takes_the_books_tolerance(xp):
    y = np.asarray([0.0, 1.0, 2.0, 3.0])
    tolerance = np.std(y) / 250
    outputs = xp.asarray(y + tolerance * np.asarray([0.5, -0.5, 1.5, 0.0]))
    assert metrics.regression_accuracy(outputs, xp.asarray(y)) == 0.75
    assert metrics.regression_accuracy.prepare(xp.asarray(y)).tolerance == pytest.approx(tolerance, rel=1e-6)
    assert metrics.RegressionAccuracy(tolerance=5.0).prepare(y) == metrics.RegressionAccuracy(tolerance=5.0)


def test_r2_is_one_minus_error_over_spread(xp, rng):
    y = rng.standard_normal(20) + 1e3
    outputs = y + 0.5 * rng.standard_normal(20)
    expected = 1 - np.sum((outputs - y) ** 2) / np.sum((y - y.mean()) ** 2)
    assert metrics.r2(xp.asarray(outputs), xp.asarray(y)) == pytest.approx(
        expected, rel=1e-8 if xp.has_float64 else 1e-3
    )
    assert metrics.r2(xp.asarray(y), xp.asarray(y)) == 1.0
    mean = np.full(20, y.mean())
    assert metrics.r2(xp.asarray(mean), xp.asarray(y)) == pytest.approx(0.0, abs=1e-5)


def test_r2_of_targets_that_do_not_vary():
    assert metrics.r2(np.ones(3), np.ones(3)) == 1.0
    assert metrics.r2(np.zeros(3), np.ones(3)) == 0.0


def test_r2_weighs_rows(rng):
    y, outputs, w = rng.standard_normal(6), rng.standard_normal(6), np.asarray([1.0, 2.0, 0.0, 3.0, 1.0, 0.0])
    repeated = np.repeat(np.arange(6), w.astype(int))
    assert metrics.r2(outputs, y, w) == pytest.approx(metrics.r2(outputs[repeated], y[repeated]))


ALL = [
    (metrics.accuracy, OUTPUTS, np.asarray([1, 0, 0, 2])),
    (metrics.binary_accuracy, OUTPUTS, (OUTPUTS > 0.4).astype(float)),
    (metrics.regression_accuracy.prepare(OUTPUTS), OUTPUTS, OUTPUTS + 0.0005),
    (metrics.r2.centered(OUTPUTS), OUTPUTS, OUTPUTS[::-1].copy()),
]


@pytest.mark.parametrize(("metric", "outputs", "targets"), ALL, ids=lambda value: getattr(value, "name", ""))
def test_sums_over_parts_add_up(xp, metric, outputs, targets):
    for weights in (None, WEIGHTS):
        total: dict[str, float] = {}
        for part in (slice(0, 1), slice(1, 4)):
            weight = None if weights is None else xp.asarray(weights[part])
            for name, value in metric.sums(xp.asarray(outputs[part]), xp.asarray(targets[part]), weight).items():
                total[name] = total.get(name, 0.0) + float(value)
        whole = metric(xp.asarray(outputs), xp.asarray(targets), None if weights is None else xp.asarray(weights))
        assert metric.value(total) == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize(("metric", "outputs", "targets"), ALL, ids=lambda value: getattr(value, "name", ""))
def test_without_any_weight_a_metric_is_nan(metric, outputs, targets):
    assert math.isnan(metric(outputs, targets, np.zeros(4)))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(nn.ShapeError, match=r"accuracy takes outputs \(N, K\)"):
        metrics.accuracy(np.zeros(4), np.zeros(4, int))
    with pytest.raises(nn.ShapeError, match=r"targets has shape \(4,\), outputs has \(4, 1\)"):
        metrics.binary_accuracy(np.zeros((4, 1)), np.zeros(4))


def test_a_function_of_rows_is_a_metric():
    def top_one(outputs, targets):
        return np.argmax(outputs, axis=1) == targets

    metric = as_metric(top_one)
    assert metric.name == "top_one"
    assert metric(OUTPUTS, np.asarray([1, 0, 0, 2])) == 0.5
    with pytest.raises(nn.ShapeError, match=r"metric '<lambda>' must return one number per row, \(4,\), got \(4, 3\)"):
        as_metric(lambda outputs, targets: outputs)(OUTPUTS, np.zeros(4))


def test_metrics_are_known_by_name():
    assert as_metric("accuracy") is metrics.accuracy
    assert as_metric("r2") is metrics.r2
    assert as_metric(metrics.binary_accuracy) is metrics.binary_accuracy
    with pytest.raises(ValueError, match=r"unknown metric 'acuracy'; did you mean 'accuracy' .*known are accuracy, "):
        as_metric("acuracy")
    with pytest.raises(ValueError, match=r"unknown metric 'f1_score'; it is 'f1' here; known are accuracy, "):
        as_metric("f1_score")
    with pytest.raises(
        TypeError, match=r"metric must be a name, a Metric, such as nn.metrics.F1\(\), or a function, got 3"
    ):
        as_metric(3)
    with pytest.raises(TypeError, match=r"metric is the class R2; give an instance of it, nn.metrics.R2\(\)"):
        as_metric(metrics.R2)


def far_groups():
    """(x, y) of two groups whose targets lie 5,000 standard deviations apart, and outputs that miss them by 0.1."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2000, 1))
    y = noise + np.where(np.arange(2000) < 1000, 0.0, 5000.0)[:, None]
    return noise, y


@pytest.mark.parametrize("center", [None, 0.0, -3.0])
def test_r2_far_from_the_center_is_precise(xp, center):
    y = far_groups()[1][1000:]
    outputs, targets = xp.asarray(y + 0.1 * np.cos(50 * y)), xp.asarray(y)
    exact, host = (xp.to_numpy(a).astype(np.float64) for a in (targets, outputs))
    expected = 1 - np.sum((host - exact) ** 2) / np.sum((exact - exact.mean()) ** 2)
    assert metrics.R2(center)(outputs, targets) == pytest.approx(expected, abs=1e-4)
    weight = np.repeat([0.0, 1.0], 1000)
    both = [xp.asarray(np.concatenate([a - 5000, a])) for a in (xp.to_numpy(outputs), xp.to_numpy(targets))]
    assert metrics.R2(center)(*both, xp.asarray(weight)) == pytest.approx(expected, abs=1e-4)


def test_a_model_measures_a_group_far_from_the_training_mean(tmp_path):
    """Its R² read 0.965 where it is 0.990."""
    noise, y = far_groups()
    x = np.concatenate([noise + 0.1 * np.random.default_rng(1).standard_normal(noise.shape), y - noise], axis=1)
    model = nn.Model(nn.Sequential(nn.Dense(1)), nn.mean_squared_error, nn.SGD(0.0), backend="numpy").build((2,))
    model.fit(x, y, verbose=0)
    model.params = [{"weight": np.ones((2, 1)), "bias": np.zeros(1)}]
    model.save(tmp_path / "model")
    for one in (model, nn.Model.load(tmp_path / "model", backend="numpy")):
        for rows in (slice(0, 1000), slice(1000, 2000)):
            assert one.evaluate(x[rows], y[rows])["r2"] == pytest.approx(0.99, abs=2e-3)
    history = model.fit(x[:1000], y[:1000], validation_data=(x[1000:], y[1000:]), epochs=2, verbose=0)
    assert history["val_r2"][-1] == pytest.approx(0.99, abs=2e-3)


@pytest.mark.parametrize("metric", [metrics.binary_accuracy, metrics.r2, metrics.regression_accuracy, metrics.MeanOf(
    lambda outputs, targets: (outputs - targets)[:, 0]
)], ids=lambda metric: metric.name)  # fmt: skip
@pytest.mark.parametrize("filled", [np.nan, np.inf, -np.inf])
def test_outputs_of_a_row_of_weight_0_may_be_anything(xp, metric, filled):
    outputs, targets = np.asarray([[0.5], [2.0], [0.0]]), np.asarray([[1.0], [1.0], [0.0]])
    weight = xp.asarray(np.asarray([1.0, 0.0, 2.0]))
    expected = metric(xp.asarray(outputs), xp.asarray(targets), weight)
    outputs[1] = filled
    assert metric(xp.asarray(outputs), xp.asarray(targets), weight) == expected


@pytest.mark.parametrize("filled", [np.nan, -np.inf])
def test_an_ignored_row_does_not_count_in_accuracy(xp, filled):
    outputs = xp.asarray(np.asarray([[1.0, 0.0], [filled, filled]]))
    assert metrics.Accuracy(ignore_label=-1)(outputs, xp.asarray(np.asarray([0, -1]))) == 1.0


SEQUENCES = np.asarray([[0, 2, 1], [1, 1, -1]])


@pytest.mark.parametrize("weight", [None, np.asarray([1.0, 3.0]), np.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])])
@pytest.mark.parametrize("metric", [nn.metrics.Accuracy(ignore_label=-1), nn.metrics.Perplexity(ignore_label=-1)])
def test_positions_of_sequences_are_rows(xp, rng, metric, weight):
    outputs = rng.standard_normal((2, 3, 4))
    flat = None if weight is None else np.broadcast_to(weight.reshape(2, -1), (2, 3)).ravel()
    put = lambda a: None if a is None else xp.asarray(a)  # noqa: E731
    expected = metric(put(outputs.reshape(6, 4)), put(SEQUENCES.ravel()), put(flat))
    assert metric(put(outputs), put(SEQUENCES), put(weight)) == pytest.approx(expected, rel=1e-6)


def test_perplexity_is_exp_of_the_loss(xp, rng):
    outputs, labels = xp.asarray(rng.standard_normal((2, 3, 4))), xp.asarray(SEQUENCES)
    loss, _ = nn.softmax_cross_entropy(outputs, labels, ignore_label=-1)
    assert nn.metrics.Perplexity(ignore_label=-1)(outputs, labels) == pytest.approx(np.exp(float(loss)), rel=1e-5)


def test_perplexity_of_an_impossible_token_is_infinite_and_of_no_rows_nan():
    outputs = np.asarray([[0.0, -np.inf]])
    assert nn.metrics.perplexity(outputs, np.asarray([0])) == 1
    assert nn.metrics.perplexity(outputs, np.asarray([1])) == np.inf
    assert np.isnan(nn.metrics.perplexity(np.zeros((0, 2)), np.zeros(0, int)))
    assert nn.metrics.perplexity(np.asarray([[0.0, -1e4]]), np.asarray([1])) == np.inf


def test_perplexity_takes_integer_targets():
    with pytest.raises(nn.DataError, match=r"perplexity takes integer targets, \(N,\) or \(N, T\), got float64"):
        nn.metrics.perplexity(np.zeros((2, 3)), np.zeros(2))
    with pytest.raises(nn.ShapeError, match=r"perplexity takes outputs \(N, K\) and targets"):
        nn.metrics.perplexity(np.zeros((2, 3)), np.zeros((2, 1), int))
    assert nn.metrics.as_metric("perplexity") == nn.metrics.perplexity
