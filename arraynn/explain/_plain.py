"""Arrays, nests of them, and settings, as Python numbers, strings, lists and dicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from .. import tree
from .._array import is_array
from .._types import Nest
from ..backends import of

WHOLE = 64  #: arrays of no more numbers are kept whole, of larger ones some rows and columns
EDGE = 3  #: rows at either end of those


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
    if host.size <= WHOLE:
        return found | {"values": host.tolist()}
    return found | {"values": edges(host), "abbreviated": True}


def edges(host: Any) -> Any:
    """An array's first and last rows, and of each its first and last numbers; "…" stands for what is between them."""
    if not host.shape:
        return host.item()
    count = len(host)
    if count <= 2 * EDGE + 1:
        return [edges(part) for part in host]
    return [*map(edges, host[:EDGE]), "…", *map(edges, host[-EDGE:])]


def by_path(params: Nest) -> dict[str, Any]:
    return {path: plain(leaf) for path, leaf in tree.items(params)}


def gradients(grads: Nest) -> dict[str, Any]:
    found = {}
    for path, leaf in tree.items(grads):
        if leaf is not None:
            new = tree.STATISTICS in path.split(".")
            found[f"{path}, its new value" if new else f"{path} gradient"] = plain(leaf)
    return found


def settings(block: Any) -> dict[str, Any]:
    """A frozen dataclass's hyperparameters, numbers as they are, all else as text; not how its weights once began."""
    return {
        field.name: value if isinstance(value, (bool, int, float, str, type(None))) else repr(value)
        for field in (fields(block) if is_dataclass(block) else ())
        if field.name != "layers" and not field.name.endswith("_initializer")
        for value in [getattr(block, field.name)]
    }


def scalars(values: Any) -> Any:
    """An optimizer's scalars as floats, those of its groups in dicts."""
    return {str(k): scalars(v) for k, v in values.items()} if isinstance(values, Mapping) else float(values)


def show(value: Any) -> str:
    """A number as in a page's tables; a negative one in brackets, for what stands before it."""
    text = f"{value + 0.0:.6g}"
    return f"({text})" if text.startswith("-") else text
