"""Hyperparameters as Python's own numbers, whatever kind of number they were given as.

A NumPy scalar is a float64 in every formula it enters: it turns float32 arrays into float64, keeps a step from being
compiled, and comes back from a file as another type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from numbers import Integral, Real
from typing import Any

PLAIN = (bool, int, float)


def python_number(value: Any) -> Any:
    """A NumPy scalar, or any other number that is not Python's, as bool, int or float; all else as it is.

    >>> python_number(0.5), python_number("relu"), python_number(None)
    (0.5, 'relu', None)
    """
    if type(value) in PLAIN:
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if type(value).__name__ in ("bool", "bool_") and hasattr(value, "item"):  # NumPy's, which is no number
        return bool(value)
    return value


def held_number(value: Any) -> Any:
    """The same for what a dataclass holds: 0-d arrays are numbers too, and tuples are gone through."""
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(map(held_number, value))
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    return python_number(value)


def python_numbers(scalars: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a dict, and of dicts in it, as Python's numbers: an optimizer's scalars."""
    return {
        name: value
        if type(value) is float
        else python_numbers(value)
        if isinstance(value, dict)
        else held_number(value)
        for name, value in scalars.items()
    }


class Hyperparameters:
    """The base of the frozen dataclasses of hyperparameters: numbers become Python's before `__post_init__` sees them.

    A class that writes its own `__init__` calls `held_number` itself.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check: Callable[[Any], None] | None = cls.__dict__.get("__post_init__")
        if check is not None:

            @wraps(check)
            def checked(self: Any) -> None:
                _as_python(self)
                check(self)

            cls.__post_init__ = checked  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        _as_python(self)


def _as_python(held: Any) -> None:
    for field in fields(held):
        value = getattr(held, field.name, None)
        number = held_number(value)
        if number is not value:
            object.__setattr__(held, field.name, number)
