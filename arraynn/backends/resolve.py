"""From what a caller names to a backend: `backend` takes names, modules and arrays; `report` looks at them all."""

from __future__ import annotations

import logging
import os
from difflib import get_close_matches
from functools import cache
from types import ModuleType
from typing import Any

from .._array import is_array
from ..errors import BackendUnavailable
from .base import Backend, Status, installed, of, root
from .registry import ALIASES, FILES, load, names, third_parties

BETTER = ("cupy",)  # what "auto" takes before NumPy, best first
VARIABLE = "ARRAYNN_BACKEND"


def backend(spec: Any = None) -> Backend:
    """The backend for a name, a module, an array or a backend.

    spec : None or "auto": CuPy where it is proved to work, else NumPy; `reason` says why, and a log line tells of
        the fall-back once. ARRAYNN_BACKEND, where it is set, is the name taken instead.
        A name, with a device after a colon: "numpy" = "cpu", "cupy" = "gpu" = "cuda", "cupy:1", "torch",
        "torch:cuda:1", "jax", "array_api_strict" = "strict", "dpnp", or a third party's.
        An array-API module: its library. An array: its library and device. A Backend: itself.
    Raises BackendUnavailable, with reason and remedy, where a name cannot be used: a name never falls back.
    Raises TypeError for anything else.
    """
    if isinstance(spec, Backend):
        return spec
    if spec is None or (isinstance(spec, str) and spec == "auto"):
        asked = os.environ.get(VARIABLE, "").strip()
        return _from_variable(asked) if asked not in ("", "auto") else _auto()
    if isinstance(spec, str):
        return _from_name(spec)
    if isinstance(spec, ModuleType) or hasattr(spec, "__array_namespace_info__"):
        return _from_module(spec)
    if is_array(spec) and not isinstance(spec, type):
        return of(spec)
    raise TypeError(f"backend takes a name, an array-API module, an array or a Backend, not {spec!r}")


def report() -> list[Status]:
    """A row for each known library, ours first: installed, usable, version, devices, reason and remedy.

    Raises nothing. It imports every library that is installed, and so takes seconds where there are many.
    """
    return [_status(name) for name in names()]


def _auto() -> Backend:
    level, passed = logging.INFO, []
    for name in BETTER:
        try:
            return _open(name)
        except BackendUnavailable as error:
            passed.append(f"{name} passed over: {error.reason}. {error.remedy}")
            if _status(name).installed:
                level = logging.WARNING
    chosen = _open("numpy")
    chosen.reason = "; ".join(passed)
    _tell(level, f"backend 'auto' takes {chosen.name}; {chosen.reason}")
    return chosen


@cache
def _tell(level: int, text: str) -> None:
    """Log it, once in the life of the process."""
    logging.getLogger("arraynn").log(level, text)


def _from_variable(asked: str) -> Backend:
    source = f"{VARIABLE}={asked}"
    try:
        opened = _from_name(asked)
    except BackendUnavailable as error:
        name, reason = asked.partition(":")[0], f"{error.reason} (asked for by {source})"
        raise BackendUnavailable(name, reason, error.remedy) from None
    opened.reason += f" ({source})"
    return opened


def _from_name(text: str) -> Backend:
    name, _, device = text.strip().partition(":")
    ours = ALIASES.get(name.lower(), name.lower())
    return _open(name if ours not in FILES and name in third_parties() else ours, device or None)


def _open(name: str, device: str | None = None) -> Backend:
    kind = _class(name)
    try:
        return kind.open(device)
    except BackendUnavailable:
        raise
    except Exception as error:  # a library that breaks on import, or a driver of its own kind
        remedy = f"Does `import {name}` work by itself? A fresh install of {name} often helps"
        raise BackendUnavailable(name, _said(error), remedy) from error


def _class(name: str) -> type[Backend]:
    if name not in FILES and name not in third_parties():
        known = names()
        near = get_close_matches(name, [*known, *ALIASES], n=1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise BackendUnavailable(name, "no backend has that name", f"The names are {', '.join(known)}{guess}")
    try:
        kind = load(name)
    except Exception as error:  # a third party's module: it may raise anything
        raise BackendUnavailable(
            name, f"its entry point does not load: {_said(error)}", "Reinstall its package"
        ) from error
    if not (isinstance(kind, type) and issubclass(kind, Backend) and kind.name == name):
        problem = f"its entry point gives {kind!r}, not a subclass of arraynn.backends.Backend with name = {name!r}"
        raise BackendUnavailable(name, problem, "This is for its author to mend")
    return kind


def _from_module(module: Any) -> Backend:
    name = root(module)
    if name in FILES or name in third_parties():
        return _from_name(name)
    try:
        opened = of(module.asarray([0.0]))  # its arrays say what it is, and where it puts them
    except Exception as error:
        problem = f"the module {module.__name__} is no array-API namespace: {_said(error)}"
        raise BackendUnavailable(name, problem, f"The libraries known by name are {', '.join(names())}") from error
    opened.reason = f"the module {module.__name__} was given"
    return opened


def _status(name: str) -> Status:
    try:
        return _class(name).status()
    except Exception as error:
        reason, remedy = getattr(error, "reason", _said(error)), getattr(error, "remedy", "")
        return Status(name, name in third_parties() or installed(name), False, reason=reason, remedy=remedy)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"[:300]
