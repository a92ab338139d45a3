"""What must hold of every metric that a name may mean, the next one too."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest

import arraynn as nn
from arraynn import metrics
from arraynn.io.registry import decode, encode
from arraynn.losses import as_loss, names_of_losses

TASKS = [
    metrics.Task("classes", "logits", ignore_label=-1),
    metrics.Task("classes", "probabilities"),
    metrics.Task("binary", "logits", threshold=0.0),
    metrics.Task("binary", "probabilities", threshold=0.5),
    metrics.Task("values", "values"),
]
EVERY = [(metric, task) for task in TASKS for metric in metrics.named_metrics(task).values()]
ADDING = [(metric, task) for metric, task in EVERY if not metric.whole_set]


def named(value):
    return value.name if isinstance(value, metrics.Metric) else f"{value.targets}, {value.outputs}"


def rows(task, count=24):
    """Outputs, targets of every class, and weights of which some are 0."""
    rng = np.random.default_rng(0)
    weights = np.arange(count) % 3.0
    if task.targets == "classes":
        z = rng.standard_normal((count, 4))
        return (z if task.logits else np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)), np.arange(count) % 4, weights
    if task.targets == "binary":
        z = rng.standard_normal((count, 1))
        return (z if task.logits else 1 / (1 + np.exp(-z))), (np.arange(count)[:, None] % 2).astype(float), weights
    return rng.random((count, 2)), rng.random((count, 2)), weights


def test_every_public_metric_has_a_name_in_some_task():
    bases = {metrics.Metric, metrics.WholeSet, metrics.MeanOf, metrics.OfPrediction}
    kinds = {kind for kind in vars(metrics).values() if isinstance(kind, type) and issubclass(kind, metrics.Metric)}
    losses = [as_loss(name) for name in names_of_losses()]
    found = {type(metric) for loss in losses for metric in loss.named_metrics().values()} | {type(m) for m, _ in EVERY}
    lacking = sorted(kind.__name__ for kind in kinds - bases - found)
    assert not lacking, f'give {", ".join(lacking)} its tasks, such as ("values",)'


def test_every_metric_is_public():
    lacking = []
    for file in sorted(Path(metrics.__file__).parent.glob("_[!_]*.py")):
        classes = [node for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
        own = [node.name for node in classes if not node.name.startswith("_")]
        lacking += [f"from .{file.stem} import {name}" for name in own if name not in metrics.__all__]
    assert not lacking, f"add to arraynn/metrics/__init__.py, and the names to __all__ there: {'; '.join(lacking)}"


@pytest.mark.parametrize(("metric", "task"), EVERY, ids=named)
def test_it_has_a_name_and_a_direction_and_can_be_saved(metric, task):
    assert metric.name == metric.name.lower()
    assert metric.mode in ("min", "max")
    assert decode(encode(metric)) == metric
    assert hash(decode(encode(metric))) == hash(metric)
    assert metrics.as_metric(metric.name).name == metric.name


@pytest.mark.parametrize(("metric", "task"), ADDING, ids=named)
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_parts_add_up_to_the_whole(metric, task, weighted):
    outputs, targets, weights = rows(task)
    total: dict[str, float] = {}
    for part in (slice(0, 1), slice(1, 9), slice(9, 24)):
        for name, value in metric.sums(outputs[part], targets[part], weights[part] if weighted else None).items():
            total[name] = total.get(name, 0.0) + float(value)
    assert metric.value(total) == pytest.approx(metric(outputs, targets, weights if weighted else None), rel=1e-9)


@pytest.mark.parametrize(("metric", "task"), EVERY, ids=named)
def test_a_row_counts_as_often_as_its_weight_says(metric, task):
    outputs, targets, weights = rows(task)
    repeated = np.repeat(np.arange(len(weights)), weights.astype(int))
    assert metric(outputs, targets, weights) == pytest.approx(metric(outputs[repeated], targets[repeated]), rel=1e-9)


@pytest.mark.parametrize(("metric", "task"), ADDING, ids=named)
@pytest.mark.parametrize("filled", [np.nan, np.inf, -np.inf])
def test_outputs_of_a_row_of_weight_0_may_be_anything(metric, task, filled):
    outputs, targets, weights = rows(task)
    expected = metric(outputs, targets, weights)
    outputs[weights == 0] = filled
    with np.errstate(all="ignore"):
        assert metric(outputs, targets, weights) == expected


@pytest.mark.parametrize(("metric", "task"), EVERY, ids=named)
@pytest.mark.filterwarnings("ignore::arraynn.DataWarning")
def test_without_any_weight_it_is_nan(metric, task):
    outputs, targets, weights = rows(task)
    assert math.isnan(metric(outputs, targets, 0 * weights))


@pytest.mark.parametrize(("metric", "task"), EVERY, ids=named)
def test_it_is_the_same_on_every_library(metric, task, xp):
    outputs, targets, weights = rows(task)
    found = metric(xp.asarray(outputs), xp.asarray(targets), xp.asarray(weights))
    assert found == pytest.approx(metric(outputs, targets, weights), rel=1e-4)


@pytest.mark.filterwarnings("ignore::arraynn.DataWarning")  # nothing need be predicted as a class
@pytest.mark.parametrize("loss", [nn.SoftmaxCrossEntropy(), nn.SigmoidCrossEntropy(), nn.MeanSquaredError()])
def test_a_model_reports_all_metrics_that_fit_its_loss(loss):
    task = metrics.Task(loss.targets, loss.outputs)
    x, (outputs, targets, weights) = np.ones((24, 3), "float32"), rows(task)
    names = [metric.name for metric in metrics.named_metrics(task).values()]
    model = nn.Model(nn.Dense(outputs.shape[1]), loss, "sgd", metrics=names, backend="numpy")
    model.fit(x, targets, sample_weight=weights, verbose=0)
    assert list(model.evaluate(x, targets)) == ["loss", *names]
