"""The course's lessons as presets: a lesson that trains gives settings, the others show one step in full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import datasets, layers, losses, optimizers
from ...explain import Explanation
from ...model import Model
from .settings import Hidden, Settings

_BOOK: dict[str, Any] = {"book": True, "optimizer": "SGD", "learning_rate": 1.0}
_ADAM = _BOOK | {"optimizer": "Adam", "learning_rate": 0.02, "optimizer_options": {"epsilon": 1e-7}}


def _decay(decay: float) -> dict[str, Any]:
    return {"schedule": "InverseTimeDecay", "schedule_options": {"decay": decay}}


@dataclass(frozen=True)
class Preset:
    """A lesson. stated : the figures that it gives for some epochs, {epoch: {name: number, in three decimals}}.

    settings : None for a lesson that trains nothing.
    """

    title: str
    settings: Settings | None = None
    stated: tuple[tuple[int, tuple[tuple[str, float], ...]], ...] = ()

    def about(self) -> dict[str, Any]:
        """The preset's title and stated figures as plain data, for a page."""
        return {"title": self.title, "stated": {epoch: dict(values) for epoch, values in self.stated}}


def _stated(*figures: tuple[float | None, float]) -> tuple[Any, ...]:
    """Figures at epochs 0 and 100: loss, and accuracy where it is stated."""
    return tuple(
        (epoch, (*(() if accuracy is None else (("accuracy", accuracy),)), ("loss", loss)))
        for epoch, (accuracy, loss) in zip((0, 100), figures, strict=False)
    )


PRESETS = {
    "01": Preset("1 dense layer: one step on a worked input"),
    "02": Preset("2 activation functions: one step on a worked input"),
    "03": Preset(
        "3 dropout: the full model",
        Settings(
            **_BOOK | {"optimizer": "Adam", "learning_rate": 0.05, "optimizer_options": {"epsilon": 1e-7}},
            **_decay(5e-5),
            l2=5e-4,
            layers=(Hidden(64, dropout=0.1),),
        ),
        _stated((0.367, 1.099)),
    ),
    "04": Preset("4 dense backward: one step on a worked input"),
    "05": Preset("5 ReLU backward: one step on a worked input"),
    "06": Preset("6 cross-entropy backward: one step on a worked input"),
    "07": Preset("7 backward through one layer: one step on a worked input"),
    "08": Preset("8 softmax and cross-entropy: one step on a worked input"),
    "09": Preset(
        "9 Adagrad",
        Settings(**_BOOK | {"optimizer": "Adagrad"}, **_decay(1e-4)),
        _stated((0.360, 1.099), (0.457, 1.012)),
    ),
    "10": Preset("10 Adam", Settings(**_ADAM, **_decay(1e-5)), _stated((0.360, 1.099), (0.683, 0.769))),
    "11": Preset(
        "11 momentum 0.9",
        Settings(**_BOOK, optimizer_options={"momentum": 0.9}, **_decay(1e-3)),
        _stated((None, 1.099), (None, 1.053)),
    ),
    "12": Preset(
        "12 RMSProp",
        Settings(
            **_BOOK | {"optimizer": "RMSProp", "learning_rate": 0.02}, optimizer_options={"rho": 0.999}, **_decay(1e-5)
        ),
        _stated((0.360, 1.099), (0.450, 1.016)),
    ),
    "13": Preset("13 gradient descent", Settings(**_BOOK), _stated((0.360, 1.099), (0.400, 1.087))),
    "14": Preset("14 learning rate decay", Settings(**_BOOK, **_decay(1e-3)), _stated((0.360, 1.099), (0.400, 1.088))),
    "15": Preset(
        "15 regularization", Settings(**_ADAM, **_decay(5e-7), l2=5e-4), _stated((0.360, 1.099), (0.683, 0.838))
    ),
    "16": Preset("16 sums and broadcasting: one step on a worked input"),
    "17": Preset(
        "17 entire neural network",
        Settings(**_BOOK, layers=(Hidden(3),)),
        ((0, (("accuracy", 0.340), ("loss", 1.099))),),
    ),
    "18": Preset("18 overall network", Settings(**_ADAM, **_decay(1e-5)), _stated((0.360, 1.099), (0.683, 0.769))),
}


def worked_example(name: str) -> Explanation:
    """One step in full, in float64, on the input that a lesson computes by hand."""
    rng = np.random.RandomState(0)  # the book's stream: data first, then weights
    points, labels = datasets.spiral(100, 3, seed=rng)
    first, second = ({"weight": 0.01 * rng.randn(n, 3), "bias": np.zeros(3)} for n in (2, 3))
    dense, relu, identity = layers.Dense(3), layers.ReLU(), layers.Identity()
    probabilities = np.asarray([[0.7, 0.1, 0.2], [0.1, 0.5, 0.4], [0.02, 0.9, 0.08]])
    neurons = np.asarray([[0.2, 0.8, -0.5, 1.0], [0.5, -0.91, 0.26, -0.5], [-0.26, -0.27, 0.17, 0.87]])
    rows = np.asarray([[1.0, 2.0, 3.0, 2.5], [2.0, 5.0, -1.0, 2.0], [-1.5, 2.7, 3.3, -0.8]])
    z = np.asarray([[1.0, 2.0, -3.0, -4.0], [2.0, -7.0, -1.0, 3.0], [-1.0, 2.0, 5.0, -1.0]])
    four = np.arange(1.0, 13.0).reshape(3, 4)
    cross_entropy, logits, squared_error = (
        losses.CrossEntropy(),
        losses.SoftmaxCrossEntropy(),
        losses.MeanSquaredError(),
    )

    def targets_for_gradient(outputs: Any, doutputs: Any) -> Any:
        return outputs - doutputs * outputs.size / 2  # with these targets, the mean squared error has this gradient

    chain: list[Any]
    params: list[Any]
    x: Any
    y: Any
    loss: Any
    if name == "01":
        chain, params, x, y, loss = [dense], [first], points[:5], labels[:5], logits
    elif name == "02":
        chain, params, x, y, loss = [dense, relu, dense], [first, {}, second], points[:5], labels[:5], logits
    elif name == "04":
        own = {"weight": neurons.T, "bias": np.asarray([2.0, 3.0, 0.5])}
        y = targets_for_gradient(rows @ neurons.T + own["bias"], np.repeat([[1.0], [2.0], [3.0]], 3, axis=1))
        chain, params, x, loss = [dense], [own], rows, squared_error
    elif name == "05":
        chain, params, x, y, loss = [relu], [{}], z, targets_for_gradient(np.maximum(z, 0), four), squared_error
    elif name == "06":
        chain, params, x, y, loss = [identity], [{}], probabilities, np.asarray([0, 1, 1]), cross_entropy
    elif name == "07":  # L = S², S the sum of the neurons: a last Dense of ones gives S, and the target is 0
        own = {"weight": np.arange(1.0, 13.0).reshape(3, 4).T / 10, "bias": np.asarray([0.1, 0.2, 0.3])}
        ones = {"weight": np.ones((3, 1)), "bias": np.zeros(1)}
        chain, params = [dense, relu, layers.Dense(1)], [own, {}, ones]
        x, y, loss = np.asarray([[1.0, 2.0, 3.0, 4.0]]), np.zeros((1, 1)), squared_error
    elif name == "08":
        chain, params, x, y, loss = [identity], [{}], np.log(probabilities), np.asarray([0, 1, 1]), logits
    else:
        x, y = np.asarray([[1.0, 2, 3, 4], [5, 6, 7, 8], [3, 6, 4, 5]]), np.asarray([3, 3, 1])
        chain, params, loss = [identity], [{}], logits
    model = Model(layers.Sequential(*chain), loss, optimizers.SGD(0.001), backend="numpy", dtype="float64")
    model.build(x.shape[1:])
    model.set_params(params)
    explained: Explanation = model.explain(x, y)
    return explained
