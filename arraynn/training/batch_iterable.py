"""Batches from an iterable of the user's, which is iterated once an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from .._array import is_array
from ..distributed import Team
from ..errors import DataError
from ..losses import Loss
from .dataset import ArrayDataset, InputSpec, rows_of, unpack
from .step import Batch


@dataclass(frozen=True)
class BatchIterable:
    """An iterable of (x, targets) or (x, targets, sample_weight) batches, iterated once an epoch."""

    spec: InputSpec
    batches: Iterable[Any]
    class_weight: Any = None

    #: steps between fetches, at most: until then the batches are kept, for a replay
    fetch_steps: ClassVar[int] = 64

    def epoch(self, epoch: int) -> Iterator[Callable[..., Any]]:
        number = -1
        for number, item in enumerate(self.batches):
            yield partial(_same, self.rows(item, number).take(slice(0, None)), self.spec.loss)
        if number < 0:
            raise DataError(f"the iterable gave no batch in epoch {epoch}: it must start anew each time it is iterated")

    def rows(self, item: Any, number: int) -> ArrayDataset:
        """The rows of the batch of that number in its epoch; a DataError names it, as its rows are counted within."""
        try:
            return rows_of(self.spec, *unpack("an iterable", item)).with_classes(self.class_weight)
        except DataError as error:
            raise DataError(f"in batch {number}: {error}") from None


def restartable(batches: Any, epochs: int, sample_weight: Any, class_weight: Any) -> tuple[Any, Any]:
    """(the first batch, the iterable to go through), a generator with the batch that was taken from it put back.

    Raises DataError where there is no batch, or where the batches cannot be gone through `epochs` times.
    """
    if sample_weight is not None or is_array(batches):
        raise DataError("y is missing: give fit(x, y), or an iterable of (x, y) batches")
    if isinstance(class_weight, str):
        raise DataError(f"class_weight={class_weight!r} needs all labels at once; give {{class: weight}} instead")
    try:
        iterator = iter(batches)
    except TypeError:
        raise DataError(f"x must be an array, or an iterable of (x, y) batches, got {type(batches).__name__}") from None
    if iterator is batches and epochs > 1:
        raise DataError(
            f"a generator is spent after one epoch and cannot give {epochs}; pass a list, or an object "
            f"whose __iter__ starts anew"
        )
    first = next(iterator, None)
    if first is None:
        raise DataError("the iterable gave no batch: it is empty, or a generator that is spent already")
    return first, _Rejoined(first, iterator) if iterator is batches else batches


class _Rejoined:
    """A generator with the batch that was already taken from it put back, to be gone through once."""

    def __init__(self, first: Any, rest: Any) -> None:
        self.first, self.rest = first, rest

    def __iter__(self) -> Any:
        yield self.first
        yield from self.rest


def _same(batch: Batch, loss: Loss, team: Team | None = None) -> Any:
    return batch if team is None else team.share(loss, batch)


def with_last(items: Iterator[Any], ahead: bool) -> Iterator[tuple[Any, bool]]:
    """(item, whether it is the last). ahead : read one item ahead to know that; without it, always False."""
    for item in items:
        if ahead:
            for following in items:
                yield item, False
                item = following
        yield item, ahead
