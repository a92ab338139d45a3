"""The registry of classes that a saved model may contain. A file names classes; only registered ones are constructed.

Every frozen dataclass of the library is registered by its name and a version, such as "Dense.v1". Register your own:

    nn.register(MyLayer)            # a frozen dataclass, or a function such as a loss block; before saving or loading
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType
from typing import Any

from .. import encoding, initializers, layers, losses, metrics, optimizers, regularizers, schedules
from ..errors import CheckpointError
from . import scikit_learn

_registered: dict[str, Any] = {}


def register(thing: Any, name: str | None = None) -> Any:
    """Register `thing`, a frozen dataclass or a function, so that models that contain it can be saved and loaded.

    name : its name in files; by default its own name and ".v1". Returns thing, so that it can be used as a decorator.
    Raises ValueError if the name is taken.
    """
    name = name or f"{thing.__name__}.v1"
    if _known().get(name, thing) is not thing or _registered.get(name, thing) is not thing:
        raise ValueError(f"the name {name!r} is taken by {(_known() | _registered)[name]!r}; give another")
    _registered[name] = thing
    return thing


@cache
def _known() -> dict[str, Any]:
    """The library's own dataclasses by their versioned names."""
    modules = (encoding, initializers, layers, losses, metrics, optimizers, regularizers, schedules, scikit_learn)
    things = [thing for module in modules for name, thing in vars(module).items() if not name.startswith("_")]
    kinds = [thing for thing in things if isinstance(thing, type) and is_dataclass(thing)]
    return {f"{kind.__name__}.v1": kind for kind in kinds if kind is not optimizers.Optimizer}  # the base class


def encode(value: Any) -> Any:
    """Convert numbers, strings, None, tuples, registered functions and dataclasses of these to JSON data.

    Raises CheckpointError for anything else.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return encode(value.item())  # a NumPy scalar
    names = {id(thing): name for name, thing in (_known() | _registered).items()}
    if id(value) in names:
        return {"function": names[id(value)]}
    if id(type(value)) in names:
        given = {field.name: encode(getattr(value, field.name)) for field in fields(value) if field.init}
        return {"type": names[id(type(value))], "fields": given}
    kind = type(value).__name__ if is_dataclass(value) else repr(value)
    raise CheckpointError(f"cannot save {kind}: no name is registered for it; call nn.register({kind}) first")


def decode(data: Any) -> Any:
    """The inverse of `encode`; lists become tuples. Raises CheckpointError for names that are not registered."""
    if data is None or isinstance(data, (bool, int, float, str)):
        return data
    if isinstance(data, list):
        return tuple(decode(item) for item in data)
    match data:
        case {"float": ("nan" | "inf" | "-inf") as text, **rest} if not rest:
            return float(text)
        case {"function": str(name), **rest} if not rest:
            thing = _lookup(name)
            if not isinstance(thing, type):
                return thing
        case {"type": str(name), "fields": dict(given), **rest} if not rest:
            thing = _lookup(name)
            if isinstance(thing, type):
                return _construct(thing, {key: decode(item) for key, item in given.items()})
    raise CheckpointError(f"the file holds a description of an unknown form: {str(data)[:80]}")


def _lookup(name: str) -> Any:
    thing = _registered.get(name) or _known().get(name)
    if thing is None:
        raise CheckpointError(
            f"the file names {name!r}, which is not registered; if it is yours, call nn.register with it before loading"
        )
    return thing


#: the types that a field with this annotation takes; fields with other annotations are checked by the class itself
_KINDS: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "int | None": (int, NoneType),
    "float": (float, int),
    "float | None": (float, int, NoneType),
    "str": (str,),
    "tuple[int, ...]": (tuple,),
    "tuple[float, ...]": (tuple,),
    "tuple[LayerLike, ...]": (tuple,),
    "Optimizer": (optimizers.Optimizer,),
}


def _construct(thing: type, given: dict[str, Any]) -> Any:
    expected = {field.name: str(field.type) for field in fields(thing) if field.init}
    if not given.keys() <= expected.keys():
        unknown = sorted(given.keys() - expected.keys())
        raise CheckpointError(f"the file gives {thing.__name__} the fields {str(unknown)[:80]}, which it does not have")
    for name, value in given.items():
        kinds = _KINDS.get(expected[name])
        fits = (
            isinstance(value, kinds) and isinstance(value, bool) <= (bool in kinds)
            if kinds
            else callable(value) or not name.endswith(("function", "initializer"))
        )
        if not fits:
            raise CheckpointError(f"the file gives {thing.__name__} {name}={str(value)[:80]}, not {expected[name]}")
    try:
        if thing.__dataclass_params__.init:  # type: ignore[attr-defined]
            return thing(**given)
        (parts,) = given.values()  # a combinator: its one field holds its arguments
        return thing(*parts)
    except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(f"the file's {thing.__name__} cannot be constructed: {error}") from None
