"""Calls optimizers, metrics, penalties, initializers, schedules and callbacks and checks their contracts.

The error names the object, its place and what was expected. The library's own objects are called without checks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ._array import is_array
from ._contract import form, is_outside, pair, shapes, shown, signature, takes
from ._hyperparameters import held_number
from ._names import nearest
from ._types import Array, Nest
from .errors import ContractError

UPDATE = "update_one takes (p, g, slots, c) and returns (p, slots), of the shapes that it is given"
SLOTS = "init_one takes (p) and returns its slots, a dict of arrays"
SUMS = "a metric's sums takes (outputs, targets, sample_weight=None) and returns a dict of numbers that add over rows"
ROWS = "a metric that is a function takes (outputs, targets) and returns an array of one number per row, (N,)"
SCHEDULE = "a schedule takes (step), an integer from 0, and returns the learning rate, a number"
INITIALIZER = "an initializer takes (rng, shape) and returns an array of that shape"
PENALTY = "a penalty returns (value, backward), one number and a function backward(dpenalty=1.0) -> gradients"
HOOKS = {
    "on_fit_begin": ("model",),
    "on_batch_end": ("model",),
    "on_epoch_end": ("model", "epoch", "logs"),
    "on_fit_end": ("model",),
}


def name_of(thing: Any) -> str:
    """The name for messages: a function's name, or the name of an object's class."""
    return str(getattr(thing, "__name__", type(thing).__name__))


def called_with(function: Any, args: tuple[Any, ...], contract: str, what: str = "it", **place: str) -> Any:
    """Call function(*args). Raises ContractError if it does not take these arguments."""
    try:
        return function(*args)
    except TypeError as error:
        fits = takes(function, *args)
        if fits and error.__traceback__ and error.__traceback__.tb_next is not None:
            raise  # the error is from inside the function
        said = f"fails ({error})" if fits else f"takes {signature(function)}"
        raise ContractError(f"{what} {said}, but {contract}", **place) from error


def updated(optimizer: Any, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> Any:
    """Call an optimizer's update_one: (p, slots)."""
    if not is_outside(type(optimizer)):
        return optimizer.update_one(p, g, slots, c)
    place = {"layer": name_of(optimizer), "path": "optimizer"}
    try:
        result = called_with(optimizer.update_one, (p, g, slots, c), UPDATE, "its update_one", **place)
        return pair(result, f"its update_one returns {{}}, but {UPDATE}", **place)
    except KeyError as error:
        if error.args[:1] and error.args[0] not in {*c, *slots}:
            there = f"c has {', '.join(c) or 'nothing'}, and slots {', '.join(slots) or 'nothing'}"
            said = f"its update_one asks for {error.args[0]!r}, but {there}"
            raise ContractError(f"{said}; scalars(step) makes c, init_one(p) the slots", **place) from error
        raise


def check_update(optimizer: Any, shape: tuple[Any, ...], slots: Mapping[str, Array], result: Any) -> None:
    """Raise ContractError unless an update has the parameter's shape and the slots' shapes. It may add slots."""
    place = {"layer": name_of(optimizer), "path": "optimizer"}
    p, own = pair(result, f"its update_one returns {{}}, but {UPDATE}", **place)
    if not is_array(p) or tuple(p.shape) != shape:
        raise ContractError(f"its update_one returns {form(p)} for a parameter of {shape}; {UPDATE}", **place)
    kept = {name: own[name] for name in slots if name in own} if isinstance(own, Mapping) else None
    if kept is None or shapes(kept) != shapes(dict(slots)):
        raise ContractError(f"its update_one returns slots {shown(own)} for {shown(dict(slots))}; {UPDATE}", **place)


def slots_of(optimizer: Any, p: Array) -> Any:
    """Call an optimizer's init_one: the slots of a parameter."""
    if not is_outside(type(optimizer)):
        return optimizer.init_one(p)
    place = {"layer": name_of(optimizer), "path": "optimizer"}
    slots = called_with(optimizer.init_one, (p,), SLOTS, "its init_one", **place)
    if not isinstance(slots, dict) or not all(map(is_array, slots.values())):
        raise ContractError(f"its init_one returns {shown(slots)}, but {SLOTS}", **place)
    return slots


def sums_of(metric: Any, outputs: Nest, targets: Array, weight: Array | None) -> dict[str, Any]:
    """Call a metric's sums."""
    if not is_outside(type(metric)):
        found: dict[str, Any] = metric.sums(outputs, targets, weight)
        return found
    place = {"layer": name_of(metric), "path": "metrics"}
    found = called_with(metric.sums, (outputs, targets, weight), SUMS, "its sums", **place)
    if not isinstance(found, dict):
        raise ContractError(f"its sums returns {form(found)}, but {SUMS}", **place)
    for name, value in found.items():
        if tuple(getattr(value, "shape", ())) != () or isinstance(value, (str, list, tuple, dict, type(None))):
            raise ContractError(f"its sums returns {form(value)} for {name!r}, but {SUMS}", **place)
    return found


def value_of(metric: Any, sums: Mapping[str, float]) -> float:
    """Call a metric's value, with its sums as Python floats."""
    value: float = metric.value(sums)
    if is_outside(type(metric)) and not isinstance(held_number(value), (int, float)):
        place = {"layer": name_of(metric), "path": "metrics"}
        raise ContractError(
            f"its value returns {form(value)}, but a metric's value takes (sums), a dict of floats, and "
            f"returns one number",
            **place,
        )
    return value


def rows_of(function: Callable[..., Any], outputs: Nest, targets: Array) -> Any:
    """Call a metric that is a function: one number per row."""
    place = {"layer": name_of(function), "path": "metrics"}
    rows = called_with(function, (outputs, targets), ROWS, **place)
    if not is_array(rows):
        raise ContractError(f"it returns {form(rows)}, but {ROWS}", **place)
    return rows


def rate_of(schedule: Callable[[int], Any], step: int) -> float:
    """Call a schedule: the learning rate at this step."""
    place = {"layer": name_of(schedule), "path": "learning_rate"}
    rate = called_with(schedule, (step,), SCHEDULE, **place)
    if type(rate) is not float:
        rate = held_number(rate)
    if isinstance(rate, bool) or not isinstance(rate, (int, float)):
        raise ContractError(f"it returns {form(rate)} at step {step}, but {SCHEDULE}", **place)
    if not 0 <= rate < math.inf:
        raise ValueError(
            f"learning_rate must be a finite number of at least 0, got {rate!r} at step {step} of its schedule"
        )
    return float(rate)


def drawn(what: str, initializer: Any, rng: Any, shape: tuple[int, ...]) -> Any:
    """Call an initializer: initial weights. An error names it as `what`; a combinator adds the layer."""
    if not is_outside(type(initializer)):
        return initializer(rng, shape)
    values = called_with(initializer, (rng, shape), INITIALIZER, f"its {what}")
    if not is_array(values) or tuple(values.shape) != tuple(shape):
        raise ContractError(f"its {what} returns {form(values)} for the shape {tuple(shape)}; {INITIALIZER}")
    return values


def penalized(what: str, penalty: Any, w: Nest, contract: str = PENALTY) -> tuple[Any, Callable[..., Nest]]:
    """Call a penalty on w: (value, backward). Gradients must have the shapes of w; a dict of them may lack some."""
    value, backward = pair(called_with(penalty, (w,), contract, what), f"{what} returns {{}}, but {contract}")
    if tuple(getattr(value, "shape", ())) != () or not callable(backward):
        raise ContractError(f"{what} returns {form(value)} and {form(backward)}, but {contract}")

    def penalized_backward(dpenalty: Any = 1.0) -> Nest:
        gradients = called_with(backward, (dpenalty,), contract, f"the backward of {what}")
        if not _fits(gradients, w):
            raise ContractError(f"the backward of {what} returns {shown(gradients)} for {shown(w)}; {contract}")
        return gradients

    return value, penalized_backward


def _fits(gradients: Nest, w: Nest) -> bool:
    """Whether each gradient has the shape of its parameter; missing ones are allowed."""
    if gradients is None:
        return True
    if isinstance(w, dict):
        return isinstance(gradients, dict) and all(key in w and _fits(g, w[key]) for key, g in gradients.items())
    if isinstance(w, (list, tuple)):
        same = isinstance(gradients, (list, tuple)) and len(gradients) == len(w)
        return same and all(map(_fits, gradients, w))
    return bool(shapes(gradients) == shapes(w))


def check_callback(callback: Any) -> None:
    """Raise ContractError for a hook that does not take its arguments, or whose name is never called."""
    kind = type(callback)
    if not is_outside(kind):
        return
    place = {"layer": kind.__name__, "path": "callbacks"}
    for name, given in HOOKS.items():
        hook = getattr(callback, name)
        if not takes(hook, *given):
            raise ContractError(
                f"its {name} takes {signature(hook)}, but it is called as {name}({', '.join(given)})", **place
            )
    for name in dir(kind):
        if (
            name.startswith("on_")
            and name not in {*HOOKS, "on_resume"}
            and (name in FOREIGN or nearest(name, HOOKS, 1))
        ):
            meant = FOREIGN.get(name) or nearest(name, HOOKS, 1)[0]
            raise ContractError(f"its {name} is never called; give {meant}({', '.join(HOOKS[meant])})", **place)


#: hooks of other libraries, and the closest hook here
FOREIGN = {
    "on_train_begin": "on_fit_begin",
    "on_train_start": "on_fit_begin",
    "on_train_end": "on_fit_end",
    "on_epoch_begin": "on_epoch_end",
    "on_epoch_start": "on_epoch_end",
    "on_batch_begin": "on_batch_end",
    "on_train_batch_begin": "on_batch_end",
    "on_train_batch_end": "on_batch_end",
    "on_train_epoch_end": "on_epoch_end",
    "on_validation_end": "on_epoch_end",
}
