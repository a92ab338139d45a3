"""What data must be to be trained on. Each error names the value, what is allowed, and the remedy."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any, cast

import array_api_compat
import numpy as np

from .. import tree
from .._array import is_array, is_float, namespace
from .._coupling import says_coupled
from .._hyperparameters import is_integer, python_number
from .._ranges import meant
from .._types import Array, Nest
from ..backends import number, of
from ..distributed import Shard
from ..errors import DataError, ShapeError
from ..losses import Domain
from .numeric import numeric
from .sharded_array import ShardedArray

CHUNK = 1 << 20  #: numbers looked at together on the host, so that a memory-mapped file streams
SUM_TOLERANCE = 1e-3  #: how far a row of a distribution may sum from 1


def as_inputs(x: Nest) -> Nest:
    """x as arrays: an array, nested lists of numbers, or a tuple of these for a network with several inputs."""
    return tuple(as_inputs(part) for part in x) if isinstance(x, tuple) else as_array("x", x)


def as_array(what: str, values: Any) -> Array:
    """values as an array of real numbers of some library; lists and data frames become NumPy's. DataError where they
    are none."""
    if isinstance(values, Shard):
        raise DataError(
            f"{what} is an nn.Shard, which Model.fit takes, on several workers; give the array itself, or its own rows"
        )
    if isinstance(values, ShardedArray):
        return cast(Array, values)  # its rows are checked where they are held
    unmasked(what, values)
    if not is_array(values) or (isinstance(values, np.ndarray) and not isinstance(values, np.memmap)):
        return numeric(what, values)
    xp = namespace(values)
    if isinstance(values, np.ndarray):
        return values if values.dtype.kind in "fiub" else numeric(what, values)
    if not xp.isdtype(values.dtype, ("real floating", "integral", "bool")):
        raise DataError(
            f"{what} must hold real numbers, got dtype {values.dtype}; give real and imaginary parts, as by "
            f"xp.stack([xp.real({what}), xp.imag({what})], axis=-1)"
        )
    return values


def unmasked(what: str, values: Any) -> None:
    """Raise DataError where some of the values are masked."""
    masked = sys.modules.get("numpy.ma")  # NumPy imports it when it is first asked for; there is no such array before
    if masked is not None and isinstance(values, masked.MaskedArray) and masked.is_masked(values):
        raise DataError(f"{what} is a masked array; fill what is masked, as by {what}.filled(0), or drop such rows")


def count_rows(x: Nest) -> int:
    """The number of rows, the same in every part of x; DataError where there are none."""
    shapes = [tuple(leaf.shape) for leaf in tree.leaves(x)]
    if not shapes or () in shapes:
        raise ShapeError(f"x must have rows along its first axis, got {'a single number' if shapes else 'nothing'}")
    counts = {shape[0] for shape in shapes}
    if len(counts) > 1:
        raise ShapeError(f"every part of x must have the same number of rows, got {sorted(counts)}")
    (rows,) = counts
    if not rows:
        raise DataError("x is empty: it has 0 rows, at least 1 is needed")
    return int(rows)


def enough_rows(network: Any, rows: int) -> None:
    """Raise DataError for batches of one row where a layer says that it couples rows: one row has no variance."""
    alone = type(network).__name__ if says_coupled(network) else ""
    layer = network.coupling() if hasattr(network, "coupling") else alone
    if rows == 1 and layer:
        raise DataError(
            f"a batch has 1 row, but {layer} takes its numbers from all rows of a batch, and of one row there is "
            f"nothing to compare: give batches of at least 2 rows, by batch_size, or leave that layer out"
        )


def same_place(*arrays: Array | None) -> None:
    """Raise DataError where arrays of two libraries or devices are mixed. NumPy arrays go along with any."""
    homes = {place(x): None for x in arrays if x is not None and not isinstance(x, (np.ndarray, ShardedArray))}
    if len(homes) > 1:
        told = " and ".join(f"{library} on {device}" for library, device in homes)
        raise DataError(
            f"the data are mixed: {told}; bring them to one place, as by nn.backend(x).asarray(y), or pass NumPy arrays"
        )


def place(x: Array) -> tuple[str, str]:
    """(library, device) of an array, to compare and to show."""
    return of(x).name, str(array_api_compat.device(x))


def finite(what: str, x: Array, dtype: str, rows: Sequence[int] | None = None) -> None:
    """Raise DataError naming the first row with a number that is not finite, or not in `dtype`.

    rows : the numbers that the rows of x go by, their own places unless told. One look at the device for its arrays.
    """
    if not is_float(x) or not math.prod(x.shape):
        return
    if not isinstance(x, np.ndarray):
        xp = namespace(x)
        with of(x).context():
            cast = xp.astype(x, xp.float32, copy=False) if dtype == "float32" else x
            if number(xp.all(xp.isfinite(cast))):
                return
        x = of(x).to_numpy(x)
    step = max(CHUNK // max(math.prod(x.shape[1:]), 1), 1)
    for start in range(0, x.shape[0], step):
        part = cast = np.asarray(x[start : start + step])
        if part.dtype != dtype:
            with np.errstate(over="ignore"):
                cast = part.astype(dtype)
        good = np.isfinite(cast)
        if not good.all():
            place = tuple(np.argwhere(~good)[0])
            row, value = start + int(place[0]), part[place]
            remedy = "every number must be finite: drop such rows, or fill them in"
            if np.isfinite(value):
                remedy = f"{dtype} cannot hold it: scale the data, or take dtype='float64'"
            raise DataError(f"{what} holds {value} in row {row if rows is None else rows[row]}; {remedy}")


def in_range(what: str, y: Array, low: int, high: int, remedy: str) -> None:
    """Raise DataError unless all of y lies in [low, high]. One look at the device for its arrays; nan passes by."""
    xp = namespace(y)
    with of(y).context():
        values = xp.astype(y, xp.int8) if xp.isdtype(y.dtype, "bool") else y
        least, most = number(xp.min(values)), number(xp.max(values))
    if least < low or most > high:
        wrong = least if least < low else most
        raise DataError(f"{what} must lie in [{low}, {high}], got {wrong:.15g}; {remedy}")


def in_domain(what: str, y: Array, domain: Domain, loss: str) -> None:
    """Raise DataError naming the first row with a number outside the domain of the loss. y : finite numbers.

    One look at the device for its arrays.
    """
    xp = namespace(y)
    with of(y).context():
        wrong = [_outside(y, domain, one) for one in domain.sets or (None,)]
        counts = [number(xp.sum(xp.astype(rows, xp.int32))) for rows in wrong]
    if not all(counts):
        return
    host, least = of(y).to_numpy(y), of(y).to_numpy(wrong[counts.index(min(counts))])
    place = tuple(np.argwhere(least)[0])
    raise DataError(
        f"{what} holds {float(host[place]):.15g} in row {place[0]}; {loss} takes targets {domain}"
        f"{f': {domain.remedy}' if domain.remedy else ''}"
    )


def _outside(y: Array, domain: Domain, values: tuple[float, ...] | None) -> Array:
    """Where y is outside of the interval, or is none of the values."""
    if not is_float(y):
        y = namespace(y).astype(y, namespace(y).float32)  # some libraries compare unsigned numbers with no -1
    if values is None:
        within = (y >= domain.low) & (y <= domain.high) if domain.high < math.inf else y >= domain.low
    else:
        within = y == values[0]
        for value in values[1:]:
            within = within | (y == value)
    return ~within


def distributions(y: Array) -> None:
    """Raise DataError unless every row of y (N, K) sums to 1. One look at the device for its arrays."""
    xp = namespace(y)
    with of(y).context():
        sums = xp.sum(xp.astype(y, xp.float32, copy=False), axis=1)
        furthest = number(xp.max(xp.abs(sums - 1)))
    if furthest > SUM_TOLERANCE:
        host = of(sums).to_numpy(sums)
        row = int(np.argmax(np.abs(host - 1) > SUM_TOLERANCE))
        raise DataError(
            f"the targets are distributions (N, K), so each row must sum to 1, but row {row} sums to {host[row]:g}; "
            f"divide the rows by their sums, or use nn.sigmoid_cross_entropy where several classes may be true"
        )


def at_least(name: str, value: Any, low: int, more: str = "") -> int:
    """value as a Python integer; DataError where it is none, or less than `low`. more : what else is allowed."""
    value = python_number(value)
    if not is_integer(value, low):
        raise DataError(f"{name} must be an integer of at least {low}{more}, got {value!r}{meant(value, low)}")
    return value
