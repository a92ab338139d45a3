"""Arrays that an update writes to share no memory: checked once for the same arrays, and named by their paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import ref

import numpy as np

from ..errors import DataError

_WORK = 10_000  #: how hard NumPy may try to prove that two interleaved views have no element in common


class Disjoint:
    """Called with arrays, each time: returns where no two of them share memory, else raises DataError.

    paths : of them, where they are the same in all calls; else each call gives what makes them.
    The same arrays are known again, by their identity, as long as they live.
    """

    def __init__(self, paths: Sequence[str] = ()) -> None:
        self.paths = tuple(paths)
        self.known: dict[tuple[int, ...], Any] = {}

    def __call__(self, arrays: Sequence[Any], paths: Callable[[], Sequence[str]] | None = None) -> None:
        places = tuple(map(id, arrays))
        if places in self.known:
            return
        if found := overlapping(arrays):
            names = self.paths if paths is None else paths()
            raise shared(*(names[i] for i in found))

        def forget(_: Any, known: Any = self.known, places: tuple[int, ...] = places) -> None:
            known.pop(places, None)

        if all(type(x) is np.ndarray for x in arrays):  # which can be watched
            self.known[places] = [ref(x, forget) for x in arrays]


#: for updates of any arrays, wherever they are called
disjoint = Disjoint()


def overlapping(arrays: Sequence[Any]) -> tuple[int, int] | None:
    """The places of two that share memory: NumPy's by their addresses, others where they are the same object."""
    seen: dict[int, int] = {}
    spans: list[tuple[int, int, int]] = []
    for i, x in enumerate(arrays):
        if id(x) in seen:
            return seen[id(x)], i
        seen[id(x)] = i
        if isinstance(x, np.ndarray) and x.size:
            spans.append((*np.lib.array_utils.byte_bounds(x), i))
    open_: list[tuple[int, int]] = []  # (end, place) of those that reach beyond the start of the next
    for start, end, i in sorted(spans):
        open_ = [(other_end, j) for other_end, j in open_ if other_end > start]
        for _, j in open_:
            if _share(arrays[i], arrays[j]):
                return min(i, j), max(i, j)
        open_.append((end, i))
    return None


def shared(one: str, other: str) -> DataError:
    """What is raised of two leaves that are one memory."""
    return DataError(
        f"the leaves {one!r} and {other!r} share memory, and an update writes to both: one array is one leaf. Copy one "
        f"of them; weights that two layers share belong to a layer that holds both and has the leaf once"
    )


def _share(a: Any, b: Any) -> bool:
    try:
        work: Any = _WORK  # the stubs of NumPy before 2.5 know two numbers only
        return bool(np.shares_memory(a, b, max_work=work))
    except np.exceptions.TooHardError:
        return True
