"""What a saved model may name."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

import arraynn as nn
from arraynn.io import registry
from arraynn.io.registry import decode, encode
from arraynn.metrics import RegressionAccuracy
from arraynn.schedules import Scaled

THINGS = [
    nn.Sequential(
        nn.Flatten(),
        nn.Dense(4, weight_initializer=nn.initializers.he_normal, weight_regularizer=nn.L1L2(0.1, 0.2)),
        nn.Residual(nn.Concatenate(nn.Identity(), nn.LeakyReLU(0.3)), nn.Dense(4)),
        nn.Embedding(5, 3, weight_initializer=nn.initializers.orthogonal(2.0)),
        nn.BatchNorm(momentum=0.5),
    ),
    nn.SoftmaxCrossEntropy(0.1, ignore_label=-1),
    nn.Groups(nn.EMA(nn.Adam(nn.CosineDecay(0.1))), {"*.bias": nn.SGD(Scaled(nn.StepDecay(0.2), 0.5), momentum=0.9)}),
    nn.SWA(nn.RMSProp(), start=3),
    nn.LinearWarmup(nn.PiecewiseConstant((2, 3), (0.1, 0.2, 0.3)), steps=4),
    RegressionAccuracy(tolerance=0.125),
    (None, True, 3, 0.1, "text", (1, (2,)), float("inf")),
]


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: type(thing).__name__)
def test_encoded_objects_decode_to_equal_ones_through_json(thing):
    assert decode(json.loads(json.dumps(encode(thing), allow_nan=False))) == thing


def test_every_public_dataclass_has_a_versioned_name():
    names = registry._known()
    assert "Dense.v1" in names
    assert not [name for name in names if not name.endswith(".v1") or name.startswith("_")]
    for package in (nn.layers, nn.losses, nn.optimizers):
        for name in package.__all__:
            thing = getattr(package, name)
            if isinstance(thing, type) and "__dataclass_fields__" in vars(thing) and thing is not nn.Optimizer:
                assert names[f"{name}.v1"] is thing


def test_numpy_scalars_are_encoded_as_numbers():
    assert decode(encode(nn.Dropout(np.float64(0.5)))) == nn.Dropout(0.5)
    assert encode(np.int64(3)) == 3


@dataclass(frozen=True)
class Mine(nn.Activation):
    slope: float = 1.0

    def function(self, x):
        return x * self.slope, lambda dy: dy * self.slope


def my_loss(outputs, targets, *, sample_weight=None, total=None):
    return nn.mean_squared_error(outputs, targets, sample_weight=sample_weight, total=total)


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    return nn.register


def test_a_registered_custom_layer_is_encoded_by_its_name(registered):
    with pytest.raises(nn.CheckpointError, match=r"no name is registered for it; call nn\.register\(Mine\) first"):
        encode(Mine(2.0))
    assert registered(Mine) is Mine
    assert decode(encode(Mine(2.0))) == Mine(2.0)


def test_a_registered_custom_loss_block_is_encoded_by_its_name(registered):
    registered(my_loss, "mse.v7")
    assert encode(my_loss) == {"function": "mse.v7"}
    assert decode({"function": "mse.v7"}) is my_loss


def test_for_an_unknown_name_the_error_names_register():
    with pytest.raises(nn.CheckpointError, match=r"'Theirs\.v1'.*nn\.register"):
        decode({"type": "Theirs.v1", "fields": {}})


def test_a_registered_name_cannot_be_taken_again(registered):
    with pytest.raises(ValueError, match="taken"):
        registered(Mine, "Dense.v1")
    registered(Mine)
    registered(Mine)
    with pytest.raises(ValueError, match="taken"):
        registered(my_loss, "Mine.v1")


@pytest.mark.parametrize(
    "data",
    [
        {"type": "os.system", "fields": {"command": "true"}},
        {"type": "arraynn.layers.Dense", "fields": {"units": 3}},
        {"type": "Dense", "fields": {"units": 3}},
        {"type": "Optimizer.v1", "fields": {}},
        {"type": "_Schedule.v1", "fields": {"learning_rate": 0.1}},
        {"type": "Dense.v1"},
        {"type": "Dense.v1", "fields": {"units": 3}, "more": 1},
        {"type": "Dense.v1", "fields": {}},
        {"type": "Dense.v1", "fields": {"units": 3, "__class__": 1}},
        {"type": "Dense.v1", "fields": {"units": True}},
        {"type": "Dense.v1", "fields": {"units": 2.5}},
        {"type": "Dense.v1", "fields": {"units": "3"}},
        {"type": "Dense.v1", "fields": {"units": 3, "weight_initializer": 3}},
        {"type": "Dropout.v1", "fields": {"rate": None}},
        {"type": "Dropout.v1", "fields": {"rate": 7}},
        {"type": "LayerNorm.v1", "fields": {"epsilon": {"float": "nan"}}},
        {"type": "Sequential.v1", "fields": {"layers": 3}},
        {"type": "Sequential.v1", "fields": {"layers": [3]}},
        {"type": "Sequential.v1", "fields": {}},
        {"type": "FunctionLoss.v1", "fields": {"function": "print"}},
        {"function": "Dense.v1"},
        {"function": "print"},
        {"float": "1"},
        {"a": 1},
        {},
    ],
    ids=str,
)
def test_invalid_data_raise_checkpoint_error(data):
    with pytest.raises(nn.CheckpointError):
        decode(data)
