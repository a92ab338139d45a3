"""Padding, patches and their adjoint: each library's own against the portable ones, element by element."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arraynn.backends import Windows, for_type
from arraynn.backends.base import Backend

some = st.integers(1, 3)


@st.composite
def windows_and_shapes(draw: Any) -> tuple[Windows, tuple[int, int], int]:
    rank = draw(st.integers(1, 2))
    size, strides, dilation = (tuple(draw(some) for _ in range(rank)) for _ in range(3))
    pads = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(rank))
    shape = tuple(
        draw(st.integers(max((k - 1) * d + 1 - sum(pad), 1), 12))
        for k, d, pad in zip(size, dilation, pads, strict=True)
    )
    return (
        Windows(shape, size, strides, dilation, pads),
        (draw(st.integers(0, 3)), draw(some)),
        draw(st.integers(0, 99)),
    )


def arrays(windows: Windows, outer: tuple[int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng, (rows, channels) = np.random.default_rng(seed), outer
    x = rng.standard_normal((rows, *windows.shape, channels))
    return x, rng.standard_normal((rows, *windows.out, windows.count, channels))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(windows_and_shapes())
def test_numpys_have_the_bits_of_the_portable_ones(case: Any) -> None:
    x, dp = arrays(*case)
    windows, own = case[0], for_type(np.ndarray)
    for value in (0.0, -np.inf):
        assert np.array_equal(own.pad(x, windows, value), Backend.pad(x, windows, value))
    padded = Backend.pad(x, windows)
    assert np.array_equal(own.patches(padded, windows), Backend.patches(padded, windows))
    assert np.array_equal(own.fold(dp, windows), Backend.fold(dp, windows))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(windows_and_shapes())
def test_fold_is_the_adjoint_of_patches(case: Any) -> None:
    # <P x, dp> = <x, Pᵀ dp>
    x, dp = arrays(*case)
    windows = case[0]
    p = Backend.patches(Backend.pad(x, windows), windows)
    assert np.sum(p * dp.reshape(p.shape)) == pytest.approx(np.sum(x * Backend.fold(dp, windows)), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize(
    "windows",
    [
        Windows((6, 7), (3, 2), (1, 1), (1, 1), ((0, 0), (0, 0))),
        Windows((6, 7), (3, 2), (2, 3), (1, 2), ((1, 0), (2, 1))),
        Windows((9,), (3,), (2,), (1,), ((0, 0),)),
    ],
    ids=str,
)
def test_each_librarys_agree_with_numpys(xp: Any, windows: Windows) -> None:
    x, dp = (array.astype(xp.float_dtype) for array in arrays(windows, (2, 3), 0))
    here, there = for_type(np.ndarray), for_type(type(xp.asarray(x)))
    padded = here.pad(x, windows, -1.0)
    assert np.array_equal(xp.to_numpy(there.pad(xp.asarray(x), windows, -1.0)), padded)
    assert np.array_equal(xp.to_numpy(there.patches(xp.asarray(padded), windows)), here.patches(padded, windows))
    assert np.array_equal(xp.to_numpy(there.fold(xp.asarray(dp), windows)), here.fold(dp, windows))


def test_windows_lie_where_they_should() -> None:
    windows = Windows((5, 4), (2, 2), (2, 1), (1, 2), ((1, 0), (0, 1)))
    assert (windows.padded, windows.span, windows.out, windows.count) == ((6, 5), (2, 3), (3, 3), 4)
    x = np.arange(30.0).reshape(1, 6, 5, 1)
    rows = Backend.patches(x, windows)
    for row, (r, c) in zip(rows, itertools.product(range(3), range(3)), strict=True):
        assert row.tolist() == [x[0, 2 * r + i, c + 2 * j, 0] for i in (0, 1) for j in (0, 1)]
