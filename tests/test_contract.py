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
def test_a_wrong_layer_is_named_with_its_position_and_the_contract(kind, told, inside):
    place = r"layers\.1\.layers\.1" if inside else r"layers\.1"
    own = nn.Residual(nn.ReLU(), kind()) if inside else kind()
    model = nn.Model(nn.Sequential(nn.Dense(2), own, nn.Dense(2)), optimizer="sgd", backend="numpy")
    with pytest.raises(nn.ContractError, match=rf"^{kind.__name__} '{place}': {told}"):
        model.fit(X, Y)


@pytest.mark.parametrize(("kind", "told"), WRONG, ids=lambda value: getattr(value, "__name__", ""))
def test_a_wrong_layer_in_a_branch_is_named(kind, told):
    network = nn.Sequential(nn.Dense(2), nn.Concatenate(nn.Identity(), kind()), nn.Dense(2))
    with pytest.raises(nn.ContractError, match=rf"^{kind.__name__} 'layers\.1\.layers\.1': {told}"):
        nn.Model(network, optimizer="sgd", backend="numpy").fit(X, Y)


def test_a_wrong_layer_that_is_the_whole_network_is_named():
    model = nn.Model(OnlyY(), "mse", "sgd", backend="numpy")
    with pytest.raises(nn.ContractError, match=r"^OnlyY 'network': its forward returns"):
        model.predict(X)  # it read y[0], the first row, as the outputs
    with pytest.raises(nn.ContractError, match=r"^WrongShape 'network': its backward returns grads"):
        nn.Model(WrongShape(), "mse", "sgd", backend="numpy").fit(X, X)


def test_an_exception_of_a_correct_layer_is_unchanged():
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


def test_a_wrong_loss_class_is_named_with_the_contract():
    @dataclass(frozen=True)
    class Mine(nn.Loss):
        def __call__(self, outputs, targets, *, sample_weight=None, total=None):
            return ((outputs - targets) ** 2).sum() / total

    model = nn.Model(nn.Sequential(nn.Dense(2)), Mine(), "sgd", backend="numpy")
    with pytest.raises(nn.ContractError, match=rf"^Mine 'loss': it returns .*, but {CONTRACT}"):
        model.evaluate(X, X)


def test_arrays_of_two_libraries_are_refused_with_the_remedy():
    strict = pytest.importorskip("array_api_strict")
    network = nn.Sequential(nn.Dense(3), nn.ReLU())
    params, _ = network.init(np.random.default_rng(0), (2,))
    with pytest.raises(
        nn.DataError, match=r"parameters are arrays of numpy and x is one of array_api_strict; .*nn.put"
    ):
        network(params, strict.asarray(X))
    assert network(nn.put(params, like=strict.asarray(X)), strict.asarray(X))[0].shape == (2, 3)


@dataclass(frozen=True)
class Rule(nn.Optimizer):
    """w = w - lr g, by hand; each subclass below has one thing wrong."""

    def update_one(self, p, g, slots, c):
        return p - c["lr"] * g, slots


class OnlyP(Rule):
    def update_one(self, p, g, slots, c):
        return p - c["lr"] * g


class NoSlots(Rule):
    def update_one(self, p, g):
        return p - 0.1 * g, {}


class SmallerP(Rule):  # a weight of another shape would broadcast, without a word
    def update_one(self, p, g, slots, c):
        return (p - c["lr"] * g).sum(axis=0), slots


class LostSlots(Rule):
    def init_one(self, p):
        return {"m": 0 * p}

    def update_one(self, p, g, slots, c):
        return p - c["lr"] * g, {}


class OtherScalar(Rule):
    def update_one(self, p, g, slots, c):
        return p - c["learning_rate"] * g, slots


class BareSlots(Rule):
    def init_one(self, p):
        return 0 * p


class BareScalars(Rule):
    def scalars(self, step):
        return 0.1


WRONG_RULES = [
    (OnlyP, r"OnlyP 'optimizer': its update_one returns one array of shape \(2, 2\), but update_one takes "),
    (NoSlots, r"NoSlots 'optimizer': its update_one takes \(p, g\), but update_one takes \(p, g, slots, c\)"),
    (SmallerP, r"SmallerP 'optimizer': its update_one returns one array of shape \(2,\) for a parameter of \(2, 2\)"),
    (LostSlots, r"LostSlots 'optimizer': its update_one returns slots {} for {'m': \(2, 2\)}"),
    (OtherScalar, r"OtherScalar 'optimizer': its update_one asks for 'learning_rate', but c has lr"),
    (
        BareSlots,
        r"BareSlots 'optimizer': its init_one returns \(2, 2\), but init_one takes \(p\) and returns its slots",
    ),
    (BareScalars, r"an optimizer's scalars\(step\) returns a dict of numbers, such as {'lr': 0.1}, got 0.1"),
]


@pytest.mark.parametrize(("kind", "told"), WRONG_RULES, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("around", [lambda rule: rule, nn.EMA], ids=["alone", "averaged"])
def test_a_wrong_optimizer_is_named_with_the_contract(kind, told, around):
    model = nn.Model(nn.Sequential(nn.Dense(2)), optimizer=around(kind(0.1)), backend="numpy")
    with pytest.raises(TypeError, match=told):
        model.fit(X, Y, epochs=2)
    assert nn.Model(nn.Dense(2), optimizer=around(Rule(0.1)), backend="numpy").fit(X, Y)


SCHEDULES = [
    (lambda: 0.1, nn.ContractError, r"it takes \(\), but a schedule takes \(step\)"),
    (lambda epoch, lr: lr, nn.ContractError, r"it takes \(epoch, lr\), but a schedule takes \(step\)"),
    (lambda step: "0.1", nn.ContractError, r"it returns a str at step 0, but a schedule"),
    (lambda step: None, nn.ContractError, r"it returns None at step 0, but a schedule"),
    (lambda step: np.asarray([0.1]), nn.ContractError, r"it returns one array of shape \(1,\) at step 0"),
    (lambda step: 0.1 - step, ValueError, r"learning_rate must be a finite number of at least 0, got -0.9 at step 1"),
    (lambda step: float("nan"), ValueError, r"learning_rate must be .*, got nan at step 0 of its schedule"),
]


@pytest.mark.parametrize(("schedule", "kind", "told"), SCHEDULES)
def test_a_wrong_schedule_is_named_with_the_contract(schedule, kind, told):
    with pytest.raises(kind, match=told):
        nn.Model(nn.Dense(2), optimizer=nn.SGD(schedule), backend="numpy").fit(X, Y, epochs=2)


@dataclass(frozen=True)
class Share(nn.metrics.Metric):
    """The mean of the outputs; each subclass below has one thing wrong."""

    name = "share"

    def sums(self, outputs, targets, sample_weight=None):
        return {"sum": outputs.sum(), "weight": outputs.shape[0]}


class NoWeight(Share):
    def sums(self, outputs, targets):
        return {"sum": outputs.sum(), "weight": 2}


class BareSum(Share):
    def sums(self, outputs, targets, sample_weight=None):
        return outputs.sum()


class SumOfColumns(Share):
    def sums(self, outputs, targets, sample_weight=None):
        return {"sum": outputs.sum(axis=0), "weight": 2}


class OtherSums(Share):
    def sums(self, outputs, targets, sample_weight=None):
        return {"hits": outputs.sum()}


class NoNumber(Share):
    def value(self, sums):
        return "good"


class Nameless(nn.metrics.Metric):
    def sums(self, outputs, targets, sample_weight=None):
        return {"sum": outputs.sum(), "weight": 2}


WRONG_METRICS = [
    (NoWeight(), r"NoWeight 'metrics': its sums takes \(outputs, targets\), but a metric's sums takes "),
    (BareSum(), r"BareSum 'metrics': its sums returns one array of shape \(\), but a metric's sums .* returns a dict"),
    (SumOfColumns(), r"SumOfColumns 'metrics': its sums returns one array of shape \(2,\) for 'sum', but "),
    (
        OtherSums(),
        r"OtherSums 'metrics': its sums has hits, but a metric is sums\['sum'\] / sums\['weight'\]; define value",
    ),
    (NoNumber(), r"NoNumber 'metrics': its value returns a str, but a metric's value takes \(sums\)"),
    (Nameless(), r"the metric Nameless has no name; give its class one, name = 'nameless'"),
    (lambda outputs, targets: 1.0, r"<lambda> 'metrics': it returns a float, but a metric that is a function takes "),
    (lambda outputs, targets: None, r"<lambda> 'metrics': it returns None, but "),
    (lambda targets: targets, r"<lambda> 'metrics': it takes \(targets\), but a metric that is a function takes "),
]


@pytest.mark.parametrize(("metric", "told"), WRONG_METRICS)
def test_a_wrong_metric_is_named_with_the_contract(metric, told):
    with pytest.raises(TypeError, match=told):
        nn.Model(nn.Dense(2), metrics=[metric], backend="numpy").fit(X, Y)
    with pytest.raises(TypeError, match=told):
        nn.Model(nn.Dense(2), metrics=[metric], backend="numpy").evaluate(X, Y)


@dataclass(frozen=True)
class Ridge:
    """A penalty of one's own: `answer` is what it returns for w."""

    answer: Any

    def __call__(self, w):
        return self.answer(w)


WRONG_PENALTIES = [
    (lambda w: (w * w).sum(), r"returns one array of shape \(\), but "),
    (lambda w: ((w * w).sum(), 2 * w), r"returns one array of shape \(\) and one array of shape \(2, 2\), but "),
    (lambda w: (w * w, lambda d=1.0: 2 * d * w), r"returns one array of shape \(2, 2\) and a function, but "),
]


@pytest.mark.parametrize(("answer", "told"), WRONG_PENALTIES)
def test_a_wrong_penalty_is_named_with_its_layer(answer, told):
    network = nn.Sequential(nn.Dense(2, weight_regularizer=Ridge(answer)))
    with pytest.raises(nn.ContractError, match=rf"^Dense 'layers\.0': its weight_regularizer {told}a penalty returns"):
        nn.Model(network, backend="numpy").fit(X, Y)

    @dataclass(frozen=True)
    class Penalized(nn.Layer):
        def init(self, rng, input_shape, dtype="float32"):
            return {"w": np.ones((2, 2), dtype)}, input_shape

        def __call__(self, params, x, key=None):
            return x, lambda dy, need_dx=True: (dy, {"w": 0 * params["w"]})

        def penalty(self, params):
            return answer(params["w"])

    with pytest.raises(nn.ContractError, match=rf"^Penalized 'layers\.0': its penalty {told}a layer's penalty takes"):
        nn.Model(nn.Sequential(Penalized(), nn.Dense(2)), backend="numpy").fit(X, Y)


def test_a_penalty_whose_gradient_has_another_shape_is_named():
    wrong = Ridge(lambda w: ((w * w).sum(), lambda d=1.0: 2 * d * w[:1]))
    right = Ridge(lambda w: ((w * w).sum(), lambda d=1.0: 2 * d * w))
    with pytest.raises(nn.ContractError, match=r"the backward of its weight_regularizer returns \(1, 2\) for \(2, 2\)"):
        nn.Model(nn.Sequential(nn.Dense(2, weight_regularizer=wrong)), backend="numpy").fit(X, Y)
    assert nn.Model(nn.Dense(2, weight_regularizer=right), backend="numpy").fit(X, Y)["penalty"][0] > 0


WRONG_INITIALIZERS = [
    (lambda shape: np.zeros(shape), r"takes \(shape\), but an initializer takes \(rng, shape\)"),
    (lambda rng, shape: rng.standard_normal(2), r"returns one array of shape \(2,\) for the shape \(2, 2\)"),
    (lambda rng, shape: np.zeros(shape).tolist(), r"returns a list of 2 items for the shape \(2, 2\)"),
    (np.zeros, r"fails \(.*\), but an initializer takes \(rng, shape\)"),
]


@pytest.mark.parametrize(("initializer", "told"), WRONG_INITIALIZERS)
def test_a_wrong_initializer_is_named_with_its_layer(initializer, told):
    network = nn.Sequential(nn.Dense(2, weight_initializer=initializer))
    with pytest.raises(nn.ContractError, match=rf"^Dense 'layers\.0': its weight_initializer {told}"):
        network.init(np.random.default_rng(0), (2,))


@pytest.mark.parametrize(
    ("name", "hook", "told"),
    [
        (
            "on_epoch_end",
            lambda self, epoch: None,
            r"its on_epoch_end takes \(epoch\), but it is called as on_epoch_end",
        ),
        ("on_fit_begin", lambda self: None, r"its on_fit_begin takes \(\), but it is called as on_fit_begin\(model\)"),
        (
            "on_epoch_begin",
            lambda self, epoch, logs=None: None,
            r"its on_epoch_begin is never called; give on_epoch_end",
        ),
        ("on_train_end", lambda self, logs=None: None, r"its on_train_end is never called; give on_fit_end\(model\)"),
        (
            "on_epoch_ends",
            lambda self, model, epoch, logs: None,
            r"its on_epoch_ends is never called; give on_epoch_end",
        ),
    ],
)
def test_a_wrong_callback_is_named_before_anything_is_trained(name, hook, told):
    model = nn.Model(nn.Dense(2), backend="numpy")
    with pytest.raises(nn.ContractError, match=rf"^Own 'callbacks': {told}"):
        model.fit(X, Y, callbacks=type("Own", (nn.Callback,), {name: hook})())
    assert model.params is None


def test_a_layer_with_a_wrong_init_is_named():
    class Bare(Own):
        def init(self, shape):
            return {}, shape

    class Number(Own):
        def init(self, rng, input_shape, dtype="float32"):
            return {"scale": 1.0}, input_shape

    for kind, told in (
        (Bare, r"its init takes \(shape\), but"),
        (Number, r"its init returns parameters that hold a float"),
    ):
        with pytest.raises(nn.ContractError, match=rf"^{kind.__name__} 'layers\.0': {told}"):
            nn.Sequential(kind()).init(np.random.default_rng(0), (2,))


def test_an_exception_of_a_custom_rule_is_unchanged():
    class Broken(Rule):
        def update_one(self, p, g, slots, c):
            return len(1), slots

    with pytest.raises(TypeError, match=r"^object of type 'int' has no len\(\)$"):
        nn.Model(nn.Dense(2), optimizer=Broken(0.1), backend="numpy").fit(X, Y)
