"""Computes the images that a page draws: predictions over the plane, neurons, weights, gradients, as base64 bytes."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from ... import tree
from ...layers import Activation, ReLU

GRID = 64  #: points along each axis of the plane
NEURON_GRID = 32  #: points along each axis of a neuron's image
MAX_NEURONS = 64  #: neurons of a layer that are shown
BINS = 24  #: bins of a histogram


def extent(x: Any) -> list[float]:
    """The drawn range [left, right(, bottom, top)], a little wider than the points."""
    low, high = x.min(axis=0).astype(float), x.max(axis=0).astype(float)
    edge = 0.1 * np.maximum(high - low, 0.5)
    return [float(v) for pair in zip(low - edge, high + edge, strict=True) for v in pair]


def plane(x: Any, grid: int = GRID) -> Any:
    """The grid points at which the model is evaluated: (grid², 2) row by row from the bottom, or (grid, 1)."""
    edges = extent(x)
    axes = [np.linspace(low, high, grid) for low, high in zip(edges[::2], edges[1::2], strict=True)]
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes)], axis=1).astype(x.dtype)


def predictions(model: Any, x: Any) -> dict[str, Any]:
    """The model's predictions over the plane: class probabilities in steps of 1/255, or values as float32."""
    points = plane(x)
    found: dict[str, Any] = {"extent": extent(x), "grid": GRID}
    if model.loss.targets == "values":
        values = np.asarray(model.predict(points), np.float32).reshape(len(points), -1)[:, :1]
        return {**found, "values": _base64(values.astype("<f4"))}
    p = np.asarray(model.predict_proba(points), float)
    if p.shape[1] == 1:
        p = np.concatenate([1 - p, p], axis=1)
    return {**found, "regions": _base64((p.clip(0, 1) * 255).round().astype(np.uint8))}


def gradients(model: Any, stepper: Any) -> dict[str, Any]:
    """The gradient of the loss on all points, with penalty and without dropout, by the path of each parameter."""
    with model.backend.context():
        outputs, backward = model.network(model.params, stepper.x)
        grads = backward(model.loss(outputs, stepper.y)[1](), need_dx=False)[1]
        grads = tree.add(grads, model.network.penalty(model.params)[1]())
    return dict(tree.items(tree.trained(grads)))


def parameters(model: Any, stepper: Any) -> list[dict[str, Any]]:
    """Each trained parameter and its gradient: norm, image of 255 levels around 0, and histogram."""
    host, grads, found = model.backend.to_numpy, gradients(model, stepper), []
    for path, leaf in tree.items(tree.trained(model.params)):
        own: dict[str, Any] = {"path": path, "shape": list(leaf.shape)}
        for name, array in (("weight", host(leaf)), ("gradient", host(grads[path]))):
            array = array.astype(float)
            largest = float(np.abs(array).max(initial=0))
            steps = np.rint(array / (largest or 1.0) * 127).astype(np.int8)
            counts = np.histogram(array, BINS, (-(largest or 1.0), largest or 1.0))[0]
            norm = rounded(math.sqrt(float((array**2).sum())))
            own[name] = {
                "most": rounded(largest),
                "norm": norm,
                "picture": _base64(steps),
                "histogram": counts.tolist(),
            }
        found.append(own)
    return found


def dead(model: Any, stepper: Any) -> list[dict[str, Any]]:
    """For each ReLU layer, the number of dead neurons, which give 0 for every point."""
    found = []
    for i, layer, y in _layer_outputs(model, stepper.x):
        if isinstance(layer, ReLU):
            count = int((model.backend.to_numpy(y) == 0).all(axis=0).sum())
            found.append({"layer": f"layers.{i}", "dead": count, "of": int(y.shape[1])})
    return found


def neurons(model: Any, x: Any, hidden: int) -> dict[str, Any]:
    """The output of each neuron of a hidden layer over the plane, scaled from its least to its largest value."""
    points = model.backend.asarray(plane(x, NEURON_GRID), model.dtype)
    layers = [(i, y) for i, layer, y in _layer_outputs(model, points) if isinstance(layer, Activation)]
    if not layers:
        return {"place": "layers.0", "layer": 0, "units": 0, "shown": 0, "grid": NEURON_GRID, "maps": ""}
    position, outputs = layers[hidden]
    y = model.backend.to_numpy(outputs)
    low, high = y.min(axis=0), y.max(axis=0)
    steps = (255 * (y - low) / np.where(high > low, high - low, 1)).astype(np.uint8)[:, :MAX_NEURONS]
    about = {
        "place": f"layers.{position}",
        "layer": hidden,
        "units": y.shape[1],
        "shown": steps.shape[1],
        "grid": NEURON_GRID,
    }
    return {**about, "maps": _base64(steps.T)}


def _layer_outputs(model: Any, x: Any) -> list[tuple[int, Any, Any]]:
    """(index, layer, output) of each layer, in inference."""
    found = []
    with model.backend.context():
        for i, (layer, params) in enumerate(zip(model.network.layers, model.params, strict=True)):
            x, _ = layer(params, x)
            found.append((i, layer, x))
    return found


def rounded(value: float) -> float | None:
    """A number rounded to six digits; None where it is not finite, as JSON has no such numbers."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _base64(array: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
