"""Exported training steps, run by onnxruntime beside arraynn's own."""

from __future__ import annotations

import numpy as np
import pytest

import arraynn as nn
from arraynn import interop, losses, optimizers, tree

pytest.importorskip("ndonnx")
runtime = pytest.importorskip("onnxruntime")

NETWORK = nn.Sequential(nn.Dense(16, weight_regularizer=nn.L2(5e-4)), nn.ReLU(), nn.Dropout(0.1), nn.Dense(3))
OPTIMIZERS = {
    "sgd": nn.SGD(nn.ExponentialDecay(0.1, steps=50), momentum=0.9, nesterov=True),
    "adam": nn.Adam(nn.InverseTimeDecay(0.05, decay=5e-5)),
    "rmsprop": nn.RMSProp(0.005),
    "adagrad": nn.Adagrad(0.05),
    "groups": nn.Groups(nn.AdamW(0.01), {"*.bias": nn.SGD(0.1)}),
}


class Graph:
    """The exported step and what it takes back."""

    def __init__(self, model, path):
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.names = [value.name for value in self.session.get_outputs()]
        nest = {"params": model.params, "slots": model.state["slots"]}
        self.state = {"step": np.asarray(model.step)} | {name: np.array(leaf) for name, leaf in tree.items(nest)}

    def __call__(self, **batch):
        found = dict(zip(self.names, self.session.run(None, {**self.state, **batch}), strict=True))
        self.state = {name: found[f"new_{name}"] for name in self.state}
        return float(found["loss"])


def own_step(model):
    step = nn.make_train_step(
        model.network, model.loss, model.optimizer, clip_norm=model.clip_norm, clip_value=model.clip_value
    )
    held = [tree.copy(model.params), {**model.state, "slots": tree.copy(model.state["slots"])}]

    def take(x, y, weight=None):
        held[0], held[1], logs = step(held[0], held[1], (x, y, weight), nn.Key(model.seed))
        return float(logs["data_loss"] + logs["penalty"])

    return take, held


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_hundred_steps_follow_arraynn(name, tmp_path):
    x, y = nn.datasets.spiral(20, 3)
    model = nn.Model(NETWORK, optimizer=OPTIMIZERS[name], backend="numpy", clip_norm=1.0, seed=7).build((2,))
    interop.training_step_to_onnx(model, tmp_path / "step.onnx", len(x), steps=200)
    graph, (take, held) = Graph(model, tmp_path / "step.onnx"), own_step(model)
    x = x.astype(np.float32)
    losses = []
    for step in range(1, 101):
        losses.append((graph(x=x, targets=y.astype(np.int64)), take(x, y)))
        if step == 20:  # weights while they can be compared: a free run in float32 parts by and by, Adam's first
            for path, leaf in tree.items(held[0]):
                np.testing.assert_allclose(graph.state[f"params.{path}"], leaf, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(*zip(*losses, strict=True), rtol=0, atol=1e-4)
    assert losses[-1][0] < losses[0][0]
    assert graph.state["step"] == 100


def public(module, base, *others):
    """The classes of a module that make one of `base` by themselves."""
    kinds = [getattr(module, name) for name in module.__all__]
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, base) and kind not in (base, *others)]


@pytest.mark.parametrize("kind", public(optimizers, nn.Optimizer, nn.Groups), ids=lambda kind: kind.__name__)
def test_every_optimizer_follows_arraynn(kind, tmp_path, rng):
    optimizer = kind(nn.Adam(0.01)) if kind in (nn.EMA, nn.SWA) else kind(0.01)
    model = nn.Model(nn.Sequential(nn.Dense(3)), optimizer=optimizer, backend="numpy").build((4,))
    follows(model, rng.standard_normal((8, 4)), rng.integers(0, 3, 8), tmp_path)


@pytest.mark.parametrize(
    "kind", public(losses, losses.Loss, losses.ClassLoss, losses.FunctionLoss), ids=lambda kind: kind.__name__
)
def test_every_loss_follows_arraynn(kind, tmp_path, rng):
    last = {losses.BinaryCrossEntropy: [nn.Sigmoid()], losses.CrossEntropy: [nn.Softmax()]}.get(kind, [])
    loss = kind(0.3) if kind is losses.Quantile else kind()
    network = nn.Sequential(nn.Dense(3), *last)
    model = nn.Model(network, loss=loss, optimizer=nn.SGD(0.1), backend="numpy", clip_value=0.1).build((4,))
    y = rng.integers(0, 3, 8) if loss.targets == "classes" else rng.integers(0, 2, (8, 3)).astype(np.float32)
    follows(model, rng.standard_normal((8, 4)), y, tmp_path)


def follows(model, x, y, folder, count=10):
    """The exported step's losses are those of arraynn's own."""
    interop.training_step_to_onnx(model, folder / "step.onnx", len(x), steps=count)
    graph, (take, _), x = Graph(model, folder / "step.onnx"), own_step(model), np.asarray(x, np.float32)
    pairs = [(graph(x=x, targets=y), take(x, y)) for _ in range(count)]
    np.testing.assert_allclose(*zip(*pairs, strict=True), rtol=0, atol=1e-5)
    assert len({loss for loss, _ in pairs}) > 1


def test_masks_are_arraynn_s_bit_for_bit(tmp_path):
    network = nn.Sequential(nn.Dense(1), nn.Dropout(0.5))
    model = nn.Model(network, loss=nn.mean_squared_error, optimizer=nn.SGD(0.0), backend="numpy", seed=3).build((1,))
    model.params = [{"weight": np.ones((1, 1)), "bias": np.zeros(1)}, {}]
    interop.training_step_to_onnx(model, tmp_path / "step.onnx", 16)
    graph, (take, _) = Graph(model, tmp_path / "step.onnx"), own_step(model)
    x, zeros = 2.0 ** np.arange(16, dtype=np.float32)[:, None] ** 0.5, np.zeros((16, 1), np.float32)
    for _ in range(5):  # the loss tells which rows were kept
        assert graph(x=x, targets=zeros) == pytest.approx(take(x, zeros), rel=1e-6)


def test_regression_with_batch_norm_and_residual_and_weights(tmp_path, rng):
    network = nn.Sequential(nn.Dense(8), nn.BatchNorm(), nn.Residual(nn.Dense(8), nn.GELU()), nn.Dense(1))
    # not Adam: the bias before a batch normalization has gradients of rounding errors, which it would blow up
    model = nn.Model(network, loss=nn.Huber(), optimizer=nn.SGD(0.05, 0.9), backend="numpy").build((4,))
    interop.training_step_to_onnx(model, tmp_path / "step.onnx", 12, sample_weight=True)
    graph, (take, held) = Graph(model, tmp_path / "step.onnx"), own_step(model)
    x, y = rng.standard_normal((12, 4), dtype=np.float32), rng.standard_normal((12, 1), dtype=np.float32)
    weight = rng.random(12, dtype=np.float32)
    for _ in range(20):
        assert graph(x=x, targets=y, sample_weight=weight) == pytest.approx(take(x, y, weight), abs=1e-4)
    mean = held[0][1]["statistics"]["mean"]
    np.testing.assert_allclose(graph.state["params.1.statistics.mean"], mean, atol=1e-4)


def test_an_embedding_is_trained(tmp_path, rng):
    network = nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Dense(3))
    model = nn.Model(network, optimizer=nn.SGD(0.5), backend="numpy").build((2,))
    interop.training_step_to_onnx(model, tmp_path / "step.onnx", 10)
    graph, (take, _) = Graph(model, tmp_path / "step.onnx"), own_step(model)
    x, y = rng.integers(0, 7, (10, 2)), rng.integers(0, 3, 10)
    for _ in range(10):
        assert graph(x=x, targets=y) == pytest.approx(take(x, y), abs=1e-5)


def test_after_its_table_the_last_rate_holds(tmp_path):
    network, rate = nn.Sequential(nn.Dense(1)), nn.PiecewiseConstant((1, 2), (0.0, 1.0, 0.5))
    model = nn.Model(network, loss=nn.mean_squared_error, optimizer=nn.SGD(rate), backend="numpy").build((1,))
    interop.training_step_to_onnx(model, tmp_path / "step.onnx", 1, steps=2)
    graph = Graph(model, tmp_path / "step.onnx")
    biases = []
    for _ in range(4):
        graph(x=np.zeros((1, 1), np.float32), targets=np.ones((1, 1), np.float32))
        biases.append(float(graph.state["params.0.bias"][0]))
    assert biases == [0.0, 2.0, 0.0, 2.0]  # b += 1.0 · 2 (1 - b), but for the first step


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"batch_size": True}, {"batch_size": 4, "steps": 0}])
def test_sizes_are_checked(wrong, tmp_path):
    model = nn.Model(nn.Sequential(nn.Dense(1)), backend="numpy").build((1,))
    with pytest.raises(ValueError, match="at least 1"):
        interop.training_step_to_onnx(model, tmp_path / "step.onnx", **wrong)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2D(4, 3, strides=2, padding="same", groups=2), nn.ReLU(), nn.MaxPool2D(2, padding=1)],
        [nn.Conv2D(4, 2, dilation=2), nn.GroupNorm(2), nn.AveragePool2D(2), nn.GlobalMaxPool()],
        [nn.Reshape((15, 4)), nn.PositionalEmbedding(15), nn.MultiHeadAttention(2, causal=True), nn.RMSNorm()],
        [nn.Permute((2, 1, 3)), nn.Reshape((5, 12)), nn.Bidirectional(nn.GRU(3, True)), nn.LSTM(3)],
        [nn.Freeze(nn.Sequential(nn.Conv2D(3, 3), nn.ReLU())), nn.Flatten(), nn.Dense(4), nn.Tanh()],
    ],
    ids=lambda layers: type(layers[0]).__name__,
)
def test_steps_of_images_and_series_follow_arraynn(layers, tmp_path, rng):
    network = nn.Sequential(*layers, nn.Flatten(), nn.Dense(3))
    model = nn.Model(network, optimizer=nn.SGD(0.1, momentum=0.9), backend="numpy").build((6, 5, 2))
    follows(model, rng.standard_normal((4, 6, 5, 2)), rng.integers(0, 3, 4), tmp_path, count=4)
