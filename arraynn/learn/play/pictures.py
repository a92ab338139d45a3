"""What a page draws, as small data: answers over the plane, neurons, weights, gradients. Bytes go as base64."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from ... import tree
from ...layers import Activation, ReLU

GRID = 64  #: points along an axis of the plane
SMALL, NEURONS = 32, 64  #: the same of a neuron's picture; at most so many are shown
BINS = 24  #: of a histogram


def extent(x: Any) -> list[float]:
    """[left, right(, bottom, top)], a little wider than the points."""
    low, high = x.min(axis=0).astype(float), x.max(axis=0).astype(float)
    edge = 0.1 * np.maximum(high - low, 0.5)
    return [float(v) for pair in zip(low - edge, high + edge, strict=True) for v in pair]


def plane(x: Any, grid: int = GRID) -> Any:
    """The points at which a page asks: (grid², 2) row by row from the bottom, or (grid, 1)."""
    edges = extent(x)
    axes = [np.linspace(low, high, grid) for low, high in zip(edges[::2], edges[1::2], strict=True)]
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes)], axis=1).astype(x.dtype)


def answers(model: Any, x: Any) -> dict[str, Any]:
    """Class probabilities in steps of 1/255, point by point, or values as float32."""
    at = plane(x)
    found: dict[str, Any] = {"extent": extent(x), "grid": GRID}
    if model.loss.targets == "values":
        values = np.asarray(model.predict(at), np.float32).reshape(len(at), -1)[:, :1]
        return {**found, "values": _base64(values.astype("<f4"))}
    p = np.asarray(model.predict_proba(at), float)
    if p.shape[1] == 1:
        p = np.concatenate([1 - p, p], axis=1)
    return {**found, "regions": _base64((p.clip(0, 1) * 255).round().astype(np.uint8))}


def gradients(model: Any, stepper: Any) -> dict[str, Any]:
    """Of the loss on all points, with its penalty and without dropout, by each trained parameter's path."""
    with model.backend.context():
        outputs, backward = model.network(model.params, stepper.x)
        grads = backward(model.loss(outputs, stepper.y)[1](), need_dx=False)[1]
        grads = tree.add(grads, model.network.penalty(model.params)[1]())
    return dict(tree.items(tree.trained(grads)))


def parameters(model: Any, stepper: Any) -> list[dict[str, Any]]:
    """Each trained parameter and its gradient: norms, a picture of 255 steps around 0, a histogram."""
    host, grads, found = model.backend.to_numpy, gradients(model, stepper), []
    for path, leaf in tree.items(tree.trained(model.params)):
        own: dict[str, Any] = {"path": path, "shape": list(leaf.shape)}
        for name, array in (("weight", host(leaf)), ("gradient", host(grads[path]))):
            array = array.astype(float)
            most = float(np.abs(array).max(initial=0))
            steps = np.rint(array / (most or 1.0) * 127).astype(np.int8)
            counts = np.histogram(array, BINS, (-(most or 1.0), most or 1.0))[0]
            norm = half(math.sqrt(float((array**2).sum())))
            own[name] = {"most": half(most), "norm": norm, "picture": _base64(steps), "histogram": counts.tolist()}
        found.append(own)
    return found


def dead(model: Any, stepper: Any) -> list[dict[str, Any]]:
    """Of each ReLU layer, how many of its neurons answer 0 to every point."""
    found = []
    for i, layer, y in _through(model, stepper.x):
        if isinstance(layer, ReLU):
            silent = int((model.backend.to_numpy(y) == 0).all(axis=0).sum())
            found.append({"layer": f"layers.{i}", "dead": silent, "of": int(y.shape[1])})
    return found


def neurons(model: Any, x: Any, hidden: int) -> dict[str, Any]:
    """What each neuron of a hidden layer answers over the plane, each from its least to its most in 255 steps."""
    at = model.backend.asarray(plane(x, SMALL), model.dtype)
    layers = [(i, y) for i, layer, y in _through(model, at) if isinstance(layer, Activation)]
    if not layers:
        return {"place": "layers.0", "layer": 0, "units": 0, "shown": 0, "grid": SMALL, "maps": ""}
    place, answers = layers[hidden]
    y = model.backend.to_numpy(answers)
    low, high = y.min(axis=0), y.max(axis=0)
    steps = (255 * (y - low) / np.where(high > low, high - low, 1)).astype(np.uint8)[:, :NEURONS]
    about = {"place": f"layers.{place}", "layer": hidden, "units": y.shape[1], "shown": steps.shape[1], "grid": SMALL}
    return {**about, "maps": _base64(steps.T)}


def _through(model: Any, x: Any) -> list[tuple[int, Any, Any]]:
    """(place, layer, its output) of each layer, in inference."""
    found = []
    with model.backend.context():
        for i, (layer, params) in enumerate(zip(model.network.layers, model.params, strict=True)):
            x, _ = layer(params, x)
            found.append((i, layer, x))
    return found


def half(value: float) -> float | None:
    """Six digits of a number; None where it is not finite, as JSON has no word for it."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _base64(array: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
