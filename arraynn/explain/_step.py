"""Takes one training step on copies of a model's weights and records it stage by stage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from .. import tree
from .._types import Nest
from ..backends import of
from ..optimizers import Groups
from ..random import Key
from ..schedules import rate_at
from ..training.clipping import clip
from ..training.dataset import InputSpec
from ..training.model_inputs import first_layer
from ..training.validation import as_array, as_inputs
from ._formula import backward_formula, formula
from ._html import fragment, framed, page
from ._plain import plain, scalars, settings
from ._record import layers_of, recorded
from ._text import text

NO_WEIGHTS = "not computed yet: the weights are drawn by the first fit, or by build(input_shape)"
NO_INPUT = "not computed: no x was given"
NO_TARGETS = "not computed: no targets were given, and without them there is no loss"


@dataclass(frozen=True)
class Explanation:
    """The result of `explain`: str() gives text for a terminal, html() a page, which notebooks show.

    stages : a list of dicts of Python numbers, strings, lists and dicts, in the order of the step. Each has "stage"
        ("input", "forward", "loss", "backward", "penalty", "clip", "update"), "what", and "formula"; a backward stage
        has the formula of the backward. Its arrays are dicts {"shape", "dtype", "values"}, with "abbreviated" where
        only the first and last rows and columns are kept. Where a value is not computed, a string says why.
    """

    stages: list[dict[str, Any]]

    def __str__(self) -> str:
        before: list[dict[str, Any]] = [{}, *self.stages]
        parts = [text(n, before[n - 1], stage) for n, stage in enumerate(self.stages, 1)]
        return "\n\n".join("\n".join(lines) for lines in parts) + "\n"

    def html(self, *, whole: bool = True) -> str:
        """One self-contained HTML page whose buttons step forward and backward through the stages.

        Matrices show their numbers and a colour for each. Under a formula stands the same formula with the numbers of
        one element substituted. Links lead from a gradient to the stages that it comes from. Each number is in a
        <data> element, whose value is the exact one in `stages`.
        whole : False gives the stages alone, for a page that already has the style and script of `explain/static`.
        """
        return page(self.stages) if whole else fragment(self.stages)

    def _repr_html_(self) -> str:
        return framed(self.stages)


def explain(model: Any, x: Any = None, y: Any = None, sample_weight: Any = None) -> Explanation:
    """One training step of the model on these rows, as `Model.fit` would take it next with them as its batch.

    x, y, sample_weight : as for `Model.fit`; a few rows are easiest to read. Without y, the loss and everything after
    it is not computed. Without x or weights, nothing is computed. The stages then say why. The gradient with respect
    to x, which a training step does not compute, is shown as well. The model does not change.
    Raises DataError or ShapeError for data that do not fit the model.
    """
    if x is None or model.params is None or model.seed is None:
        why = NO_INPUT if x is None else NO_WEIGHTS
        return Explanation([_input_stage(NO_INPUT if x is None else as_inputs(x)), *_missing(model, why, forward=True)])
    spec = InputSpec(
        backend=model.backend,
        dtype=model.dtype,
        loss=model.loss,
        input_shape=model.input_shape,
        output_shape=(),  # set below, after the forward pass
        first=first_layer(model.network),
        integer_input=model.integer_input,
        vocabulary=model.vocabulary,
        longest=model.longest,
        classes=model.classes,
    )
    x = as_inputs(x)
    spec.check_shape(x)
    x = spec.by_part(lambda leaf, part: spec.input(leaf, part=part), x)
    stages = [_input_stage(x)]
    with model.backend.context():
        network = recorded(model.network, "", stages)  # its layers append their stages, forward and backward
        outputs, backward = network(model.params, x, Key(model.seed).fold_in(model.step))
        if y is None:
            return Explanation([*stages, *_missing(model, NO_TARGETS, forward=False)])
        spec = replace(spec, output_shape=tuple(outputs.shape[1:]))
        targets = spec.targets(spec.numbers(y))
        weight = None if sample_weight is None else as_array("sample_weight", sample_weight)
        weight = spec.weights(weight, int(targets.shape[0]))
        value, loss_backward = model.loss(outputs, targets, sample_weight=weight)
        doutputs = loss_backward()
        stages += _loss_stages(model, outputs, targets, weight, value, doutputs)
        grads = backward(doutputs, need_dx=True)[1]
        penalty, penalty_backward = network.penalty(model.params)
        grads = tree.add(grads, penalty_backward())
        total = {"data_loss": plain(value), "penalty": plain(penalty), "loss": plain(value + penalty)}
        stages.append({"stage": "penalty", "what": "loss", "formula": "loss = data_loss + penalty", **total})
        stages += _clipping(model, grads)
        stages += _updates(model, clip(grads, model.clip_norm, model.clip_value))
    return Explanation(stages)


def _input_stage(x: Any) -> dict[str, Any]:
    return {"stage": "input", "what": "x", "formula": "", "x": plain(x)}


def _loss_stages(
    model: Any, outputs: Any, targets: Any, weight: Any, value: Any, doutputs: Any
) -> Iterator[dict[str, Any]]:
    """The stages of the loss and of its backward."""
    head = {"what": type(model.loss).__name__, "formula": formula(model.loss)}
    stage = {"settings": settings(model.loss), "outputs": plain(outputs), "targets": plain(targets)}
    if weight is not None:
        stage["sample_weight"] = plain(weight)
    if model.loss.targets in ("classes", "binary"):
        stage["probabilities"] = plain(model.loss.probabilities(outputs))
    stage["total"] = plain(model.loss.total(targets, weight))
    yield {"stage": "loss", **head, **stage, "data_loss": plain(value)}
    own = {"formula": backward_formula(model.loss)}
    yield {"stage": "backward", **head, **own, "outputs gradient": plain(doutputs)}


def _clipping(model: Any, grads: Nest) -> list[dict[str, Any]]:
    if model.clip_norm is None and model.clip_value is None:
        return []
    clipped = clip(grads, model.clip_norm, model.clip_value)
    limits = {"clip_value": model.clip_value, "clip_norm": model.clip_norm}
    stage = {"stage": "clip", "what": "all gradients", "formula": formula(clip), "settings": limits}
    cut = clip(grads, None, model.clip_value)
    norms = {"norm before": _norm(cut), "norm after": _norm(clipped)}
    values = {f"{path} gradient": plain(leaf) for path, leaf in tree.items(tree.trained(clipped))}
    return [stage | norms | values]


def _norm(grads: Nest) -> float:
    """The norm of all trained leaves together, computed on the host. (The step computes its own on the device.)"""
    total = 0.0
    for leaf in tree.leaves(tree.trained(grads)):
        host = of(leaf).to_numpy(leaf)
        total += float((host.astype("float64") ** 2).sum())
    return float(total**0.5)


def _updates(model: Any, grads: Nest) -> Iterator[dict[str, Any]]:
    """One stage for each parameter, and for each statistic (running means) that is assigned."""
    optimizer, state = model.optimizer, model.state
    before = dict(tree.items(model.params))
    own = {**state, "slots": tree.copy(state["slots"])}
    params, after = optimizer.update(tree.copy(model.params), grads, own)
    trained = dict(tree.items(tree.trained(params)))
    gradients = dict(tree.items(tree.trained(grads)))
    step = int(state["step"])
    slots_before, slots_after = _slots(model.params, state["slots"]), _slots(model.params, after["slots"])
    for path, leaf in tree.items(params):
        if path not in trained:
            stage = {"stage": "update", "what": f"'{path}'", "formula": "a statistic: its new value is assigned"}
            yield stage | {"before": plain(before[path]), "after": plain(leaf)}
            continue
        rule = optimizer.of(path) if isinstance(optimizer, Groups) else optimizer
        numbers, arrays = rule.shown(step, gradients[path], slots_before.get(path, {}), slots_after.get(path, {}))
        head = {
            "settings": _settings(rule),
            "step": step,
            "learning rate": float(rate_at(rule.learning_rate, step)),
            "scalars": scalars(numbers),
        }
        stage = {"stage": "update", "what": f"{type(rule).__name__} on '{path}'", "formula": _update_formula(rule)}
        values = {"gradient": plain(gradients[path])} | {name: plain(values) for name, values in arrays.items()}
        # the result of the update comes last: it follows from the values above
        yield stage | head | values | {"before": plain(before[path]), "after": plain(leaf)}


def _update_formula(rule: Any) -> str:
    """The optimizer's formula. One that averages weights (EMA, SWA) gives the wrapped optimizer's formula first."""
    return f"{formula(rule.optimizer)} {formula(rule)}" if hasattr(rule, "optimizer") else formula(rule)


def _settings(rule: Any) -> dict[str, Any]:
    return settings(rule.optimizer) | settings(rule) if hasattr(rule, "optimizer") else settings(rule)


def _slots(params: Nest, slots: Nest) -> dict[str, dict[str, Any]]:
    """The optimizer's arrays for each parameter, by its path."""
    trained = tree.trained(params)
    found: list[Any] = []
    tree.map(lambda _, own: found.append(own), trained, slots)
    return dict(zip(tree.paths(trained), found, strict=True))


def _missing(model: Any, why: str, *, forward: bool) -> Iterator[dict[str, Any]]:
    """The stages that are not computed, each with the reason `why`. forward : include those of the forward pass."""
    layers = list(layers_of(model.network, ""))
    if forward:
        for what, layer in layers:
            yield {"stage": "forward", "what": what, "formula": formula(layer), "settings": settings(layer), "y": why}
    head = {"what": type(model.loss).__name__, "formula": formula(model.loss)}
    yield {"stage": "loss", **head, "data_loss": why}
    yield {"stage": "backward", **head, "formula": backward_formula(model.loss), "outputs gradient": why}
    for what, layer in reversed(layers):
        yield {"stage": "backward", "what": what, "formula": backward_formula(layer), "x gradient": why}
    rule = model.optimizer
    what = f"{type(rule).__name__} on every parameter"
    yield {"stage": "update", "what": what, "formula": formula(rule), "settings": settings(rule), "after": why}
