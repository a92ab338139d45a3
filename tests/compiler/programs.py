"""Comparing a compiled function with the function itself, called once: values to the bit, dtypes, shapes, forms."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn.backends import Backend, for_type

ENGINE: Any = for_type(np.ndarray)


def copied(nest: Any) -> Any:
    """A copy that shares no array, in containers of the same types."""
    return copy.deepcopy(nest)


def same(got: Any, expected: Any) -> None:
    """The same containers, dtypes, shapes and bits (any nan is a nan)."""
    if isinstance(expected, dict):
        assert type(got) is type(expected)
        assert list(got) == list(expected)
        for key in expected:
            same(got[key], expected[key])
    elif isinstance(expected, (list, tuple)):
        assert type(got) is type(expected)
        for a, b in zip(got, expected, strict=True):
            same(a, b)
    elif isinstance(expected, (np.ndarray, np.generic)):
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(got, expected)
        if expected.dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(got)[~np.isnan(got)], np.signbit(expected)[~np.isnan(expected)])
    else:
        assert type(got) is type(expected)
        assert got == expected


def outcome(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """What the function returns, or the type of what it raises."""
    try:
        with np.errstate(all="ignore"):
            return function(*arguments)
    except Exception as error:  # a refused function raises its own error
        return type(error)


def check(function: Callable[..., Any], *calls: Sequence[Any], donate: tuple[int, ...] = ()) -> list[Any]:
    """Compile the function, call it with each of these arguments, and compare: the results, the results of earlier
    calls, and the arguments that it must not consume. Returns the results."""
    compiled = ENGINE.compile(function, donate=donate)
    kept = []
    for arguments in calls:
        theirs, ours = copied(arguments), copied(arguments)
        expected, got = outcome(function, theirs), outcome(compiled, ours)
        if isinstance(expected, type):
            assert got is expected
            continue
        kept.append((got, copied(expected)))
        for result, reference in kept:
            same(result, reference)
        for i, (own, their) in enumerate(zip(ours, theirs, strict=True)):
            if i not in donate:
                same(own, their)
    return [result for result, _ in kept]


def arrays(*shapes: tuple[int, ...], dtype: str = "float32", calls: int = 3, seed: int = 0) -> list[list[Any]]:
    """Arguments of these shapes for so many calls."""
    rng = np.random.default_rng(seed)
    return [[(3 * rng.standard_normal(shape)).astype(dtype) for shape in shapes] for _ in range(calls)]


Rows = tuple[Any, Any, Any]


def batches(rows: int = 50, columns: int = 3, dtype: str = "float32", calls: int = 3) -> list[Rows]:
    rng = np.random.default_rng(1)
    return [
        (rng.standard_normal((rows, columns)).astype(dtype), rng.standard_normal((rows, 3)).astype(dtype), None)
        for _ in range(calls)
    ]


def trained(network: Any, loss: Any, optimizer: Any, data: list[Rows], dtype: str = "float32") -> Any:
    params, _ = network.init(np.random.default_rng(0), (data[0][0].shape[1],), dtype=dtype)
    state, step = optimizer.init(params), nn.make_train_step(network, loss, optimizer)
    logs = []
    for rows in data:
        params, state, log = step(params, state, rows, nn.Key(0))
        logs.append(copied(log))
    return params, state, logs


def check_step(network: Any, loss: Any, optimizer: Any, data: list[Rows], dtype: str = "float32") -> None:
    """The compiled step against the step that is not compiled, and is not split, packed or cut."""
    nn.training.step.compiled_step.cache_clear()
    got = trained(network, loss, optimizer, data, dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ENGINE, "compile", Backend.compile)
        patch.setattr(ENGINE, "elementwise", Backend.elementwise)
        nn.training.step.compiled_step.cache_clear()
        expected = trained(network, loss, optimizer, data, dtype)
    nn.training.step.compiled_step.cache_clear()
    same(got, expected)


NETWORK = nn.Sequential(nn.Dense(4), nn.Tanh(), nn.Dense(3))
