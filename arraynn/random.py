"""`Key`: a counter-based random generator, with the same bits on every backend and for every split of a batch.

A bit's address is (key, row in the global batch, flat index of the other axes). Nothing is drawn in sequence, so
a row block, a core or a rank computes only its own rows, and a replayed step has the same bits.

The formula, for row r and word c, with k0, k1 the key's words and every operation wrapping at 32 bits:

    mix(x, y):  x ^= x >>> 16;  x *= 0x7feb352d;  x ^= y;  x ^= x >>> 15;  x *= 0x846ca68b;  x ^= x >>> 16
    a = mix(mix(r + k0, 0) ^ k1, 0)   # two words for each row, so that rows do not share windows of one sequence …
    b = mix(mix(r + k1, 0) ^ k0, 0)
    word(r, c) = mix(c + a, b)        # … one of them between the rounds: an xor into c alone would only permute

mix(x, 0) is Wellons' lowbias32 (nullprogram.com, 2018). All arithmetic is int32, with logical shifts made of arithmetic
ones and a mask, as torch lacks most uint32 arithmetic, and JAX takes no Python integer above 2**31 - 1. It is not
cryptographic.
"""

from __future__ import annotations

import math
from typing import Any

from ._array import device, namespace
from ._hyperparameters import is_integer, python_number
from ._ranges import dropping
from .backends import for_type

_MULTIPLIERS = 0x7FEB352D, 0x846CA68B - 2**32


def _wrap(x: Any) -> Any:
    """Wrap a Python integer to a signed 32-bit number; int32 arrays wrap by themselves."""
    return (x + 2**31) % 2**32 - 2**31 if isinstance(x, int) else x


def _mix(x: Any, y: Any = None) -> Any:
    """lowbias32 of int32 numbers, with y xored in between its rounds. Consumes x: an array may be overwritten."""
    t = x >> 16
    t &= 0xFFFF
    x ^= t
    x *= _MULTIPLIERS[0]
    x = _wrap(x)
    if y is not None:
        x ^= y
    t = x >> 15
    t &= 0x1FFFF
    x ^= t
    x *= _MULTIPLIERS[1]
    x = _wrap(x)
    t = x >> 16
    t &= 0xFFFF
    x ^= t
    return x


def quantized(rate: float) -> tuple[int, float]:
    """(threshold, scale): `rate` rounded to steps of 2**-16, as masks use it, and 1 / (1 - the rounded rate).

    A mask drops where a 16-bit random number is below the threshold. The scale matches the rounded rate, so that the
    expectation is exact. A rate below 1 never rounds up to 1.

    >>> quantized(0.5)
    (32768, 2.0)
    """
    threshold = min(round(rate * 65536), 65535)
    return threshold, 65536 / (65536 - threshold)


_PI = 0x243F6A88, 0x13198A2E  # digits of pi: the initial words of a seed's hash


def _fold(words: tuple[Any, Any], number: int) -> tuple[Any, Any]:
    """The words with a number hashed into them."""
    k0, k1 = words
    while True:
        low = _wrap(number & 0xFFFFFFFF)
        k0 = _mix(k0 ^ _mix(_wrap(low + 0x1E3779B9)))
        k1 = _mix(k1 ^ _mix(low ^ 0x45EBCA6B))
        number >>= 32
        if not number:
            return k0, k1


def _checked(number: int) -> int:
    number = python_number(number)
    if not is_integer(number, 0):
        raise ValueError(f"a key takes integers of at least 0, got {number!r}")
    return number


def checked_key(key: Any) -> Any:
    """Return key if it is a `Key`; raise TypeError, with the right form, otherwise."""
    if not isinstance(key, Key):
        meant = key if isinstance(key, int) and key >= 0 else 0
        raise TypeError(f"key must be an nn.Key, or None for inference, got {key!r:.80}; give nn.Key({meant})")
    return key


class Key:
    """A key of random bits: `Key(seed)`, then `fold_in` for steps and layers, `rows` for row blocks.

    seed : integer of any size, at least 0.
    The key's two words are Python integers outside a compiled step and 0-d int32 arrays inside one.

    >>> Key(0).fold_in(3) == Key(0).fold_in(3), Key(0).fold_in(1).fold_in(2) == Key(0).fold_in(2).fold_in(1)
    (True, False)
    """

    __slots__ = ("_place", "parts", "row0")

    #: [(words, numbers to fold into them on first use)]: shared with the keys of its row blocks
    _place: list[tuple[tuple[Any, Any], tuple[int, ...]]]
    row0: int
    #: an object whose `gather` exchanges numbers with the other parts of a batch; None if the batch is not cut
    parts: Any

    def __init__(self, seed: int) -> None:
        self._place, self.row0, self.parts = [(_fold(_PI, _checked(seed)), ())], 0, None

    @classmethod
    def of(cls, words: tuple[Any, Any], row0: int = 0, path: tuple[int, ...] = (), parts: Any = None) -> Key:
        """The key with these two int32 words, with `path` folded in; a compiled step takes a key in this form."""
        key = object.__new__(cls)
        key._place, key.row0, key.parts = [(words, path)], row0, parts
        return key

    @property
    def words(self) -> tuple[Any, Any]:
        """The two words. Folded-in numbers are hashed on first use, as most layers never need them."""
        words, path = self._place[0]
        for number in path:
            words = _fold(words, number)
        self._place[0] = words, ()  # a single assignment, as threads share keys
        return words

    def fold_in(self, number: int) -> Key:
        """The key derived by a number, such as that of a step or a layer. The order of derivations matters.

        number : Python integer of any size, at least 0; it is hashed on the host, 32 bits at a time.
        """
        words, path = self._place[0]
        return Key.of(words, self.row0, (*path, _checked(number)), self.parts)

    def rows(self, start: int, parts: Any = None) -> Key:
        """The key of the rows from `start` on: its row 0 is this key's row `start`.

        parts : if these rows are one of several parts of a batch, the object by which layers that depend on all rows
            exchange numbers; its method gather(array) returns the arrays of all parts, stacked along a new first axis.
        """
        key = object.__new__(Key)
        key._place, key.row0, key.parts = self._place, self.row0 + start, self.parts if parts is None else parts
        return key

    def bits(self, rows: int, count: int, /, *, like: Any) -> Any:
        """Uniform random words as an int32 array (rows, count), in the library and on the device of `like`.

        They are the same on every backend and in every release:

        >>> import numpy as np
        >>> Key(0).bits(2, 3, like=np.zeros(0)).tolist()
        [[-1431205178, -1259605963, -931533931], [1016047580, 1984976890, -2010569871]]
        >>> Key(1).fold_in(2).fold_in(3).rows(1).bits(1, 3, like=np.zeros(0)).tolist()
        [[1198098135, -956024572, 1890861749]]
        """
        xp, where = namespace(like), device(like)
        k0, k1 = self.words
        r = xp.arange(rows, dtype=xp.int32, device=where) + self.row0
        a = _mix(_mix(r + k0) ^ k1)
        b = _mix(_mix(r + k1) ^ k0)
        c = xp.arange(count, dtype=xp.int32, device=where)
        return _mix(c[None, :] + a[:, None], b[:, None])

    def keep(self, shape: tuple[int, ...], rate: float, /, *, like: Any) -> Any:
        """Random boolean mask of `shape`, False with probability `rate` (rounded to 2**-16, see `quantized`).

        Axis 0 counts rows. The other axes are flattened in C order to m columns, for which a row has ceil(m / 2) words:
        the lower half of word j decides column 2 j, the upper half column 2 j + 1, in the order of little-endian
        memory. A half, read as a signed number, keeps if it is at least threshold - 2**15.
        """
        rate, columns = dropping("rate", rate), math.prod(shape[1:])
        words = self.bits(shape[0], (columns + 1) // 2, like=like)
        halves = for_type(type(words)).view_int16(words)
        halves = namespace(halves).reshape(halves[:, :columns] if columns % 2 else halves, shape)
        return halves >= quantized(rate)[0] - 2**15

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and (self.words, self.row0) == (other.words, other.row0)

    def __hash__(self) -> int:
        return hash((self.words, self.row0))

    def __repr__(self) -> str:
        return f"Key(words={self.words}, row0={self.row0})"
