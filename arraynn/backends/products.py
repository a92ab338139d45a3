"""Matrix products by several threads, in the bits that BLAS has on one.

The canonical bits of a product are those of one call of BLAS on one thread. A product of some size may be cut into
tiles, which threads take side by side. Tiles need not have the bits of the whole: a library may add up small products
in another order. So a tiling is admitted only when, on random operands of the same shapes, dtype and layout, it gave
the bits of one call in this process; where none does, the product stays whole. So neither the tiles nor who computes
them changes a bit.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import numpy as np

from . import threads

#: multiplications, below which a product stays whole: to wake a thread takes 40 µs, which is some of two million
WHOLE = 1 << 22

#: multiplications of a tile, about: some fraction of a millisecond. Smaller tiles pack their operands once more each;
#: for larger ones one thread waits longer for another that the system has put aside
TILE = 1 << 24

#: the most tiles of a product
MOST = 16

#: rows or columns, of which a tile has a multiple: kernels of BLAS take about as many at a time. With 64, a batch of
#: 200 rows was cut at a third
UNIT = 32

#: the period of the random numbers in a trial, a prime: repeated, they line up with no row
PERIOD = 65521


def tasks(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> list[Callable[[], Any]]:
    """The calls that write a b to out, in the bits of a single call: several of them where other threads may help and
    tiles have the same bits."""
    found = _tiling(a, b, out) if threads.helpers() else None
    if found is None:
        return [partial(np.matmul, a, b, out)]
    return [partial(np.matmul, *tile) for tile in _tiles(a, b, out, found)]


Tiling = tuple[int, tuple[slice, ...]]  #: the axis of the result that is cut, and the parts


def _tiling(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> Tiling | None:
    (m, k), n = a.shape, b.shape[1]
    if m * k * n < WHOLE or np.may_share_memory(a, b):  # x.T x is another function of BLAS's
        return None
    orders = _order(a), _order(b)
    if not all(orders) or not out.flags.c_contiguous:
        return None
    return _admitted(m, k, n, out.dtype, *orders, threads.helpers() + 1)


def _order(x: np.ndarray) -> str:
    return "C" if x.flags.c_contiguous else "F" if x.flags.f_contiguous else ""


def _tiles(a: Any, b: Any, out: Any, tiling: Tiling) -> Iterator[tuple[Any, Any, Any]]:
    axis, parts = tiling
    for part in parts:
        yield (a[part], b, out[part]) if axis == 0 else (a, b[:, part], out[:, part])


@lru_cache(maxsize=1024)
def _admitted(m: int, k: int, n: int, dtype: np.dtype, first: str, second: str, workers: int) -> Tiling | None:
    """The first tiling that has the bits of one call, tried on random numbers."""
    a, b = _random((m, k), dtype, first, 0), _random((k, n), dtype, second, 1)
    whole = np.empty((m, n), dtype)
    beside: list[Callable[[], Any]] = [partial(np.matmul, a, b, whole)]
    for found in tilings(m, k, n, workers):
        if _same(a, b, whole, found, beside):
            return found
        beside = []
    return None


def tilings(m: int, k: int, n: int, workers: int = 2) -> list[Tiling]:
    """Ways to cut the result, the best first: the longer axis, into about as many tiles as are worth a thread, in
    pairs, so that two workers end together, and at least one for each worker."""
    work = m * k * n
    count = max(min(2 * round(work / TILE / 2), MOST), min(workers, 2 * work // WHOLE), 2)
    counts = [count] if count == 2 else [count, 2]
    return [
        (axis, tuple(slice(s, e) for s, e in pairwise(edges)))
        for c in counts
        for axis in ((1, 0) if n >= m else (0, 1))
        if len(edges := _edges((m, n)[axis], c)) > 2
    ]


def _edges(size: int, count: int) -> list[int]:
    """Where an axis is cut into up to so many parts, each a multiple of UNIT but the last."""
    return sorted({size * i // count // UNIT * UNIT for i in range(count)} | {size})


def _random(shape: tuple[int, int], dtype: np.dtype, order: str, seed: int) -> np.ndarray:
    return np.resize(_numbers(dtype, seed), math.prod(shape)).reshape(shape, order=order)  # type: ignore[call-overload]


@lru_cache(maxsize=4)
def _numbers(dtype: np.dtype, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(PERIOD).astype(dtype)


def _same(a: Any, b: Any, whole: np.ndarray, tiling: Tiling, beside: list[Callable[[], Any]]) -> bool:
    """Whether each tile has the bits of its part of the whole. beside : what is still to do for the whole, meanwhile.

    Of a tile its digest is kept: a second result of that size may be more memory than there is.
    """
    tiles = [*_tiles(a, b, whole, tiling)]

    digests: list[bytes] = [b""] * len(tiles)

    def tile(i: int, one: Any, other: Any) -> None:
        digests[i] = _digest(np.matmul(one, other))

    threads.together([*beside, *(partial(tile, i, one, other) for i, (one, other, _) in enumerate(tiles))])
    return all(found == _digest(there) for found, (_, _, there) in zip(digests, tiles, strict=True))


def _digest(x: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(x).data).digest()
