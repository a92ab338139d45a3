"""What must hold of every layer of the library: a new one that is not in `every_layer` fails here, and so does one that
PyTorch, JAX, ONNX, `summary` or `explain` know nothing of."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import interop, layers, tree
from tests.every_layer import EVERY, inputs, named, parameters

every_layer = pytest.mark.parametrize(("layer", "shape"), EVERY, ids=named)


def test_every_layer_of_the_library_is_tested() -> None:
    public = {getattr(layers, name) for name in layers.__all__}
    kinds = {kind for kind in public if isinstance(kind, type)} - {layers.Layer, layers.Activation}
    assert kinds - {type(layer) for layer, _ in EVERY} == set()


def with_dense(layer: Any) -> Any:
    """A network that ends in three classes, whatever the layer gives."""
    return nn.Sequential(layer, nn.Flatten(), nn.Dense(3))


def cotangent(y: Any) -> Any:
    return np.random.default_rng(2).standard_normal(y.shape)


def leaves_of(nest: Any) -> list[Any]:
    """The arrays of a nest; what is None, a mask's gradient, is left out."""
    return [leaf for leaf in tree.leaves(nest) if leaf is not None]


# ---------------------------------------------------------------- summary, explain


@every_layer
def test_summary_counts_its_parameters(layer: Any, shape: Any) -> None:
    network = nn.Sequential(layer)
    params, output = network.init(np.random.default_rng(0), shape)
    lines = network.summary(shape).splitlines()
    trained = sum(leaf.size for leaf in tree.leaves(tree.trained(params)))
    assert lines[-1].split()[:2] == ["total", f"{trained:,}"]
    assert any(type(layer).__name__ in line for line in lines) or isinstance(layer, nn.Sequential)
    assert f"({', '.join(['N', *map(str, output)])})" in "\n".join(lines)


@every_layer
def test_explain_shows_its_forward_and_backward_pass(layer: Any, shape: Any) -> None:
    network = with_dense(layer)
    model = nn.Model(network, optimizer=nn.SGD(0.1), backend="numpy", seed=0).build(shape)
    x, y = inputs(layer, shape, 2), np.asarray([0, 2])
    explained = model.explain(x, y)
    first = next(stage for stage in explained.stages if stage["stage"] == "forward")
    inner = layer.layers[0] if isinstance(layer, nn.Sequential) else layer
    found = [stage for stage in explained.stages if stage["what"].startswith(f"{type(inner).__name__} 'layers.0")]
    assert {"forward", "backward"} <= {stage["stage"] for stage in found}
    assert first["formula"]
    history = model.fit(x, y, epochs=1, batch_size=None, verbose=0)
    told = next(stage for stage in explained.stages if stage["stage"] == "penalty" and stage["what"] == "loss")
    assert told["loss"] == pytest.approx(history["loss"][0], rel=1e-5)
    assert json.loads(json.dumps(explained.stages))
    assert type(inner).__name__ in str(explained)
    assert "<table" in explained.html()


# ---------------------------------------------------------------- PyTorch, JAX


@every_layer
def test_pytorch_differentiates_it_by_its_own_backward(layer: Any, shape: Any) -> None:
    torch = pytest.importorskip("torch")
    params, x = parameters(layer, shape, "float64"), inputs(layer, shape, 3, "float64")
    y, backward = layer(params, x)
    dy = cotangent(y)
    dx, grads = backward(dy)
    there = [tree.map(torch.tensor, nest) for nest in (params, x)]
    floats = [[leaf for leaf in tree.leaves(nest) if leaf.is_floating_point()] for nest in there]
    for leaf in (*floats[0], *floats[1]):
        leaf.requires_grad_()
    theirs = interop.as_torch(layer)(*there)
    np.testing.assert_allclose(theirs.detach().numpy(), y, rtol=1e-10, atol=1e-12)
    if not theirs.requires_grad:
        assert isinstance(layer, layers.Freeze)
        return
    theirs.backward(torch.tensor(dy))
    ours = dict(tree.items(tree.trained(grads)))
    for path, leaf in tree.items(tree.trained(there[0])):
        np.testing.assert_allclose(leaf.grad.numpy(), ours[path], rtol=1e-9, atol=1e-11, err_msg=path)
    found = [leaf.grad.numpy() for leaf in floats[1] if leaf.grad is not None]
    for one, own in zip(found, leaves_of(dx), strict=True):
        np.testing.assert_allclose(one, own, rtol=1e-9, atol=1e-11)


@every_layer
@pytest.mark.usefixtures("jax_x64")
def test_jax_differentiates_it_by_its_own_backward(layer: Any, shape: Any) -> None:
    jax = pytest.importorskip("jax")
    params, x = parameters(layer, shape, "float64"), inputs(layer, shape, 3, "float64")
    y, backward = layer(params, x)
    dy = cotangent(y)
    dx, grads = backward(dy)
    function = interop.as_jax(layer)

    def weighed(params: Any, x: Any) -> Any:
        return (function(params, x) * dy).sum()

    theirs, dtheirs = jax.jit(jax.grad(weighed, argnums=(0, 1), allow_int=True))(params, x)
    np.testing.assert_allclose(jax.jit(function)(params, x), y, rtol=1e-10, atol=1e-12)
    found = dict(tree.items(tree.trained(theirs)))
    for path, own in tree.items(tree.trained(grads)):
        np.testing.assert_allclose(found[path], own, rtol=1e-8, atol=1e-11, err_msg=path)
    for one, own in zip(tree.leaves(dtheirs), tree.leaves(dx) if dx is not None else [None], strict=True):
        if own is not None:
            np.testing.assert_allclose(one, own, rtol=1e-8, atol=1e-11)


@pytest.fixture
def numpy_tensors() -> Any:
    return lambda nest: tree.map(lambda leaf: leaf.detach().numpy(), nest)


#: what PyTorch has no module for, by what it says
NO_MODULE = {
    (layers.MultiHeadAttention, ((6, 4), (5, 3))): "heads of width D / h",
}
MASKED = (layers.RNN, layers.GRU, layers.LSTM, layers.Bidirectional)  #: of sequences alone, in PyTorch


@every_layer
def test_it_becomes_a_pytorch_module_and_comes_back(layer: Any, shape: Any, numpy_tensors: Any) -> None:
    torch = pytest.importorskip("torch")
    params, x = parameters(layer, shape, "float64"), inputs(layer, shape, 3, "float64")
    network = nn.Sequential(layer)
    refused = NO_MODULE.get((type(layer), shape))
    if refused:
        with pytest.raises(ValueError, match=refused):
            interop.to_torch(network, [params], shape)
        return
    module = interop.to_torch(network, [params], shape)
    again, back = interop.from_torch(module, shape)
    y, backward = network([params], x)
    np.testing.assert_allclose(again(numpy_tensors(back), x)[0], y, rtol=1e-12, atol=1e-13)
    module.eval()
    there = tree.map(torch.tensor, x)
    if isinstance(layer, MASKED) and isinstance(x, tuple):
        with pytest.raises(ValueError, match="takes no masks and no lengths"):
            module(there)
        return
    for leaf in tree.leaves(there):
        leaf.requires_grad_(leaf.is_floating_point())
    theirs = module(there)
    np.testing.assert_allclose(theirs.detach().numpy(), y, rtol=1e-10, atol=1e-12)
    dy = cotangent(y)
    if theirs.requires_grad:
        theirs.backward(torch.tensor(dy))
    dx, grads = backward(dy)
    for leaf, own in zip(tree.leaves(there), tree.leaves(dx) if dx is not None else [None], strict=True):
        if own is not None and leaf.grad is not None:
            rtol = 1e-7 if isinstance(layer, nn.HardSigmoid) else 1e-9  # PyTorch's slope of 1/6 is a float32
            np.testing.assert_allclose(leaf.grad.numpy(), own, rtol=rtol, atol=1e-11)
    trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
    second = sum(p.numel() for name, p in module.named_parameters() if ".bias_hh" in name)  # PyTorch's, beside ours
    own_second = sum(leaf.size for path, leaf in tree.items(params) if "recurrent_bias" in path)
    ours = sum(leaf.size for leaf in tree.leaves(tree.trained(grads)))
    assert trained - second == ours - own_second


# ---------------------------------------------------------------- ONNX


def session(path: Any) -> Any:
    runtime = pytest.importorskip("onnxruntime")
    return runtime.InferenceSession(path, providers=["CPUExecutionProvider"])


def given(found: Any, x: Any) -> dict[str, Any]:
    """The inputs of a session by their names, in the dtypes that it takes."""
    names = [value for value in found.get_inputs() if value.name.startswith("x")]
    dtypes = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
    return {one.name: leaf.astype(dtypes[one.type]) for one, leaf in zip(names, tree.leaves(x), strict=True)}


@every_layer
def test_onnx_inference_agrees_with_it(layer: Any, shape: Any, tmp_path: Any) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("ndonnx")
    model = nn.Model(with_dense(layer), backend="numpy").build(shape)
    model.params = [parameters(layer, shape), *model.params[1:]]
    x = inputs(layer, shape, 5)
    if isinstance(x, tuple) and not isinstance(layer, layers.Parallel):  # masks, lengths, a memory
        with pytest.raises(ValueError, match=f"{type(layer).__name__} 'network.0' cannot be exported"):
            interop.to_onnx(model, tmp_path / "model.onnx")
        return
    interop.to_onnx(model, tmp_path / "model.onnx")
    found = session(tmp_path / "model.onnx")
    outputs = found.run(["outputs"], given(found, x))[0]
    np.testing.assert_allclose(outputs, model(x), rtol=1e-4, atol=1e-5)


@every_layer
def test_onnx_training_agrees_with_it(layer: Any, shape: Any, tmp_path: Any) -> None:
    pytest.importorskip("ndonnx")
    network, steps = with_dense(layer), 3
    model = nn.Model(network, optimizer=nn.SGD(0.1, momentum=0.9), backend="numpy", seed=0).build(shape)
    x, y = inputs(layer, shape, 4), np.asarray([0, 2, 1, 2])
    interop.training_step_to_onnx(model, tmp_path / "step.onnx", 4, steps=steps)
    found = session(tmp_path / "step.onnx")
    names = [value.name for value in found.get_outputs()]
    taken = {value.name for value in found.get_inputs()}
    held = {"step": np.asarray(0)}
    held |= dict(tree.items({"params": model.params, "slots": model.state["slots"]}))
    held = {name: np.array(leaf) for name, leaf in held.items() if name in taken}
    step, state, params = nn.make_train_step(network, model.loss, model.optimizer), model.state, model.params
    for _ in range(steps):
        outputs = dict(zip(names, found.run(None, {**held, **given(found, x), "targets": y}), strict=True))
        params, state, logs = step(params, state, (x, y, None), nn.Key(0))
        assert float(outputs["loss"]) == pytest.approx(float(logs["data_loss"]), rel=1e-4, abs=1e-5)
        held = {name: outputs[f"new_{name}"] for name in held}
