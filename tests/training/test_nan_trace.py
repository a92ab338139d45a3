"""When numbers are no longer finite: where it happened, what is kept, and that training can go on."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn._array import namespace
from arraynn.layers import Layer
from arraynn.layers._base import Activation
from arraynn.losses import Loss
from arraynn.training import loop
from arraynn.training.nan_trace import checked, layer_of

X, Y = nn.datasets.spiral(10, 3)


@dataclass(frozen=True)
class Value(Activation):
    """y = x exp(scale): infinite where scale is large."""

    scale: float

    def function(self, x):
        xp = namespace(x)
        factor = xp.exp(xp.zeros_like(x) + self.scale)
        return x * factor, lambda dy: dy * factor


@dataclass(frozen=True)
class Gradient(Activation):
    """y = x, and a gradient that is infinite."""

    def function(self, x):
        return x, lambda dy: dy * 1e38 * 1e38


@dataclass(frozen=True)
class Cubed(Layer):
    """y = x + w³ of one weight, whose gradient 3w² overflows before its value does."""

    def init(self, rng, input_shape, dtype="float32"):
        return {"w": np.full((1,), 1e10, dtype)}, tuple(input_shape)

    def __call__(self, params, x, key=None):
        w = params["w"]

        def backward(dy, need_dx=True):
            return dy if need_dx else None, {"w": 3 * w * w * 1e38}

        return x + w * 0, backward


def model_of(*layers, backend="numpy", optimizer=None, **options):
    return nn.Model(nn.Sequential(*layers), optimizer=optimizer or nn.SGD(0.1), backend=backend, **options)


def diverged(model, x=X, y=Y, **options):
    """The error of a fit that diverges; the model must be whole afterwards."""
    options.setdefault("epochs", 4)
    with pytest.raises(nn.DivergedError) as caught:
        model.fit(x, y, **options)
    assert "\n" not in str(caught.value)
    for leaf in tree.leaves([model.params, model.state["slots"]]):
        assert np.isfinite(model.backend.to_numpy(leaf)).all()
    assert {len(values) for values in model.history.values()} <= {model.epoch}
    return caught.value


# ---------------------------------------------------------------- where


def test_a_value_that_is_not_finite_names_its_layer(backend):
    error = diverged(
        model_of(nn.Dense(4), Value(0.0), nn.Sequential(nn.Dense(4), Value(200.0)), nn.Dense(3), backend=backend)
    )
    assert (error.epoch, error.step, error.layer) == (0, 0, "layers.2.layers.1")
    assert str(error) == (
        "training diverged at epoch 0, step 0: the value of Value 'layers.2.layers.1' is not finite. The model keeps "
        "its last finite weights; a smaller learning_rate, or clip_norm, usually helps"
    )


def test_the_replay_uses_the_dropout_masks_of_the_step(backend):
    # what dropout keeps is scaled by 1 / (1 - rate), and overflows by that alone
    layers = nn.Dense(64), nn.Dropout(0.99), Value(86.0), nn.Dense(3)
    assert diverged(model_of(*layers, backend=backend), X * 10).layer == "layers.2"


def test_a_gradient_names_the_layer_where_it_began(backend):
    error = diverged(model_of(nn.Dense(4), nn.ReLU(), nn.Dense(4), Gradient(), nn.Dense(3), backend=backend))
    assert (error.epoch, error.step, error.layer) == (0, 0, "layers.3")
    assert "the gradient of Gradient 'layers.3' is not finite" in str(error)


def test_a_parameters_gradient_names_its_layer(backend):
    error = diverged(model_of(nn.Dense(3), Cubed(), backend=backend))
    assert error.layer == "layers.1"
    assert "the gradient of Cubed 'layers.1'" in str(error)


def test_a_loss_that_is_not_finite_is_named(backend):
    @dataclass(frozen=True)
    class Broken(Loss):
        def __call__(self, outputs, targets, *, sample_weight=None, total=None):
            value, backward = nn.mean_squared_error(outputs, targets, sample_weight=sample_weight, total=total)
            return value * 1e38 * 1e38, backward

    model = nn.Model(nn.Sequential(nn.Dense(2)), Broken(), nn.SGD(0.1), backend=backend)
    error = diverged(model, X, X)
    assert error.layer == "loss"
    assert "the loss is not finite" in str(error)


def test_a_gradient_of_the_loss_that_is_not_finite_is_named(backend):
    @dataclass(frozen=True)
    class Steep(Loss):
        def __call__(self, outputs, targets, *, sample_weight=None, total=None):
            value, backward = nn.mean_squared_error(outputs, targets, sample_weight=sample_weight, total=total)
            return value, lambda dloss=1.0: backward(dloss) * 1e38 * 1e38

    error = diverged(nn.Model(nn.Sequential(nn.Dense(2)), Steep(), nn.SGD(0.1), backend=backend), X, X)
    assert error.layer == "loss"
    assert "the gradient of the loss" in str(error)


def test_an_update_names_the_parameter_and_its_layer(backend):
    layers = nn.Sequential(nn.Identity(), nn.Sequential(nn.ReLU(), nn.Dense(3)))
    error = diverged(nn.Model(layers, optimizer=nn.SGD(1e45), backend=backend))  # infinite in float32
    assert error.layer == "layers.1.layers.1"
    assert "parameter '1.1." in str(error)
    assert "' after the update is not finite" in str(error)


def test_a_penalty_that_is_not_finite_is_named(backend):
    model = model_of(nn.Dense(3, weight_regularizer=nn.L2(1e30)), backend=backend, optimizer=nn.SGD(0.0))
    model.build(2).params = [{"weight": np.full((2, 3), 1e10, np.float32), "bias": np.zeros(3, np.float32)}]
    assert diverged(model, X * 0, Y).layer == "penalty"


def test_overflow_of_optimizer_state_is_reported(backend):
    # g is finite and g² is not: Adam would never move that weight again
    @dataclass(frozen=True)
    class Loud(Loss):
        def __call__(self, outputs, targets, *, sample_weight=None, total=None):
            value, backward = nn.mean_squared_error(outputs, targets, sample_weight=sample_weight, total=total)
            return value, lambda dloss=1.0: backward(dloss) * 1e25

    error = diverged(nn.Model(nn.Sequential(nn.Dense(2)), Loud(), nn.Adam(0.1), backend=backend), X, X)
    assert error.layer == "layers.0"
    assert "optimizer state '0.weight.v' after the update" in str(error)


def test_layers_inside_branches_and_residuals_are_named():
    network = (
        nn.Dense(4),
        nn.Residual(nn.Dense(4), nn.Concatenate(nn.Identity(), Value(200.0)), nn.Dense(4)),
        nn.Dense(3),
    )
    assert diverged(model_of(*network)).layer == "layers.1.layers.1.layers.1"


def test_a_network_of_a_single_layer_is_traced():
    model = nn.Model(nn.Dense(3), optimizer=nn.SGD(1e45), backend="numpy")
    assert diverged(model).layer == "network"


def test_tracing_changes_no_number(rng):
    network = nn.Sequential(
        nn.Dense(4), nn.Residual(nn.ReLU()), nn.Dropout(0.5), nn.Concatenate(nn.Tanh(), nn.Dense(2))
    )
    params, _ = network.init(rng, (2,))
    one, other = (net(params, X, nn.Key(1)) for net in (network, checked(network)))
    np.testing.assert_array_equal(one[0], other[0])
    for a, b in zip(tree.leaves(one[1](one[0])), tree.leaves(other[1](one[0])), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_custom_combinator_is_traced_as_a_whole():
    @dataclass(frozen=True)
    class Mine(Layer):
        layers: tuple

        def init(self, rng, input_shape, dtype="float32"):
            return self.layers[0].init(rng, input_shape, dtype)

        def __call__(self, params, x, key=None):
            y, backward = self.layers[0](params, x, key)
            return y * 1e38 * 1e38, backward

    assert diverged(model_of(Mine((nn.Dense(3),)))).layer == "layers.0"


def test_paths_of_parameters_are_mapped_to_layers():
    network = nn.Sequential(nn.Dense(1), nn.Sequential(nn.ReLU(), nn.Dense(1)))
    assert layer_of(network, "0.weight") == "layers.0"
    assert layer_of(network, "1.1.bias") == "layers.1.layers.1"


# ---------------------------------------------------------------- when, and what is kept


def growing(step):
    """A learning rate that breaks the run at step 7."""
    return 0.05 if step < 7 else 1e45


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_step_and_epoch_are_named_whatever_the_fetch_interval(backend, monkeypatch, seconds):
    monkeypatch.setattr(loop, "FETCH_SECONDS", seconds)
    network = nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dropout(0.2), nn.Dense(3))
    model = nn.Model(network, optimizer=nn.SGD(growing), backend=backend)
    error = diverged(model, batch_size=10)  # 3 steps an epoch
    assert (error.epoch, error.step) == (2, 7)
    assert error.layer == "layers.0"
    # the last finite fetch: after each step, or at the start of the run
    assert (model.step, model.epoch, len(model.history.get("loss", []))) == ((7, 2, 2) if seconds == 0 else (0, 0, 0))


def test_weights_are_kept_at_each_epochs_end_where_a_callback_reads_them(backend, monkeypatch):
    monkeypatch.setattr(loop, "FETCH_SECONDS", 1e9)
    model = model_of(nn.Dense(3), optimizer=nn.SGD(growing), backend=backend)
    kept = []

    class Keep(nn.Callback):
        def on_epoch_end(self, model, epoch, logs):
            kept.append([np.array(model.backend.to_numpy(leaf)) for leaf in tree.leaves(model.params)])

    diverged(model, batch_size=10, callbacks=[Keep()])
    assert (model.step, model.epoch) == (6, 2)
    assert len(model.history["loss"]) == len(kept) == 2
    for a, b in zip(kept[-1], tree.leaves(model.params), strict=True):
        np.testing.assert_array_equal(a, model.backend.to_numpy(b))


def test_training_goes_on_with_a_smaller_rate(backend, monkeypatch):
    monkeypatch.setattr(loop, "FETCH_SECONDS", 0.0)
    model = model_of(nn.Dense(8), nn.ReLU(), nn.Dense(3), optimizer=nn.SGD(growing), backend=backend)
    diverged(model, batch_size=10)
    model.optimizer = replace(model.optimizer, learning_rate=0.05)
    history = model.fit(X, Y, epochs=3, batch_size=10)
    assert (model.epoch, model.step) == (5, 16)
    assert {len(values) for values in history.values()} == {5}
    assert np.isfinite(history["loss"]).all()


def test_an_iterable_is_replayed(backend, monkeypatch):
    monkeypatch.setattr(loop, "FETCH_SECONDS", 1e9)
    model = model_of(nn.Dense(3), optimizer=nn.SGD(growing), backend=backend)
    parts = [(X[i : i + 10], Y[i : i + 10]) for i in (0, 10, 20)]
    error = diverged(model, parts, None)
    assert (error.epoch, error.step, error.layer) == (2, 7, "layers.0")


def test_a_generator_is_replayed_from_the_batches_it_gave(monkeypatch):
    monkeypatch.setattr(loop, "FETCH_SECONDS", 1e9)
    model = model_of(nn.Dense(3), optimizer=nn.SGD(growing))
    error = diverged(model, ((X, Y) for _ in range(20)), None, epochs=1)
    assert (error.epoch, error.step) == (0, 7)


def test_the_replay_takes_the_optimizer_of_each_step(monkeypatch):
    monkeypatch.setattr(loop, "FETCH_SECONDS", 1e9)

    class Exchange(nn.Callback):
        every_epoch = False

        def on_batch_end(self, model):
            if model.step in (2, 3):  # a wild step, then a tame one
                model.optimizer = nn.SGD(1e45 if model.step == 2 else 0.0)

    model = model_of(nn.Dense(3))
    error = diverged(model, batch_size=10, callbacks=[Exchange()], epochs=2)
    assert (error.step, error.layer) == (2, "layers.0")


def test_validation_that_is_not_finite_does_not_end_a_run(backend):
    model = model_of(nn.Dense(3), backend=backend, optimizer=nn.SGD(0.0))
    history = model.fit(X * 0, Y, epochs=2, validation_data=(np.full_like(X, 3e38), Y))
    assert len(history["val_loss"]) == 2


def test_training_with_clipped_gradients_stays_finite(backend):
    model = model_of(nn.Dense(3), nn.Identity(), backend=backend, optimizer=nn.SGD(1e3), clip_norm=1e-3)
    model.fit(X, Y, epochs=3)
    assert np.isfinite(model.history["loss"]).all()
