"""A layer or a loss of one's own that breaks the contract: the error names it, its place, and the contract."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import arraynn as nn

X = np.asarray([[1.0, 2.0], [3.0, 4.0]], "float32")
Y = np.asarray([0, 1])


class Own(nn.Layer):
    """y = x scale, in as many wrong ways as there are methods."""

    def init(self, rng, input_shape, dtype="float32"):
        return {"scale": np.ones(input_shape, dtype)}, input_shape


@dataclass(frozen=True)
class NoNeedDx(Own):
    def __call__(self, params, x, key=None):
        return x * params["scale"], lambda dy: (dy * params["scale"], {"scale": (dy * x).sum(axis=0)})


@dataclass(frozen=True)
class OnlyY(Own):
    def __call__(self, params, x, key=None):
        return x * params["scale"]


@dataclass(frozen=True)
class BackwardWithoutGrads(Own):
    def __call__(self, params, x, key=None):
        return x * params["scale"], lambda dy, need_dx=True: dy * params["scale"]


@dataclass(frozen=True)
class WrongShape(Own):
    def __call__(self, params, x, key=None):
        return x * params["scale"], lambda dy, need_dx=True: (dy * params["scale"], {"scale": dy * x})


@dataclass(frozen=True)
class WrongNest(Own):
    def __call__(self, params, x, key=None):
        return x * params["scale"], lambda dy, need_dx=True: (dy * params["scale"], [(dy * x).sum(axis=0)])


@dataclass(frozen=True)
class WrongDx(Own):
    def __call__(self, params, x, key=None):
        return x * params["scale"], lambda dy, need_dx=True: (dy.sum(axis=0), {"scale": (dy * x).sum(axis=0)})


@dataclass(frozen=True)
class NoKey(Own):
    def __call__(self, params, x):
        return x * params["scale"], None


@dataclass(frozen=True)
class NoShape(NoNeedDx):
    def init(self, rng, input_shape, dtype="float32"):
        return {"scale": np.ones(input_shape, dtype)}


WRONG: list[tuple[Any, str]] = [
    (NoNeedDx, r"its backward takes \(dy\), but a layer's backward takes \(dy, need_dx=True\)"),
    (OnlyY, r"its forward returns one array of shape \(2, 2\), but a layer .* returns \(y, backward\)"),
    (BackwardWithoutGrads, r"its backward returns one array of shape \(2, 2\), but .* returns \(dx, grads\)"),
    (
        WrongShape,
        r"its backward returns grads {'scale': \(2, 2\)} for params {'scale': \(2,\)}; .* grads is a nest like params",
    ),
    (WrongNest, r"its backward returns grads \[\(2,\)\] for params {'scale': \(2,\)}; .* grads is a nest like params"),
    (WrongDx, r"its backward returns dx \(2,\) for x \(2, 2\)"),
    (NoKey, r"it takes \(params, x\), but a layer is called as layer\(params, x, key=None\)"),
    (NoShape, r"its init returns a dict, but a layer's init takes .* returns \(params, output_shape\)"),
]


@pytest.mark.parametrize(("kind", "told"), WRONG, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("inside", [False, True])
def test_a_wrong_layer_is_named_with_its_place_and_the_contract(kind, told, inside):
    place = r"layers\.1\.layers\.1" if inside else r"layers\.1"
    own = nn.Residual(nn.ReLU(), kind()) if inside else kind()
    model = nn.Model(nn.Sequential(nn.Dense(2), own, nn.Dense(2)), optimizer="sgd", backend="numpy")
    with pytest.raises(nn.ContractError, match=rf"^{kind.__name__} '{place}': {told}"):
        model.fit(X, Y)


@pytest.mark.parametrize(("kind", "told"), WRONG, ids=lambda value: getattr(value, "__name__", ""))
def test_a_branch_is_named_too(kind, told):
    network = nn.Sequential(nn.Dense(2), nn.Concatenate(nn.Identity(), kind()), nn.Dense(2))
    with pytest.raises(nn.ContractError, match=rf"^{kind.__name__} 'layers\.1\.layers\.1': {told}"):
        nn.Model(network, optimizer="sgd", backend="numpy").fit(X, Y)


def test_a_network_that_is_one_layer_is_told_as_the_network():
    model = nn.Model(OnlyY(), "mse", "sgd", backend="numpy")
    with pytest.raises(nn.ContractError, match=r"^OnlyY 'network': its forward returns"):
        model.predict(X)  # it read y[0], the first row, as the outputs
    with pytest.raises(nn.ContractError, match=r"^WrongShape 'network': its backward returns grads"):
        nn.Model(WrongShape(), "mse", "sgd", backend="numpy").fit(X, X)


def test_what_a_right_layer_raises_stays_what_it_is():
    @dataclass(frozen=True)
    class Broken(Own):
        def __call__(self, params, x, key=None):
            raise TypeError("my own trouble")

    network = nn.Sequential(Broken())
    with pytest.raises(TypeError, match=r"^my own trouble$"):
        network(network.init(np.random.default_rng(0), (2,))[0], X)


def no_weights(outputs, targets):
    error = outputs - targets
    return (error * error).mean(), lambda dloss=1.0: 2 * error / error.size


def only_value(outputs, targets, *, sample_weight=None, total=None):
    return ((outputs - targets) ** 2).sum() / total


def a_number_a_row(outputs, targets, *, sample_weight=None, total=None):
    error = outputs - targets
    return (error * error).sum(axis=1) / total, lambda dloss=1.0: 2 * error / total


def no_dloss(outputs, targets, *, sample_weight=None, total=None):
    error = outputs - targets
    return (error * error).sum() / total, lambda dloss: 2 * error / total


def wrong_gradient(outputs, targets, *, sample_weight=None, total=None):
    error = outputs - targets
    return (error * error).sum() / total, lambda dloss=1.0: 2 * error.sum(axis=1) / total


CONTRACT = r"a loss takes \(outputs, targets, \*, sample_weight=None, total=None\) and returns \(loss, backward\)"
WRONG_LOSSES = [
    (no_weights, r"it takes \(outputs, targets\), but "),
    (only_value, r"it returns one array of shape \(\), but "),
    (a_number_a_row, r"it returns one array of shape \(2,\) and a function, but "),
    (no_dloss, r"its backward takes \(dloss\), but "),
    (wrong_gradient, r"its backward returns \(2,\) for outputs \(2, 2\); "),
]


@pytest.mark.parametrize(("loss", "told"), WRONG_LOSSES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_wrong_loss_is_named_with_the_contract(loss, told):
    model = nn.Model(nn.Sequential(nn.Dense(2)), loss, "sgd", backend="numpy")
    with pytest.raises(nn.ContractError, match=rf"^{loss.__name__} 'loss': {told}{CONTRACT}"):
        model.fit(X, X)


def test_a_loss_class_is_held_to_it_too():
    @dataclass(frozen=True)
    class Mine(nn.Loss):
        def __call__(self, outputs, targets, *, sample_weight=None, total=None):
            return ((outputs - targets) ** 2).sum() / total

    model = nn.Model(nn.Sequential(nn.Dense(2)), Mine(), "sgd", backend="numpy")
    with pytest.raises(nn.ContractError, match=rf"^Mine 'loss': it returns .*, but {CONTRACT}"):
        model.evaluate(X, X)


def test_arrays_of_two_libraries_are_told_with_the_remedy():
    strict = pytest.importorskip("array_api_strict")
    network = nn.Sequential(nn.Dense(3), nn.ReLU())
    params, _ = network.init(np.random.default_rng(0), (2,))
    with pytest.raises(
        nn.DataError, match=r"parameters are arrays of numpy and x is one of array_api_strict; .*nn.put"
    ):
        network(params, strict.asarray(X))
    assert network(nn.put(params, like=strict.asarray(X)), strict.asarray(X))[0].shape == (2, 3)
