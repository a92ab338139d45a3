"""What is not known to be made of independent rows is not split: results are those of the plain step, unsplit.

Each case here was once split into row blocks, or taken 512 rows at a time in inference, and was another function then.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import _coupling, tree
from arraynn._array import namespace
from arraynn.backends.base import Backend
from arraynn.backends.numpy import NumPy
from arraynn.layers import Activation, Layer
from arraynn.losses import Loss
from arraynn.metrics import Metric
from arraynn.training.step import compiled_step

ROWS, WIDTH = 6000, 200  # split into row blocks, where that is allowed


def centre(x: Any) -> Any:
    """y = x - mean of x over the batch."""
    xp = namespace(x)

    def centre_backward(dy: Any) -> Any:
        return dy - xp.mean(dy, axis=0, keepdims=True)

    return x - xp.mean(x, axis=0, keepdims=True), centre_backward


@dataclass(frozen=True)
class Centre(Activation):
    def function(self, x: Any, /) -> Any:
        return centre(x)


@dataclass(frozen=True)
class CentredDense(nn.Dense):
    """A block of the library, with something else in it."""

    def __call__(self, params: Any, x: Any, key: Any = None) -> Any:
        y, dense_backward = super().__call__(params, x, key)
        y, back = centre(y)
        return y, lambda dy, need_dx=True: dense_backward(back(dy), need_dx)


class CentredSequential(nn.Sequential):
    def __call__(self, params: Any, x: Any, key: Any = None) -> Any:
        y, sequential_backward = super().__call__(params, x, key)
        y, back = centre(y)
        return y, lambda dy, need_dx=True: sequential_backward(back(dy), need_dx)


@dataclass(frozen=True)
class Wrapped(Layer):
    """A layer that holds a layer, and says what that says by the older name."""

    inner: Any

    @property
    def couples_rows(self) -> bool:
        return self.inner.couples_rows

    def __call__(self, params: Any, x: Any, key: Any = None) -> Any:
        return self.inner(params, x, key)


class Duck:
    """A layer without the library's base, which says nothing."""

    def init(self, rng: Any, input_shape: Any, dtype: str = "float32") -> Any:
        return {}, input_shape

    def __call__(self, params: Any, x: Any, key: Any = None) -> Any:
        y, back = centre(x)
        return y, lambda dy, need_dx=True: (back(dy), {})

    def penalty(self, params: Any) -> Any:
        return 0.0, lambda dpenalty=1.0: None


def centred_error(outputs: Any, targets: Any, *, sample_weight: Any = None, total: Any = None) -> Any:
    """Σ (e - ē)² / total of e = outputs - targets: a gradient that couples rows."""
    xp = namespace(outputs)
    error = outputs - targets
    error = error - xp.mean(error, axis=0, keepdims=True)
    total = outputs.shape[0] if total is None else total
    return xp.sum(error * error) / total, lambda dloss=1.0: 2 * dloss * error / total


def careless_error(outputs: Any, targets: Any, *, sample_weight: Any = None, total: Any = None) -> Any:
    """The mean of (outputs - targets)² over the rows at hand, whatever the total."""
    xp = namespace(outputs)
    error = outputs - targets
    return xp.sum(error * error) / outputs.shape[0], lambda dloss=1.0: 2 * dloss * error / outputs.shape[0]


def row_error(outputs: Any, targets: Any, *, sample_weight: Any = None, total: Any = None) -> Any:
    """Σ (outputs - targets)² / total, which may be split."""
    xp = namespace(outputs)
    error = outputs - targets
    total = outputs.shape[0] if total is None else total
    return xp.sum(error * error) / total, lambda dloss=1.0: 2 * dloss * error / total


def scaled(function: Any, factor: float, outputs: Any, targets: Any, **options: Any) -> Any:
    value, back = function(outputs, targets, **options)
    return factor * value, lambda dloss=1.0: back(factor * dloss)


@functools.wraps(nn.mean_squared_error)
def disguised(outputs: Any, targets: Any, *, sample_weight: Any = None, total: Any = None) -> Any:
    return centred_error(outputs, targets, sample_weight=sample_weight, total=total)


class CarelessLoss(Loss):
    def __call__(self, outputs: Any, targets: Any, *, sample_weight: Any = None, total: Any = None) -> Any:
        return careless_error(outputs, targets)

    __eq__, __hash__ = object.__eq__, object.__hash__


@dataclass(frozen=True)
class CentredError(nn.MeanSquaredError):
    def __call__(self, outputs: Any, targets: Any, *, sample_weight: Any = None, total: Any = None) -> Any:
        return centred_error(outputs, targets, total=total)


@dataclass(frozen=True)
class Spread(Metric):
    """The squared deviation of the outputs, whose sums do not add over blocks."""

    name = "spread"

    def sums(self, outputs: Any, targets: Any, sample_weight: Any = None) -> Any:
        xp = namespace(outputs)
        return {"sum": xp.sum((outputs - xp.mean(outputs, axis=0, keepdims=True)) ** 2), "weight": outputs.shape[0]}


def deviation(outputs: Any, targets: Any) -> Any:
    xp = namespace(outputs)
    return xp.sum((outputs - xp.mean(outputs, axis=0, keepdims=True)) ** 2, axis=1)


def trained(network: Any, loss: Any, metrics: tuple[Any, ...] = ()) -> Any:
    """(logs, params) after a step."""
    rng = np.random.default_rng(0)
    x = (1 + rng.standard_normal((ROWS, 3))).astype("float64")
    params, _ = network.init(np.random.default_rng(1), (3,), "float64")
    optimizer = nn.SGD(0.1)
    step = nn.make_train_step(network, loss, optimizer, metrics=metrics)
    batch = x, np.abs(x @ np.ones((3, 1))) + 3.0 * (np.arange(ROWS)[:, None] > ROWS / 2), None
    params, _, logs = step(params, optimizer.init(params), batch, nn.Key(0))
    return [logs, params]


def network(*layers: Any) -> Any:
    return nn.Sequential(nn.Dense(WIDTH), nn.Tanh(), *layers, nn.Dense(1))


def assert_plain(monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> None:
    """A step gives the numbers that it gives unsplit and not compiled."""
    got = trained(*arguments)
    monkeypatch.setattr(NumPy, "plan", Backend.plan)
    monkeypatch.setattr(NumPy, "compile", Backend.compile)
    compiled_step.cache_clear()
    expected = trained(*arguments)
    compiled_step.cache_clear()
    for (path, a), (_, b) in zip(tree.items(got), tree.items(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13, err_msg=path)


def was_split(monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> bool:
    plans, plan = [], NumPy.plan

    def seen(*given: Any) -> Any:
        plans.append(plan(*given))
        return plans[-1]

    monkeypatch.setattr(NumPy, "plan", seen)
    compiled_step.cache_clear()
    trained(*arguments)
    compiled_step.cache_clear()
    return any(plan.blocks for plan in plans)


LAYERS = {
    "an activation": network(Centre()),
    "a subclass of a block": network(CentredDense(5)),
    "a subclass of a combinator": nn.Sequential(CentredSequential(nn.Dense(WIDTH), nn.Tanh()), nn.Dense(1)),
    "in a residual": network(nn.Residual(Centre())),
    "beside others": network(nn.Concatenate(nn.Identity(), Centre())),
    "in a user's layer": network(Wrapped(Centre())),
    "without the base": network(Duck()),
}


@pytest.mark.parametrize("case", LAYERS)
def test_a_layer_from_outside_is_not_split_unless_it_says_so(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_plain(monkeypatch, LAYERS[case], nn.mean_squared_error)


LOSSES = {
    "couples rows": centred_error,
    "ignores the total": careless_error,
    "partial": functools.partial(scaled, centred_error, 2.0),
    "partial by name": functools.partial(careless_error),
    "wrapped": disguised,
    "a Loss": CarelessLoss(),
    "a dataclass": CentredError(),
}


@pytest.mark.parametrize("case", LOSSES)
def test_a_loss_from_outside_is_not_split_unless_it_says_so(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_plain(monkeypatch, network(), LOSSES[case])


@pytest.mark.parametrize(
    "metric",
    [Spread(), nn.metrics.as_metric(deviation), nn.metrics.RegressionAccuracy(divisor=2.0)],
    ids=["a Metric", "a function", "a tolerance taken of the batch"],
)
def test_a_metric_that_does_not_add_up_is_taken_of_the_whole_batch(
    metric: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_plain(monkeypatch, network(), nn.mean_squared_error, (metric,))


def told(function: Any, name: str = "batch_coupled") -> Any:
    @functools.wraps(function)
    def says(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    setattr(says, name, False)
    return says


@pytest.mark.thorough
def test_what_says_so_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Independent(Activation):
        batch_coupled = False

        def function(self, x: Any, /) -> Any:
            return x * 2.0, lambda dy: dy * 2.0

    @dataclass(frozen=True)
    class Older(Independent):
        couples_rows = False

    @dataclass(frozen=True)
    class Error(Loss):
        batch_coupled = False

        def __call__(self, outputs: Any, targets: Any, *, sample_weight: Any = None, total: Any = None) -> Any:
            return row_error(outputs, targets, total=total)

    for layer in (Independent(), Older(), Wrapped(Older()), nn.Residual(Independent())):
        assert was_split(monkeypatch, network(layer), nn.mean_squared_error)
    for loss in (Error(), told(row_error), functools.partial(told(row_error)), functools.partial(nn.huber, delta=2.0)):
        assert was_split(monkeypatch, network(), loss)
    metric = nn.metrics.as_metric(told(lambda outputs, targets: outputs[:, 0]))
    assert was_split(monkeypatch, network(), nn.mean_squared_error, (metric, nn.metrics.r2))
    assert_plain(monkeypatch, network(Older()), told(row_error), (metric,))


def test_every_block_of_the_library_says_so() -> None:
    needed = {"Dense": (2,), "Dropout": (0.1,), "Embedding": (3, 2), "FunctionLoss": (nn.huber,)}
    needed |= dict.fromkeys(("Concatenate", "Freeze", "Parallel", "Residual"), (nn.ReLU(),))
    needed |= dict.fromkeys(("GRU", "LSTM", "RNN", "GroupNorm", "MultiHeadAttention", "PositionalEmbedding"), (2,))
    needed |= {"Bidirectional": (nn.RNN(2),), "Conv1D": (2, 3), "Conv2D": (2, 3)}
    needed |= {"Permute": ((2, 1),), "Reshape": ((2,),)}
    blocks = [getattr(module, name) for module in (nn.layers, nn.losses) for name in module.__all__ if name != "Domain"]
    blocks = [block(*needed.get(block.__name__, ())) if isinstance(block, type) else block for block in blocks]
    blocks += [nn.metrics.accuracy, nn.metrics.binary_accuracy, nn.metrics.r2]
    coupled = [type(block).__name__ for block in blocks if _coupling.batch_coupled(block)]
    assert coupled == ["BatchNorm"]


def test_both_names_say_the_same() -> None:
    class Older(Layer):
        couples_rows = False

    class Newer(Older):
        batch_coupled = True

    class Oldest(Newer):
        couples_rows = False

    class Silent(Oldest):
        pass

    class Mixed:
        couples_rows = False

    class Both(Mixed, nn.ReLU):
        pass

    for kind, coupled in ((Older, False), (Newer, True), (Oldest, False), (Silent, False), (Both, False)):
        assert (kind().batch_coupled, kind().couples_rows, kind().coupled_in_inference) == (coupled,) * 3, kind
    assert (nn.BatchNorm().batch_coupled, nn.BatchNorm().couples_rows) == (True, True)
    assert not nn.Sequential(nn.BatchNorm()).coupled_in_inference


# ---------------------------------------------------------------- inference


@dataclass(frozen=True)
class MedianLoss(nn.MeanSquaredError):
    """A loss whose predictions depend on all rows."""

    def prediction(self, outputs: Any) -> Any:
        return outputs - outputs.mean()


def opened(network: Any, **options: Any) -> Any:
    model = nn.Model(network, optimizer=nn.SGD(0.1), backend="numpy", seed=0, **options)
    return model.build((3,))


X = np.random.default_rng(3).standard_normal((2000, 3)).astype("float32") + np.arange(2000)[:, None] / 1000
Y = X.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("case", LAYERS)
def test_predictions_of_a_layer_from_outside_are_those_of_all_rows_together(case: str) -> None:
    model = opened(LAYERS[case], loss=nn.mean_squared_error)
    expected = LAYERS[case](model.params, X.astype("float32"))[0]
    np.testing.assert_allclose(model(X), expected, rtol=1e-5, atol=1e-5)
    loss = float(nn.mean_squared_error(expected, Y.astype("float32"))[0])
    assert model.evaluate(X, Y)["loss"] == pytest.approx(loss, rel=1e-5)


def test_a_loss_and_a_metric_from_outside_are_evaluated_on_all_rows_together() -> None:
    model = opened(network(), loss=centred_error, metrics=[deviation, Spread()])
    outputs = np.asarray(model(X))
    found = model.evaluate(X, Y)
    assert found["loss"] == pytest.approx(float(centred_error(outputs, Y.astype("float32"))[0]), rel=1e-4)
    assert found["deviation"] == pytest.approx(float(outputs.var()), rel=1e-4)
    assert found["spread"] == pytest.approx(float(outputs.var()), rel=1e-4)


def test_predictions_that_a_loss_makes_of_all_outputs_are_made_of_all() -> None:
    model = opened(network(), loss=MedianLoss())
    outputs = np.asarray(model(X))
    np.testing.assert_allclose(model.predict(X), (outputs - outputs.mean())[:, 0], rtol=1e-5, atol=1e-5)


def test_batch_norm_predicts_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    parallel_map = NumPy.parallel_map
    monkeypatch.setattr(
        NumPy, "parallel_map", lambda self, f, items: sizes.append(len(items)) or parallel_map(self, f, items)
    )
    opened(nn.Sequential(nn.Dense(4), nn.BatchNorm(), nn.Dense(1)), loss=nn.mean_squared_error).predict(X)
    assert sizes == [4]


def test_an_estimator_with_a_loss_from_outside_is_not_split() -> None:
    pytest.importorskip("sklearn")
    from arraynn.sklearn._conventions import Summed
    from arraynn.sklearn._objective import PerSample, WithWeights

    loss, penalty = CentredError(), nn.regularizers.L1L2(0.0, 0.0)
    assert PerSample(Summed(loss), penalty).batch_coupled
    assert not PerSample(Summed(nn.MeanSquaredError()), penalty).batch_coupled
    assert WithWeights(network(Centre())).batch_coupled
    assert not WithWeights(network()).coupled_in_inference
