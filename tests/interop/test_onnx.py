"""Exported models, run by onnxruntime."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import arraynn as nn
from arraynn import interop, layers

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

PLAIN = [
    *(kind() for kind in layers.named_activations().values()),
    *(layers.ELU(0.5), layers.LeakyReLU(0.2), layers.Softmax()),
    *(layers.BatchNorm(), layers.Dropout(0.5), layers.LayerNorm(epsilon=1e-3), layers.Flatten()),
    *(layers.Residual(layers.Tanh()), layers.Concatenate(layers.Identity(), layers.ReLU())),
]
IMAGES = [
    *(layers.Conv2D(4, (3, 2), strides=2, padding="same", groups=2), layers.Conv2D(3, 2, dilation=2, padding=1)),
    *(layers.MaxPool2D(3, strides=2, padding=1), layers.AveragePool2D(3, strides=2, padding="same")),
    *(layers.GlobalAveragePool(), layers.GlobalMaxPool(), layers.Permute((3, 1, 2)), layers.Reshape((-1, 6))),
    *(layers.GroupNorm(2), layers.Dense(3), layers.Freeze(layers.Sequential(layers.Conv2D(2, 2), layers.ReLU()))),
]
SERIES = [
    *(layers.Conv1D(4, 3, padding=((2, 0),)), layers.MaxPool1D(), layers.AveragePool1D(3, padding=1)),
    *(layers.PositionalEmbedding(9), layers.PositionalEmbedding(9, "sinusoidal"), layers.RMSNorm()),
    *(layers.MultiHeadAttention(2, causal=True), layers.MultiHeadAttention(3, 2, value_units=4)),
    *(kind(3, sequences, reverse=reverse) for kind in (layers.RNN, layers.GRU, layers.LSTM)
      for sequences, reverse in ((False, False), (True, True), (False, True))),
    *(layers.Bidirectional(layers.GRU(3)), layers.Bidirectional(layers.LSTM(2, return_sequences=True, reverse=True))),
]  # fmt: skip
KINDS = [*PLAIN, layers.Dense(4), layers.Embedding(7, 4), layers.Sequential(layers.Flatten(), layers.Dense(2))]


def shaken(params, rng):
    """Weights that are no longer what they began as: scales of 1 and means of 0 would hide a mistake."""
    return nn.tree.map(lambda leaf: (np.abs(leaf) + rng.random(leaf.shape) + 0.1).astype(leaf.dtype), params)


def built(network, shape, rng, **options):
    model = nn.Model(network, backend="numpy", **options).build(shape)
    model.params = shaken(model.params, rng)
    return model


def run(path, *inputs):
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    outputs = [value.name for value in session.get_outputs()]
    return dict(zip(outputs, session.run(None, dict(zip(names, inputs, strict=True))), strict=True))


def operators(path):
    model = onnx.load(path)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 21)]
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("layer", KINDS, ids=lambda layer: type(layer).__name__)
def test_every_layer_agrees(layer, rng, tmp_path):
    network = nn.Sequential(layer) if isinstance(layer, layers.Dense) else nn.Sequential(layer, nn.Flatten())
    shape = (3,) if isinstance(layer, layers.Dense) else (2, 3)
    model = built(network, shape, rng, loss=nn.mean_squared_error)
    interop.to_onnx(model, tmp_path / "model.onnx")
    words = isinstance(layer, layers.Embedding)
    x = rng.integers(0, 7, (5, *shape)) if words else rng.standard_normal((5, *shape), dtype=np.float32)
    if not words:
        x[-2:] *= np.float32([[30], [1000]]).reshape(2, *[1] * len(shape))  # and where curves are flat, or overflow
    found = run(tmp_path / "model.onnx", x)
    assert list(found) == ["outputs"]
    np.testing.assert_allclose(found["outputs"], model(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layer", [*IMAGES, *SERIES], ids=str)
def test_every_layer_of_images_and_series_agrees(layer, rng, tmp_path):
    shape = (6, 5, 2) if layer in IMAGES else (6, 4)
    model = built(nn.Sequential(layer, nn.Flatten(), nn.Dense(3)), shape, rng)
    interop.to_onnx(model, tmp_path / "model.onnx")
    x = rng.standard_normal((5, *shape), dtype=np.float32)
    found = run(tmp_path / "model.onnx", x)
    np.testing.assert_allclose(found["outputs"], model(x), rtol=1e-5, atol=1e-5)
    assert run(tmp_path / "model.onnx", x[:1])["outputs"].shape == (1, 3)


def test_every_layer_of_the_library_is_tested():
    kinds = {getattr(layers, name) for name in layers.__all__ if isinstance(getattr(layers, name), type)}
    apart = {layers.Layer, layers.Activation, layers.Parallel}  # the last takes several inputs: a test of its own
    lacking = kinds - {type(layer) for layer in (*KINDS, *IMAGES, *SERIES)} - apart
    assert not lacking, f"add to PLAIN, IMAGES or SERIES above: {', '.join(kind.__name__ for kind in lacking)}"


@pytest.mark.parametrize("rows", [1, 2, 1000])
def test_the_number_of_rows_is_free_and_the_graph_is_clean(rows, rng, tmp_path):
    network = nn.Sequential(nn.Dense(64, weight_regularizer=nn.L2(5e-4)), nn.ReLU(), nn.Dropout(0.1), nn.Dense(3))
    model = built(network, (2,), rng)
    interop.to_onnx(model, tmp_path / "model.onnx")
    assert operators(tmp_path / "model.onnx") == ["Gemm", "Relu", "Gemm", "Identity", "Softmax"]
    x = rng.standard_normal((rows, 2), dtype=np.float32)
    found = run(tmp_path / "model.onnx", x)
    np.testing.assert_allclose(found["outputs"], model(x), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(x), rtol=0, atol=1e-5)


def test_the_runtime_fuses_dense_and_relu(rng, tmp_path):
    interop.to_onnx(built(nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dense(3)), (4,), rng), tmp_path / "model.onnx")
    options = runtime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3  # it warns that an optimized file is for this machine
    runtime.InferenceSession(tmp_path / "model.onnx", options, providers=["CPUExecutionProvider"])
    fused = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert "FusedGemm" in fused
    assert "Relu" not in fused


@pytest.mark.parametrize("loss", [nn.sigmoid_cross_entropy, nn.cross_entropy, nn.focal, nn.kl_divergence])
def test_the_link_of_the_loss_gives_the_probabilities(loss, rng, tmp_path):
    last = [nn.Softmax()] if loss is nn.cross_entropy else []
    model = built(nn.Sequential(nn.Dense(3), *last), (4,), rng, loss=loss)
    interop.to_onnx(model, tmp_path / "model.onnx")
    x = rng.standard_normal((5, 4), dtype=np.float32)
    found = run(tmp_path / "model.onnx", x)
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(x), rtol=1e-5, atol=1e-6)


def test_a_float64_model_is_exported_in_float32(rng, tmp_path):
    model = built(nn.Sequential(nn.Dense(3)), (4,), rng, dtype="float64")
    interop.to_onnx(model, tmp_path / "model.onnx")
    x = rng.standard_normal((5, 4), dtype=np.float32)
    np.testing.assert_allclose(run(tmp_path / "model.onnx", x)["outputs"], model(x), rtol=1e-5)


@dataclass(frozen=True)
class Bent(layers.Activation):
    """y = x |x|, a layer of one's own."""

    def function(self, x):
        size = abs(x)
        return x * size, lambda dy: 2 * dy * size


@dataclass(frozen=True)
class Scaled(layers.Layer):
    """y = x w, with a parameter."""

    def init(self, rng, input_shape, dtype="float32"):
        return {"w": np.ones(input_shape, dtype)}, tuple(input_shape)

    def __call__(self, params, x, key=None):
        return x * params["w"], lambda dy, need_dx=True: (dy * params["w"], {"w": dy * x})


def test_custom_layers_are_traced(rng, tmp_path):
    pytest.importorskip("ndonnx")
    network = nn.Sequential(nn.Dense(4), Bent(), Scaled(), nn.Residual(Bent()), nn.Dense(2))
    model = built(network, (3,), rng)
    interop.to_onnx(model, tmp_path / "model.onnx")
    x = rng.standard_normal((5, 3), dtype=np.float32)
    np.testing.assert_allclose(run(tmp_path / "model.onnx", x)["outputs"], model(x), rtol=1e-5, atol=1e-4)
    assert operators(tmp_path / "model.onnx").count("Gemm") == 2


def test_a_layer_that_cannot_be_traced_is_named(rng, tmp_path):
    pytest.importorskip("ndonnx")

    @dataclass(frozen=True)
    class Odd(layers.Activation):
        def function(self, x):
            return np.asarray(np.sin(x) if isinstance(x, np.ndarray) else float(x)), lambda dy: dy

    with pytest.raises(ValueError, match=r"Odd 'network\.1' cannot be exported"):
        interop.to_onnx(built(nn.Sequential(nn.Dense(2), Odd()), (3,), rng), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_weights_is_refused(tmp_path):
    with pytest.raises(nn.DataError, match="build"):
        interop.to_onnx(nn.Model(nn.Sequential(nn.Dense(2))), tmp_path / "model.onnx")


def test_dense_models_need_onnx_alone(rng, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ndonnx", None)
    interop.to_onnx(built(nn.Sequential(nn.Dense(2), nn.GELU()), (3,), rng), tmp_path / "model.onnx")


def spiral():
    x, y = nn.datasets.spiral(100, 3)
    return nn.Sequential(nn.Dense(64), nn.ReLU(), nn.Dropout(0.1), nn.Dense(3)), 20, x, y, x


def digits():
    x, y, tests, _ = nn.datasets.digits()
    return nn.Sequential(nn.Flatten(), nn.Dense(128), nn.ReLU(), nn.Dense(10)), 2, x, y, tests


def mnist():
    x, y, tests, _ = nn.datasets.mnist(flatten=False)
    return nn.Sequential(nn.Flatten(), nn.Dense(128), nn.ReLU(), nn.Dense(10)), 1, x[:10_000], y[:10_000], tests


NO_MNIST = pytest.mark.skipif(
    not Path(os.environ.get("ARRAYNN_DATA", ""), "mnist").is_dir(), reason="ARRAYNN_DATA names no folder with mnist"
)


@pytest.mark.parametrize("data", [spiral, digits, pytest.param(mnist, marks=NO_MNIST)])
def test_a_trained_model_agrees(data, tmp_path):
    network, epochs, x, y, rows = data()
    model = nn.Model(network, backend="numpy")
    model.fit(x, y, epochs=epochs, verbose=0)
    interop.to_onnx(model, tmp_path / "model.onnx")
    found = run(tmp_path / "model.onnx", np.asarray(rows, np.float32))
    np.testing.assert_allclose(found["outputs"], model(rows), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(rows), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found["probabilities"].argmax(axis=1), model.predict(rows))


def test_inputs_of_several_dtypes_are_exported(tmp_path):
    """Numbers and codes of an embedded column: each part is an input of its own, with its own type."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 2)).astype(np.float32), rng.integers(0, 5, 6), rng.integers(0, 3, 6)
    network = nn.Sequential(nn.Parallel(nn.Identity(), nn.Embedding(5, 3), nn.Embedding(3, 2)), nn.Dense(4))
    model = nn.Model(network, backend="numpy").build(((2,), (), ()))
    interop.to_onnx(model, tmp_path / "m.onnx")
    session = runtime.InferenceSession(tmp_path / "m.onnx")
    given = {one.name: part for one, part in zip(session.get_inputs(), x, strict=True)}
    np.testing.assert_allclose(session.run(["outputs"], given)[0], model(x), rtol=1e-5, atol=1e-6)
