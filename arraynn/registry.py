"""Names for what a saved model may be made of. A file names classes; only what is registered here is ever made.

Every frozen dataclass of the library is known as its name and a version, such as "Dense.v1". Your own:

    nn.register(MyLayer)            # a frozen dataclass, or a function such as a loss block; before saving or loading
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from . import initializers, layers, losses, metrics, optimizers, regularizers, schedules
from .errors import CheckpointError

_registered: dict[str, Any] = {}


def register(thing: Any, name: str | None = None) -> Any:
    """Let saved models name `thing`, a frozen dataclass or a function, as `name` (its own and ".v1" by default).

    Returns thing, so that it can stand above a class as a decorator. Raises ValueError where the name is taken.
    """
    name = name or f"{thing.__name__}.v1"
    if _known().get(name, thing) is not thing or _registered.get(name, thing) is not thing:
        raise ValueError(f"the name {name!r} is taken by {(_known() | _registered)[name]!r}; give another")
    _registered[name] = thing
    return thing


@cache
def _known() -> dict[str, Any]:
    """The library's own dataclasses by their versioned names."""
    modules = initializers, layers, losses, metrics, optimizers, regularizers, schedules
    things = (thing for module in modules for thing in vars(module).values())
    return {f"{thing.__name__}.v1": thing for thing in things if isinstance(thing, type) and is_dataclass(thing)}


def encode(value: Any) -> Any:
    """value as JSON: numbers, strings, None, tuples, registered functions, dataclasses of such. CheckpointError else."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    names = {id(thing): name for name, thing in (_known() | _registered).items()}
    if id(value) in names:
        return {"function": names[id(value)]}
    if id(type(value)) in names:
        given = {field.name: encode(getattr(value, field.name)) for field in fields(value) if field.init}
        return {"type": names[id(type(value))], "fields": given}
    kind = type(value).__name__ if is_dataclass(value) else repr(value)
    raise CheckpointError(f"cannot save {kind}: no name is registered for it; call nn.register({kind}) first")


def decode(data: Any) -> Any:
    """The inverse of `encode`; lists become tuples. CheckpointError for names that are not registered."""
    if data is None or isinstance(data, (bool, int, float, str)):
        return data
    if isinstance(data, list):
        return tuple(decode(item) for item in data)
    match data:
        case {"float": ("nan" | "inf" | "-inf") as text, **rest} if not rest:
            return float(text)
        case {"function": str(name), **rest} if not rest:
            thing = _named(name)
            if not isinstance(thing, type):
                return thing
        case {"type": str(name), "fields": dict(given), **rest} if not rest:
            thing = _named(name)
            if isinstance(thing, type):
                return _make(thing, {key: decode(item) for key, item in given.items()})
    raise CheckpointError(f"the file describes something of no known form: {str(data)[:80]}")


def _named(name: str) -> Any:
    thing = _registered.get(name) or _known().get(name)
    if thing is None:
        raise CheckpointError(
            f"the file names {name!r}, which is not known here; if it is yours, call nn.register with it before loading"
        )
    return thing


def _make(thing: type, given: dict[str, Any]) -> Any:
    expected = {field.name for field in fields(thing) if field.init}  # type: ignore[arg-type]
    if not set(given) <= expected:
        raise CheckpointError(f"the file gives {thing.__name__} {sorted(set(given) - expected)}, which it does not take")
    try:
        if thing.__dataclass_params__.init:  # type: ignore[attr-defined]
            return thing(**given)
        (parts,) = given.values()  # a combinator, whose one field holds what it is called with
        return thing(*parts)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"the file's {thing.__name__} cannot be made: {error}") from None
