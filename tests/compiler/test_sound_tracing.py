"""A user's function is compiled to itself, or runs as it is: indices, choices, constants, augmented assignment."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from arraynn._array import namespace

from .programs import ENGINE, arrays, check

# ---------------------------------------------------------------- indices

INDICES: dict[str, Any] = {
    "list": (slice(None), [2, 0, 1]),
    "integers": (slice(None), np.array([2, 0, 1])),
    "mask of columns": (slice(None), np.array([True, False, True])),
    "mask of rows": np.arange(40) % 3 == 0,
    "integers of both axes": (np.array([0, 1]), np.array([2, 0])),
    "True": True,
    "False": False,
    "a NumPy integer": np.int64(3),
    "nothing": np.array([], int),
    "slice": slice(1, 7, 2),
    "backwards": (slice(None, None, -1), slice(None, None, -2)),
    "new axis": (None, ..., 1),
    "one row": 5,
    "one element": (5, 1),
    "one element, an array": (5, 1, ...),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_every_index_reads_what_was_computed(index: Any) -> None:
    check(lambda x: (x + 1)[index], *arrays((40, 3)))
    check(lambda x: (x + 1)[index] * 2 + 1, *arrays((40, 3)))
    check(lambda x: x[index], *arrays((40, 3)))
    check(lambda x: x[index] + 1, *arrays((40, 3)))
    check(lambda x: (x[::2] + 1)[:40][index] - 1, *arrays((80, 3)))
    check(lambda x: namespace(x).sum((x * 2)[index] * 3), *arrays((40, 3), dtype="float64"))


def test_an_element_of_what_was_computed_is_read_when_it_is_there() -> None:
    check(lambda x: (lambda m: x - m[0] + m[2])(namespace(x).mean(x, axis=0)), *arrays((40, 3)))
    check(lambda x: (lambda m: (m[0], m[1, ...], m[0] * 2))(namespace(x).max(x, axis=0)), *arrays((40, 3)))


def test_take_reads_what_was_computed() -> None:
    order = np.array([2, 0, 1])
    check(lambda x: namespace(x).take(x + 1, order, axis=1) * 2, *arrays((40, 3)))
    check(
        lambda x, i: namespace(x).take(x + 1, i, axis=0) * 2,
        *[[a, np.arange(5) + k] for k, (a,) in enumerate(arrays((40, 3)))],
    )


def test_an_array_as_an_index() -> None:
    check(lambda x: x[x > 0] + 1, *arrays((40, 3)))
    check(lambda x: (x + 1)[x[:, 0] > 0, :], *arrays((40, 3)))


# ---------------------------------------------------------------- choices


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["int16", "int32", "int64", "bool", "float32", "float64", "uint8"])
def test_a_choice_between_an_array_of_another_dtype_and_a_number(dtype: str, kind: str) -> None:
    def other(x: Any) -> Any:
        return namespace(x).astype(x, getattr(np, kind))

    kinds: list[Callable[[Any, Any], Any]] = [
        lambda xp, x: xp.where(x > 0, other(abs(x) * 3), 0.0),
        lambda xp, x: xp.where(x > 0, other(abs(x) * 3), -0.0),
        lambda xp, x: xp.where(x > 0, 0.0, other(abs(x) * 3)),
        lambda xp, x: xp.where(x > 0, other(abs(x) * 3), x),
        lambda xp, x: xp.where(x > 0, x, other(abs(x) * 3)),
        lambda xp, x: xp.where(x > 0, other(abs(x) * 3), 0),
        lambda xp, x: xp.where(x > 0, other(abs(x) * 3), xp.zeros((), dtype=x.dtype)),
        lambda xp, x: xp.where(x > 0, other(abs(x)), x) * (x > 0),
        lambda xp, x: xp.where(x > 0, 0.0, 1.0),
        lambda xp, x: xp.where(other(x), x, 0.0),
    ]
    for one in kinds:
        check(lambda x, one=one: one(namespace(x), x), *arrays((40, 3), dtype=dtype))
        check(lambda x, one=one: one(namespace(x), x) * 2 + x, *arrays((40, 3), dtype=dtype))


def test_a_choice_is_not_written_over_what_it_reads() -> None:
    check(lambda x: (lambda y: namespace(x).where(x > 0, y[::-1], y) * 2)(x + 1), *arrays((40, 3)))
    check(lambda x: (lambda t: namespace(x).where(t[::-1], x > 1, t) & t[:, ::-1])(x > 0), *arrays((40, 3)))
    check(lambda x: (lambda t: namespace(x).where(t[::-1], x > 1, t) | (x > 3))(x > 0), *arrays((40, 3)))


# ---------------------------------------------------------------- constants


def test_large_constants_that_print_alike_are_told_apart() -> None:
    a = np.zeros((2000, 3), "float32")
    b = a.copy()
    b[1000] = 1
    one, other = np.arange(3000) % 5, np.arange(3000) % 5
    other[1500] = 4

    check(lambda x: (namespace(x).concat([x, a]), namespace(x).concat([x, b])), *arrays((4, 3)))
    check(lambda x: namespace(x).concat([x, a]) - namespace(x).concat([x, b]) * 2, *arrays((4, 3)))
    check(lambda x: namespace(x).take(x, one) - namespace(x).take(x, other) * 2, *arrays((9,)))


def test_constants_are_told_apart_by_type_and_sign() -> None:
    check(lambda x: (1 / (x * 0 + 0.0), 1 / (x * 0 + -0.0), 1 / ((x - x) * 0.0), 1 / ((x - x) * -0.0)), *arrays((5,)))
    check(lambda x: (x + True, x + 1, x + 1.0, (x > 0) + 1, (x > 0) + True, (x > 0) + 1.0), *arrays((5,)))
    check(lambda x: (x * math.nan, x * math.inf, x * -math.inf, x + math.nan), *arrays((5,)))
    check(
        lambda x: (lambda xp: xp.zeros((), dtype=x.dtype) + xp.asarray(-0.0, dtype=x.dtype) * x)(namespace(x)),
        *arrays((5,)),
    )


def test_a_constant_keeps_its_own_dtype() -> None:
    def function(x: Any) -> Any:
        xp = namespace(x)
        return (
            x * xp.asarray(0.1, dtype=xp.float32),
            x + xp.asarray(0.1, dtype=xp.float64),
            x > xp.asarray(0.1, dtype=xp.float32),
        )

    for dtype in ("float32", "float64"):
        check(function, *arrays((5,), dtype=dtype))
    check(function, [np.full(3, 0.1)], [np.full(3, np.float32(0.1), "float64")])


def test_a_constant_that_the_user_writes_to_is_read_at_each_call() -> None:
    table = np.zeros((2, 3), "float32")
    compiled = ENGINE.compile(lambda x: namespace(x).concat([x, table]))
    for k in range(3):
        table[...] = k
        np.testing.assert_array_equal(compiled(np.ones((1, 3), "float32"))[1:], table)


# ---------------------------------------------------------------- writing in place


def in_place(text: str) -> Callable[..., Any]:
    made: dict[str, Any] = {}
    body = "".join(f"    {line}\n" for line in text.strip().split("; "))
    exec(f"def function(x, z):\n    xp = namespace(x)\n{body}", {"namespace": namespace, "np": np}, made)
    function: Callable[..., Any] = made["function"]
    return function


IN_PLACE = [
    "y = x + 1; top = y[:, :1]; top += 1.0; return y",
    "y = x + 1; top = y[:, :1]; top += 1.0; return y * 2, top * 3",
    "y = x + 1; top = y[:, :1]; y += 1.0; return top * 2",
    "y = x + 1; top = y[:, :1]; y += 1.0; return y * 2, y[:, :1] + 1",
    "y = x + 1; w = y; w += 1; return y",
    "y = x + 1; w = y; w += 1; return y, w, y * w",
    "y = x + 1; old = y * 2; y += 1; return y + old",
    "y = x + 1; w = xp.astype(y, y.dtype); w += 1; return y * 2, w",
    "y = x + 1; w = xp.astype(y, y.dtype, copy=False); w += 1; return y * 2, w",
    "y = x + 1; w = xp.reshape(y, (-1,)); w += 1; return y",
    "y = x + 1; w = xp.reshape(y, (-1,)); y += 1; return w * 2",
    "y = x + 1; w = xp.reshape(y, y.shape); w += 1; return y * 2",
    "y = x + 1; w = xp.matrix_transpose(y); w *= 2; return y - 1",
    "y = x + 1; w = xp.reshape(xp.matrix_transpose(y), (-1,)); w *= 2; return y - 1",
    "y = x + 1; w = xp.permute_dims(y, (1, 0)); y *= 2; return w - 1",
    "y = x + 1; a = y[:4]; b = y[2:6]; a += 1; return b * 2",
    "y = x + 1; a = y[:4]; b = a[1:]; b += 1; return a * 2",
    "y = x + 1; a = y[:4]; b = a[1:]; a += 1; return b * 2",
    "y = x + 1; a = y[:4]; a += 1; a *= 2; return a - 1",
    "pair = (x + 1, x + 2); w = pair[0]; w += 1; return pair",
    "box = {'a': x + 1}; w = box['a']; w -= z; return box['a'] * 2, box",
    "x += 1; return x * 2",
    "w = x[:, :1]; w += 1; return x * 2",
    "w = xp.reshape(x, (-1,)); w += 1; return w * 2",
    "w = xp.matrix_transpose(x); w += 1; return w * 2",
    "w = xp.astype(x, x.dtype); w += 1; return w * 2, x * 3",
    "w = xp.clip(x); w += 1; return w * 2, x * 3",
    "w = xp.clip(x, None, 1e30); w += 1; return w * 2, x * 3",
    "y = x + 1; s = y[0, 0]; s += 1; return y, s",
    "y = x + 1; s = y[0, 0]; y += 1; return y, s",
    "y = x + 1; s = y[0, 0, ...]; s += 1; return y * 2",
    "y = x + 1; s = y[0, 0, ...]; y += 1; return s * 2",
    "y = x + 1; s = y[0, 0]; t = s; t += 1; return s * 2, t",
    "s = xp.sum(x); t = s; t += 1; return s * 2, t",
    "s = xp.zeros((), dtype=x.dtype); t = s; t += 1; return s + x, t",
    "s = xp.asarray(2.0, dtype=x.dtype); t = s; t *= 2; return s * x, t",
    "s = xp.where(xp.any(x > 0), xp.sum(x), xp.sum(z)); t = s; t *= 2; return s + 1, t + 1",
    "s = xp.reshape(xp.sum(x), (1,)); t = s[0]; t += 1; return s + 1, t + 1",
    "y = xp.zeros_like(x); y += x; w = y; w += z; return y, w",
    "y = xp.ones_like(x); w = xp.ones_like(x); y += x; return y, w",
    "t = xp.astype(x > 0, x.dtype); m = t > 0; m &= (z > 0); return t > 0, m",
    "t = xp.astype(x > 0, x.dtype); m = t > 0; k = x > 0; m &= (z > 0); return k & (x < 1), m",
    "c = x > 0; y = xp.where(c, x, 0.0); w = y * xp.astype(c, x.dtype); w += 1; return y, w",
    "y = x + 1; y /= 2; y **= 2; y -= 1; w = y; w *= w; return y",
    "y = x + 1; y **= 0.5; return y * 1",
    "y = x + 1; y += y[::-1]; return y * 1",
    "y = x + 1; y += xp.sum(y, axis=0); return y * 1",
    "y = x + 1; y += xp.astype(z, xp.float64); return y",
    "y = xp.astype(x, xp.int32); y += 1.5; return y",
    "y = xp.astype(x, xp.int32); y /= 2; return y",
    "y = x[0] + 1; y += x; return y",
    "y = xp.astype(x, xp.int32); w = y; w <<= 2; w |= 1; w ^= 3; w >>= 1; w &= 255; return y",
    "y = x + 1; w = y; w @= xp.matrix_transpose(z)[:, :3] @ xp.ones_like(x[:3]); return y, w",
    "y = x + 1; w = y; w //= 2; w %= 3; return y, w",
    "y = x + 1; y[0] = 1; return y",
    "y = x + 1; y[:, 1] += 1; return y * 2",
    "y = x + 1; np.add(y, 1, out=y); return y",
    "y = x + 1; z += 1; return y + z",
    "y = x + 1; w = x + 1; w += 1; return y, w",
    "y = x + 1; w = x + 1; return y, w",
    "y = x + 1; return y, y[:, :1], xp.reshape(y, (-1,)), y",
    "return x, x[:, :1], x",
    "return xp.zeros_like(x), xp.zeros_like(x), xp.zeros((), dtype=x.dtype)",
    "y = x + 1; d = y; y -= z; y *= 0.5; e = y; return d - e, xp.sum(d, axis=0)",
    "y = [x + 1]; y[0] += 1; return y[0] * 2",
    "y = x @ xp.matrix_transpose(z); keep = y; y += 1; return keep, y",
    "y = x + 1; keep = [y, y[1:]]; y *= 2; return keep[0]",
    "y = x + 1; keep = [y, y[1:]]; y *= 2; return keep[1] + 1",
]  # fmt: skip


@pytest.mark.parametrize("donate", [(), (0,)])
@pytest.mark.parametrize("text", IN_PLACE)
def test_augmented_assignment_is_seen_by_aliases_and_views(text: str, donate: tuple[int, ...]) -> None:
    for dtype in ("float32", "float64"):
        check(in_place(text), *arrays((40, 3), (40, 3), dtype=dtype), donate=donate)


def test_two_results_do_not_share_memory() -> None:
    compiled = ENGINE.compile(lambda x: (x + 1, x + 1, {"a": x * 2}, [x * 2]))
    a, b, box, items = compiled(np.ones((4, 3), "float32"))
    assert not np.may_share_memory(a, b)
    assert not np.may_share_memory(box["a"], items[0])


def test_an_error_that_the_function_catches_does_not_change_what_it_computes() -> None:
    def function(x: Any) -> Any:
        try:
            return x[[1, 0]] * 2
        except TypeError:
            return x * 3

    check(function, *arrays((4, 3)))
