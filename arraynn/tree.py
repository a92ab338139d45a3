"""Nests (pytrees): dicts, lists and tuples with arrays at the leaves, for parameters, gradients, optimizer state.

A dict's keys are visited in the order of the first nest. Values under the key "statistics" (running means) are not
trained: `trained` leaves them out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ._array import namespace
from .errors import ShapeError

STATISTICS = "statistics"


def map(function: Callable[..., Any], nest: Any, /, *others: Any) -> Any:  # noqa: A001 - tree.map is its name
    """Apply a function to every leaf of `nest`, and return a nest of the same structure.

    others : further nests of the same structure or deeper; what they hold in place of a leaf of `nest` is passed to the
        function too (such as an optimizer's slots, a dict for each parameter).
    Raises ShapeError if another nest lacks a key or has another length.

    >>> map(lambda a, b: a + b, {"w": 1, "b": [2, 3]}, {"w": 10, "b": [20, 30]})
    {'w': 11, 'b': [22, 33]}
    """
    if not others:
        return _map_one(function, nest)
    if isinstance(nest, dict):
        for other in others:
            if not isinstance(other, dict) or other.keys() != nest.keys():
                raise ShapeError(f"nests differ: expected the keys {list(nest)}, got {_form(other)}")
        return {key: map(function, value, *(other[key] for other in others)) for key, value in nest.items()}
    if isinstance(nest, (list, tuple)):
        for other in others:
            if not isinstance(other, (list, tuple)) or len(other) != len(nest):
                raise ShapeError(f"nests differ: expected {len(nest)} items, got {_form(other)}")
        return type(nest)([map(function, *items) for items in zip(nest, *others, strict=True)])
    return function(nest, *others)


def _map_one(function: Callable[[Any], Any], nest: Any) -> Any:  # logs of every step go through it
    if isinstance(nest, dict):
        return {key: _map_one(function, value) for key, value in nest.items()}
    if isinstance(nest, (list, tuple)):
        return type(nest)([_map_one(function, value) for value in nest])
    return function(nest)


def leaves(nest: Any, /) -> list[Any]:
    """The leaves, depth first.

    >>> leaves([{"weight": 1, "bias": 2}, {}, {"weight": 3}])
    [1, 2, 3]
    """
    found: list[Any] = []
    _collect(nest, found)
    return found


def _collect(nest: Any, found: list[Any]) -> None:  # faster than `items`, as every step needs the leaves
    if isinstance(nest, dict):
        for value in nest.values():
            _collect(value, found)
    elif isinstance(nest, (list, tuple)):
        for value in nest:
            _collect(value, found)
    else:
        found.append(nest)


def first(nest: Any, /) -> Any:
    """The first leaf; None if there is none.

    >>> first([{}, {"weight": 1, "bias": 2}])
    1
    """
    if not isinstance(nest, (dict, list, tuple)):
        return nest
    for value in nest.values() if isinstance(nest, dict) else nest:
        found = first(value)
        if found is not None:
            return found
    return None


def paths(nest: Any, /) -> list[str]:
    """The paths of the leaves, in the order of `leaves`.

    >>> paths([{"weight": 1, "bias": 2}, {}, {"weight": 3}])
    ['0.weight', '0.bias', '2.weight']
    """
    return [path for path, _ in items(nest)]


def items(nest: Any, /, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(path, leaf) pairs, depth first."""
    if isinstance(nest, (dict, list, tuple)):
        for key, value in nest.items() if isinstance(nest, dict) else enumerate(nest):
            yield from items(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, nest


def trained(nest: Any, /) -> Any:
    """The nest without its statistics, as penalties, clipping and gradient checks use it.

    >>> trained([{"scale": 1, "statistics": {"mean": 2}}])
    [{'scale': 1}]
    """
    if isinstance(nest, dict):
        return {key: trained(value) for key, value in nest.items() if key != STATISTICS}
    if isinstance(nest, (list, tuple)):
        return type(nest)([trained(value) for value in nest])
    return nest


def with_statistics(nest: Any, statistics_of: Any, /) -> Any:
    """`nest` with the statistics of `statistics_of`, a nest of the same structure: the inverse of `trained`.

    >>> with_statistics([{"scale": 1}], [{"scale": 5, "statistics": {"mean": 2}}])
    [{'scale': 1, 'statistics': {'mean': 2}}]
    """
    if isinstance(statistics_of, dict):
        return {
            key: value if key == STATISTICS else with_statistics(nest[key], value)
            for key, value in statistics_of.items()
        }
    if isinstance(statistics_of, (list, tuple)):
        return type(statistics_of)([with_statistics(a, b) for a, b in zip(nest, statistics_of, strict=True)])
    return nest


def statistics(nest: Any, /) -> Any:
    """The nest with None in place of trained leaves, as `with_statistics` needs it.

    >>> statistics([{"scale": 1, "statistics": {"mean": 2}}])
    [{'scale': None, 'statistics': {'mean': 2}}]
    """
    return with_statistics(map(lambda leaf: None, trained(nest)), nest)


def add(nest: Any, part: Any, /) -> Any:
    """nest + part, leaf by leaf. part may lack keys or be None, where it adds nothing.

    Consumes part: its arrays are overwritten if their library allows it.

    >>> add([{"weight": 1, "bias": 2}, {}], [{"weight": 10}, None])
    [{'weight': 11, 'bias': 2}, {}]
    """
    if part is None:
        return nest
    if isinstance(nest, dict):
        return {key: add(value, part.get(key)) for key, value in nest.items()}
    if isinstance(nest, (list, tuple)):
        return type(nest)([add(a, b) for a, b in zip(nest, part, strict=True)])
    part += nest
    return part


def copy(nest: Any, /) -> Any:
    """The nest with a copy of every array, on the same device."""
    return map(lambda leaf: namespace(leaf).asarray(leaf, copy=True), nest)


def _form(nest: Any) -> str:
    if isinstance(nest, dict):
        return f"the keys {list(nest)}"
    return f"{len(nest)} items" if isinstance(nest, (list, tuple)) else f"a leaf of type {type(nest).__name__}"
