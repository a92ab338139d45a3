"""Batches from an iterable, taken as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from ..errors import DataError
from .dataset import Border, Rows, rows_of, unpack
from .step import Batch


@dataclass(frozen=True)
class Stream:
    """An iterable of (x, targets) or (x, targets, sample_weight) batches, gone through once an epoch."""

    border: Border
    batches: Iterable[Any]
    class_weight: Any = None

    #: steps between fetches, at most: until then the batches are kept, for a replay
    fetch_steps: ClassVar[int] = 64

    def epoch(self, epoch: int) -> Iterator[Callable[[], Batch]]:
        found = False
        for item in self.batches:
            found = True
            yield partial(_same, self.rows(item).take(slice(0, None)))
        if not found:
            raise DataError(f"the iterable gave no batch in epoch {epoch}: it must start anew each time it is iterated")

    def rows(self, item: Any) -> Rows:
        return rows_of(self.border, *unpack("an iterable", item)).with_classes(self.class_weight)


def _same(batch: Batch) -> Batch:
    return batch


class Rejoined:
    """A generator with the batch that was already taken from it put back, to be gone through once."""

    def __init__(self, first: Any, rest: Any) -> None:
        self.first, self.rest = first, rest

    def __iter__(self) -> Any:
        yield self.first
        yield from self.rest
