"""`Hyperparameters`: the base class of layers, losses and optimizers; converts their numbers to Python numbers.

A NumPy scalar in a formula turns float32 arrays into float64. It also keeps a step from being compiled, and has
another type after saving and loading.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import cache, wraps
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ._names import ACTIVATIONS, nearest, no_method, unexpected

PLAIN = (bool, int, float)


def python_number(value: Any) -> Any:
    """Convert a NumPy scalar, or any other number, to bool, int or float; anything else is returned unchanged.

    >>> python_number(0.5), python_number("relu"), python_number(None)
    (0.5, 'relu', None)
    """
    if type(value) in PLAIN:
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if type(value).__name__ in ("bool", "bool_") and hasattr(
        value, "item"
    ):  # NumPy's bool is not registered as a number
        return bool(value)
    return value


def is_integer(value: Any, low: int) -> bool:
    """Whether value is a Python int of at least `low`; True and False do not count."""
    return type(value) is int and value >= low


def held_number(value: Any) -> Any:
    """`python_number` for a field of a dataclass: also converts 0-d arrays, and the items of tuples."""
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(map(held_number, value))
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    return python_number(value)


def python_numbers(scalars: Mapping[str, Any]) -> dict[str, Any]:
    """Convert an optimizer's scalars, a dict that may hold dicts, to Python numbers. Raises TypeError for others."""
    if type(scalars) is not dict and not isinstance(scalars, Mapping):
        raise TypeError(
            f"an optimizer's scalars(step) returns a dict of numbers, such as {{'lr': 0.1}}, got {scalars!r:.80}"
        )
    return {
        name: value
        if type(value) is float
        else python_numbers(value)
        if isinstance(value, dict)
        else held_number(value)
        for name, value in scalars.items()
    }


class _SignatureOfInit:
    """Makes `inspect.signature` of a class show its `__init__`, which `__new__` below would hide."""

    def __get__(self, held: Any, kind: type) -> inspect.Signature:
        if held is not None:
            raise AttributeError("__signature__")
        init: Any = getattr(kind, "__init__")  # noqa: B009 - of whatever class
        signature = inspect.signature(init)
        return signature.replace(parameters=list(signature.parameters.values())[1:], return_annotation=signature.empty)


class Hyperparameters:
    """The base class of frozen dataclasses of hyperparameters: converts numbers to Python's before `__post_init__`.

    A class with its own `__init__` must call `held_number` itself. For an unknown argument, the error suggests the
    argument that is meant, also by other libraries' names.
    """

    __signature__ = _SignatureOfInit()

    #: attributes that such objects have in other libraries, and what to do instead
    _habits: ClassVar[Mapping[str, str]] = {}

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Raise TypeError for unknown arguments, with a message that suggests the argument that is meant."""
        check_arguments(cls, kwargs)
        if (args or kwargs) and cls.__init__ is object.__init__:
            raise TypeError(_no_dataclass(cls, [*args, *kwargs.values()][0]))
        return super().__new__(cls)

    if not TYPE_CHECKING:  # so that a type checker reports a name that does not exist

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(no_method(type(self).__name__, name, self._habits), name=name, obj=self)

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


def check_arguments(kind: type, given: Mapping[str, Any]) -> None:
    """Raise TypeError for a keyword argument that a class does not take, and suggest the one that is meant."""
    if given:
        taken = _parameters(getattr(kind, "__init__"))  # noqa: B009 - of whatever class
        if not any(one.kind is one.VAR_KEYWORD for one in taken.values()):
            for name, value in given.items():
                if name not in taken:
                    raise TypeError(unexpected(kind.__name__, name, value, list(taken)[1:]))


@cache
def _parameters(function: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


def brief(held: Any) -> str:
    """A dataclass of hyperparameters as the call that constructs it, without default values.

    A function is shown by its name, anything else by its repr.
    """
    if isinstance(held, type) or not isinstance(held, Hyperparameters) or not hasattr(held, "__dataclass_fields__"):
        return str(getattr(held, "__name__", repr(held)))
    given = []
    for field in fields(held):  # type: ignore[arg-type]
        value = getattr(held, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.repr and (default is MISSING or value != default):
            given.append(f"{field.name}={brief(value)}")
    return f"{type(held).__name__}({', '.join(given)})"


def described(given: Any) -> str:
    """A wrong argument as text for an error; for a class, it suggests an instance.

    >>> described(3), described(dict)
    ('3', 'the class dict; give an instance of it, dict(…)')
    """
    if isinstance(given, type):
        return f"the class {given.__name__}; give an instance of it, {given.__name__}(…)"
    return f"{brief(given) if isinstance(given, Hyperparameters) else repr(given):.80}"


def _no_dataclass(kind: type, given: Any) -> str:
    """The message for arguments of a class that has no `__init__`."""
    if kind.__name__ == "Activation" and isinstance(given, str):
        layer = next(iter(nearest(given, sorted(ACTIVATIONS), 1)), "ReLU")
        return f"Activation is what activations extend; each is a layer of its own: nn.{layer}()"
    return (
        f"{kind.__name__} takes no arguments, got {given!r:.80}; a class with hyperparameters is a frozen dataclass: "
        f"put @dataclass(frozen=True) above it"
    )


#: annotations of fields that take numbers, and their names in messages
_NUMBERS = {
    "float": "a number",
    "float | None": "a number or None",
    "int | None": "an integer or None",
    "bool": "True or False",
}


def _as_python(held: Any) -> None:
    for field in fields(held):
        value = getattr(held, field.name, None)
        number = held_number(value)
        if isinstance(number, (str, list, dict, type)) and field.type in _NUMBERS:
            if field.type == "bool":
                raise TypeError(f"{field.name} must be True or False, got {number!r:.80}")
            raise TypeError(f"{type(held).__name__} takes {_NUMBERS[field.type]} for {field.name}, got {number!r:.80}")
        if number is not value:
            object.__setattr__(held, field.name, number)
