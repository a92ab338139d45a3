"""The sums that all workers know after a step: of its report, and of the flags that any of them has raised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import tree
from .._array import device, namespace
from .._types import Array, Nest
from ..backends import of
from ._group import Group

#: flags that a worker may raise in a step, so that all decide together
FLAGS = ("stop", "ended", "fetch", "save", "interrupt", "terminate", "diverged")

#: entries of a step's report that are equal on every worker without a sum
KNOWN = ("penalty", "total")


def vector(group: Group, numbers: Sequence[Any], like: Array) -> Any:
    """Numbers and 0-d arrays as one float64 array (n,): on the host, or on the device of `like` where the group adds up
    arrays there. There nothing is read."""
    if not group.keeps(like):
        return np.asarray(of(like).fetch(list(numbers)), np.float64)
    xp, where = namespace(like), device(like)
    wide = [
        xp.asarray(float(x), dtype=xp.float64, device=where)
        if isinstance(x, (int, float))
        else xp.astype(x, xp.float64)
        for x in numbers
    ]
    return xp.stack(wide) if wide else xp.zeros(0, dtype=xp.float64, device=where)


@dataclass(frozen=True)
class Agreed:
    """The sum over all workers of one step's report and flags.

    form : the summed part of the report, a nest. numbers : its leaves and then the flags, float64 (n + flags,), on the
    host or still on the device.
    """

    form: Nest
    numbers: Any

    @property
    def logs(self) -> Any:
        """The summed report as 0-d arrays, views of the numbers."""
        return filled(self.form, self.numbers)

    def read(self, numbers: np.ndarray | None = None) -> tuple[Any, dict[str, bool]]:
        """(the summed report as Python floats; for each of FLAGS whether any worker has raised it).

        numbers : those of this sum, read off the device; not needed where they lie on the host.
        """
        host = (self.numbers if numbers is None else numbers).tolist()
        raised = {name: value > 0 for name, value in zip(FLAGS, host[-len(FLAGS) :], strict=True)}
        return filled(self.form, host), raised


def agreed(group: Group, report: Mapping[str, Any], flags: Mapping[str, Any] | None, like: Array | None) -> Agreed:
    """One float64 sum over all workers, of a report without its KNOWN entries and of the flags.

    like : an array of the model, whose device the sum stays on where the group adds up such arrays; None for a sum on
    the host.
    """
    own = {name: value for name, value in report.items() if name not in KNOWN}
    raised = [float(bool((flags or {}).get(name))) for name in FLAGS]
    if like is None or not group.keeps(like):
        return Agreed(own, group.exact(np.asarray([*tree.leaves(own), *raised], np.float64)))
    xp = namespace(like)
    whole = xp.concat([vector(group, tree.leaves(own), like), of(like).asarray(np.asarray(raised), "float64")])
    return Agreed(own, group.exact(whole))


def everywhere(group: Group, truths: Sequence[Any], like: Array) -> Any:
    """1.0 where all of these 0-d arrays are 1 on every worker, else 0.0: a 0-d array on the device of `like`."""
    xp = namespace(like)
    short = len(truths) - xp.sum(vector(group, truths, like))
    return xp.astype(group.exact(xp.reshape(short, (1,)))[0] == 0, xp.float64)


def filled(like: Nest, numbers: Any) -> Any:
    """The nest with these numbers for its leaves."""
    places = iter(range(len(tree.leaves(like))))
    return tree.map(lambda _: numbers[next(places)], like)
