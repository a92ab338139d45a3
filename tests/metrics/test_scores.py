"""Precision, recall, F1, ROC AUC and the rest, against scikit-learn: ties, absent classes, zero weights, any split."""

import numpy as np
import pytest

import arraynn as nn
from arraynn import metrics as m

theirs = pytest.importorskip("sklearn.metrics")

SPLITS = [(slice(0, 60),), (slice(0, 1), slice(1, 60)), (slice(0, 25), slice(25, 26), slice(26, 60))]


def classes(seed, k=4, absent=()):
    """Outputs with ties, probabilities, labels, and weights of which a third are 0."""
    rng = np.random.default_rng(seed)
    outputs = np.round(rng.standard_normal((60, k)), 1)
    labels = rng.choice([c for c in range(k) if c not in absent], 60)
    weights = rng.integers(0, 3, 60).astype(float)
    return outputs, softmax(outputs), labels, weights


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def split_value(metric, outputs, targets, weights, split):
    """The metric of the sums over parts."""
    total: dict[str, float] = {}
    for part in split:
        for name, value in metric.sums(
            outputs[part], targets[part], None if weights is None else weights[part]
        ).items():
            total[name] = total.get(name, 0.0) + float(value)
    return metric.value(total)


@pytest.mark.parametrize("split", SPLITS, ids=len)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("absent", [(), (1,), (0, 3)])
@pytest.mark.parametrize("average", ["macro", "micro"])
@pytest.mark.parametrize(
    ("metric", "oracle"),
    [(m.Precision, "precision_score"), (m.Recall, "recall_score"), (m.F1, "f1_score")],
    ids=["precision", "recall", "f1"],
)
def test_counts_of_classes_agree(metric, oracle, average, absent, weighted, split):
    for seed in range(5):
        outputs, _, labels, weights = classes(seed, absent=absent)
        w = weights if weighted else None
        predicted = outputs.argmax(axis=1)
        expected = getattr(theirs, oracle)(
            labels, predicted, labels=range(4), average=average, sample_weight=w, zero_division=np.nan
        )
        assert split_value(metric(average), outputs, labels, w, split) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("split", SPLITS, ids=len)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("metric", "oracle"),
    [(m.Precision, "precision_score"), (m.Recall, "recall_score"), (m.F1, "f1_score")],
    ids=["precision", "recall", "f1"],
)
@pytest.mark.parametrize("form", ["two outputs", "one output", "column", "-1 and 1"])
def test_counts_of_binary_classes_agree(metric, oracle, weighted, split, form):
    outputs, _, labels, weights = classes(3, k=2)
    w = weights if weighted else None
    score = outputs[:, 1] - outputs[:, 0]
    given = {
        "two outputs": (metric(), outputs, labels),
        "one output": (metric(threshold=0.0), score, labels.astype(float)),
        "column": (metric(threshold=0.0), score[:, None], labels[:, None]),
        "-1 and 1": (metric(threshold=0.0), score, 2.0 * labels - 1),
    }[form]
    predicted = outputs.argmax(axis=1) if form == "two outputs" else score > 0
    expected = getattr(theirs, oracle)(labels, predicted, sample_weight=w)
    assert split_value(*given, w, split) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("split", SPLITS, ids=len)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_other_sums_agree(split, weighted):
    for seed in range(5):
        outputs, p, labels, weights = classes(seed, absent=(2,) if seed else ())
        w = weights if weighted else None
        y = np.random.default_rng(seed).standard_normal(60)
        expected = {
            m.TopKAccuracy(2): (
                (outputs, labels),
                theirs.top_k_accuracy_score(labels, outputs, k=2, labels=range(4), sample_weight=w),
            ),
            m.LogLoss(): ((p, labels), theirs.log_loss(labels, p, labels=range(4), sample_weight=w)),
            m.LogLoss(logits=True): ((outputs, labels), theirs.log_loss(labels, p, labels=range(4), sample_weight=w)),
            m.MAE(): ((outputs[:, 0], y), theirs.mean_absolute_error(y, outputs[:, 0], sample_weight=w)),
            m.RMSE(): ((outputs[:, 0], y), theirs.root_mean_squared_error(y, outputs[:, 0], sample_weight=w)),
            m.MAPE(): ((outputs[:, 0], y), theirs.mean_absolute_percentage_error(y, outputs[:, 0], sample_weight=w)),
        }
        for metric, (given, value) in expected.items():
            assert split_value(metric, *given, w, split) == pytest.approx(value, rel=1e-9), metric
        there = np.isin(labels, labels if w is None else labels[w > 0])
        balanced = theirs.recall_score(
            labels[there], outputs.argmax(1)[there], labels=np.unique(labels[there]), average="macro",
            sample_weight=None if w is None else w[there],
        )  # fmt: skip
        assert split_value(m.BalancedAccuracy(), outputs, labels, w, split) == pytest.approx(balanced)
        if w is None and set(outputs.argmax(1)) <= set(labels):
            assert balanced == pytest.approx(theirs.balanced_accuracy_score(labels, outputs.argmax(1)))


def test_log_loss_of_binary_classes_agrees():
    outputs, _, labels, w = classes(0, k=2)
    z = outputs[:, 1]
    p = 1 / (1 + np.exp(-z))
    expected = theirs.log_loss(labels, p, sample_weight=w)
    assert m.LogLoss(yes_or_no=True)(p, labels, w) == pytest.approx(expected)
    assert m.LogLoss(yes_or_no=True, logits=True)(z, labels.astype(float), w) == pytest.approx(expected)
    assert np.isfinite(m.LogLoss(yes_or_no=True, logits=True)(np.asarray([1e4, -1e4]), np.asarray([1.0, 0.0])))


@pytest.mark.parametrize("weighted", [False, True])
def test_roc_auc_agrees_with_ties(weighted):
    for seed in range(5):
        outputs, p, labels, weights = classes(seed)
        w = weights if weighted else None
        expected = theirs.roc_auc_score(labels, p, multi_class="ovr", average="macro", sample_weight=w)
        assert m.ROCAUC()(p, labels, w) == pytest.approx(expected, rel=1e-12)
        assert m.ROCAUC(softmax=True)(outputs, labels, w) == pytest.approx(expected, rel=1e-9)
        outputs, p, labels, _ = classes(seed, k=2)
        expected = theirs.roc_auc_score(labels, outputs[:, 1], sample_weight=w)
        assert m.ROCAUC(yes_or_no=True)(outputs[:, 1], labels, w) == pytest.approx(expected, rel=1e-12)
        expected = theirs.roc_auc_score(labels, p[:, 1], sample_weight=w)
        assert m.ROCAUC(softmax=True)(outputs, labels, w) == pytest.approx(expected, rel=1e-9)


def test_confusion_matrix_agrees(xp):
    outputs, _, labels, weights = classes(0, absent=(2,))
    predicted = outputs.argmax(axis=1)
    expected = theirs.confusion_matrix(labels, predicted, labels=range(4))
    found = m.confusion_matrix(xp.asarray(labels), xp.asarray(predicted), 4)
    assert xp.to_numpy(found).tolist() == expected.tolist()
    expected = theirs.confusion_matrix(labels, predicted, labels=range(4), sample_weight=weights)
    found = m.confusion_matrix(xp.asarray(labels), xp.asarray(outputs), sample_weight=xp.asarray(weights))
    assert xp.to_numpy(found).tolist() == expected.tolist()


def test_confusion_matrix_refuses_targets_that_are_not_classes():
    with pytest.raises(nn.DataError, match=r"labels must lie in \[0, 2\), got 2"):
        m.confusion_matrix(np.asarray([0, 2]), np.asarray([0, 1]), 2)
    with pytest.raises(nn.DataError, match=r"labels must lie in \[0, 2\), got -1"):
        m.confusion_matrix(np.asarray([0, -1]), np.asarray([0, 1]))
    with pytest.raises(nn.ShapeError, match="there are 2 targets and 3 predictions"):
        m.confusion_matrix(np.asarray([0, 1]), np.asarray([0, 1, 1]))


@pytest.mark.parametrize(
    ("metric", "outputs", "targets"),
    [
        (m.Precision(threshold=0.5), np.zeros(3), np.ones(3)),
        (m.Recall(threshold=0.5), np.zeros(3), np.zeros(3)),
        (m.F1(threshold=0.5), np.zeros(3), np.zeros(3)),
        (m.ROCAUC(yes_or_no=True), np.zeros(3), np.ones(3)),
        (m.ROCAUC(), np.full((3, 3), 1 / 3), np.asarray([0, 1, 1])),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_an_undefined_metric_is_nan_with_a_warning(metric, outputs, targets):
    with pytest.warns(nn.DataWarning, match=f"{metric.name} is undefined, so it is nan"):
        assert np.isnan(metric(outputs, targets))


def test_the_metrics_run_on_every_library(xp):
    outputs, p, labels, w = classes(1)
    for metric, given in [
        *((kind(), outputs) for kind in (m.Precision, m.Recall, m.F1, m.BalancedAccuracy, m.TopKAccuracy)),
        *((kind, p) for kind in (m.LogLoss(), m.ROCAUC())),
    ]:
        expected = metric(given, labels, w)
        assert metric(xp.asarray(given), xp.asarray(labels), xp.asarray(w)) == pytest.approx(expected, rel=1e-5)


ALL = ["accuracy", "precision", "recall", "f1", "balanced_accuracy", "top_3_accuracy", "log_loss", "roc_auc"]


def test_metrics_of_a_whole_set_are_reported_for_validation_only():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((200, 3)).astype("float32"), rng.integers(0, 4, 200)
    model = nn.Model(nn.Sequential(nn.Dense(4)), optimizer="adam", metrics=ALL, backend="numpy")
    history = model.fit(x, y, epochs=2, validation_data=(x, y), callbacks=nn.EarlyStopping("val_roc_auc"))
    assert "roc_auc" not in history
    assert len(history["val_roc_auc"]) == len(history["f1"]) == 2
    found, p = model.evaluate(x, y), model.predict_proba(x)
    assert list(found) == ["loss", *ALL]
    assert found["roc_auc"] == pytest.approx(theirs.roc_auc_score(y, p, multi_class="ovr"), abs=1e-6)
    assert found["f1"] == pytest.approx(theirs.f1_score(y, model.predict(x), average="macro"))
    assert found["log_loss"] == pytest.approx(found["loss"], rel=1e-5)
    assert found["roc_auc"] in history["val_roc_auc"]  # of the best weights


@pytest.mark.parametrize(
    "loss", [nn.SigmoidCrossEntropy(), nn.BinaryCrossEntropy(), nn.Hinge()], ids=lambda v: v.outputs
)
def test_by_name_they_take_the_threshold_of_the_loss(loss):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((100, 3)).astype("float32"), rng.integers(0, 2, 100)
    network = nn.Sequential(nn.Dense(1), *([nn.Sigmoid()] if loss.outputs == "probabilities" else []))
    model = nn.Model(network, loss, "adam", metrics=["precision", "recall", "f1", "roc_auc"], backend="numpy")
    model.fit(x, y)
    found, predicted = model.evaluate(x, y), model.predict(x)
    assert found["precision"] == pytest.approx(theirs.precision_score(y, predicted))
    assert found["recall"] == pytest.approx(theirs.recall_score(y, predicted))
    assert found["f1"] == pytest.approx(theirs.f1_score(y, predicted))
    assert found["roc_auc"] == pytest.approx(theirs.roc_auc_score(y, model(x)[:, 0]), abs=1e-6)


def test_a_step_refuses_a_metric_of_a_whole_set():
    network = nn.Sequential(nn.Dense(4))
    with pytest.raises(ValueError, match="roc_auc is a metric of a whole set of rows, no sum over batches"):
        nn.make_train_step(network, nn.softmax_cross_entropy, nn.Adam(), metrics=["roc_auc"])


def test_early_stopping_knows_their_direction():
    x, y = np.ones((4, 1), "float32"), np.zeros((4, 1), "float32")
    model = nn.Model(nn.Sequential(nn.Dense(1)), "mse", "sgd", metrics=["mae", "rmse", "mape"], backend="numpy")
    model.fit(x, y, validation_data=(x, y), callbacks=nn.EarlyStopping("val_mae"))
    assert nn.EarlyStopping("val_mae").direction(model) == "min"
    assert nn.EarlyStopping("val_log_loss").direction(None) == "min"
    assert nn.EarlyStopping("val_f1").direction(None) == "max"


def test_metrics_are_saved_with_the_model(tmp_path):
    x, y = np.ones((4, 1), "float32"), np.asarray([0, 1, 2, 3])
    model = nn.Model(nn.Sequential(nn.Dense(4)), metrics=ALL, backend="numpy")
    model.fit(x, y, callbacks=nn.Checkpoint(tmp_path / "model.safetensors"))
    assert nn.Model.load(tmp_path / "model.safetensors").metrics == model.metrics
