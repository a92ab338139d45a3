"""Converts arrays, nests of arrays, and hyperparameters to Python numbers, strings, lists and dicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from .. import tree
from .._array import is_array
from .._types import Nest
from ..backends import of

MAX_SIZE = 64  #: arrays with more elements are abbreviated to their first and last rows and columns
EDGE = 3  #: how many rows and columns an abbreviated array keeps at either end


def plain(nest: Any) -> Any:
    """A nest of arrays, numbers and Nones as plain data."""
    if nest is None or isinstance(nest, (bool, int, float, str)):
        return nest
    if isinstance(nest, Mapping):
        return {str(key): plain(value) for key, value in nest.items()}
    if isinstance(nest, (list, tuple)):
        return [plain(value) for value in nest]
    if not is_array(nest):
        return repr(nest)
    host = of(nest).to_numpy(nest)
    if not host.shape:
        return host.item()
    found = {"shape": list(host.shape), "dtype": str(host.dtype)}
    if host.size <= MAX_SIZE:
        return found | {"values": host.tolist()}
    return found | {"values": edges(host), "abbreviated": True}


def edges(host: Any) -> Any:
    """An array's first and last rows, each cut to its first and last numbers; "…" stands for what is left out."""
    if not host.shape:
        return host.item()
    count = len(host)
    if count <= 2 * EDGE + 1:
        return [edges(part) for part in host]
    return [*map(edges, host[:EDGE]), "…", *map(edges, host[-EDGE:])]


def by_path(params: Nest) -> dict[str, Any]:
    """Each leaf as plain data, by its path."""
    return {path: plain(leaf) for path, leaf in tree.items(params)}


def gradients(grads: Nest) -> dict[str, Any]:
    """Each gradient as plain data, by its path. What stands under "statistics" is named as a new value."""
    found = {}
    for path, leaf in tree.items(grads):
        if leaf is not None:
            new = tree.STATISTICS in path.split(".")
            found[f"{path}, its new value" if new else f"{path} gradient"] = plain(leaf)
    return found


def settings(block: Any) -> dict[str, Any]:
    """A frozen dataclass's hyperparameters without its initializers: numbers as they are, everything else as text."""
    return {
        field.name: value if isinstance(value, (bool, int, float, str, type(None))) else repr(value)
        for field in (fields(block) if is_dataclass(block) else ())
        if field.name != "layers" and not field.name.endswith("_initializer")
        for value in [getattr(block, field.name)]
    }


def scalars(values: Any) -> Any:
    """An optimizer's scalars as floats; those of `Groups` in a dict for each group."""
    return {str(k): scalars(v) for k, v in values.items()} if isinstance(values, Mapping) else float(values)


def show(value: Any) -> str:
    """A number rounded as in the page's tables. A negative one is in brackets, so that it can follow an operator."""
    text = f"{value + 0.0:.6g}"
    return f"({text})" if text.startswith("-") else text
