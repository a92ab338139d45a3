"""Powers, numbers among the arguments, and the forms that arguments come in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn._array import namespace

from .programs import NETWORK, arrays, batches, check, check_step, same

# ---------------------------------------------------------------- powers and numbers

BASES: list[Any] = ["x", "abs(x)", "i", "j", "b", -1, 2, 0, -2.0, 0.5, True, "t", "f", "x[0, 0]", "xp.sum(x)"]
EXPONENTS: list[Any] = [2, 2.0, 1, 0, -1, 3, 0.5, -0.5, True, "t", "f", "x", "i", "x[0, 0]"]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("form", ["({0}) ** ({1})", "xp.pow({0}, {1})"])
def test_a_power_has_numpys_dtype_and_bits(base: Any, form: str) -> None:
    for exponent in EXPONENTS:
        scope: dict[str, Any] = {"namespace": namespace}
        text = form.format(base, exponent)
        exec(
            "def function(x, i, j, b, t, f):\n    xp = namespace(x)\n"
            f"    y = {text}\n    return y, y * 2, x * y, x + 1",
            scope,
        )
        rng = np.random.default_rng(0)
        for dtype in ("float32", "float64"):
            check(
                scope["function"],
                *[
                    (
                        (2 * rng.standard_normal((6, 3))).astype(dtype),
                        rng.integers(-60_000, 60_000, (6, 3)).astype("int32"),
                        rng.integers(0, 4, (6, 3)),
                        rng.random((6, 3)) > 0.5,
                        t,
                        t / 2,
                    )
                    for t in (1, 2, 3, -1)
                ],
            )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "text",
    [
        "x * t", "t * x + f", "x / t", "t / x", "x - t / 2", "x * (t + 1) ** 2", "x * (1 / t)", "x * -t", "x * abs(-t)",
        "x + t * t * t * 10**6", "(x > 0) * t", "(x > 0) + f", "i * t", "i + f", "i > t", "x > t", "t > 0",
        "x + (t > 1)",
        "x * 0.9 ** t", "x * (1 - 0.9 ** t)", "x * t ** -1", "x * (-0.5) ** f", "x * (t & 3)", "x * (t << 2)",
        "xp.where(x > 0, t, f) + x", "xp.where(x > 0, x, t)", "xp.maximum(x, t)", "x * (t - f) / (t + f)", "t + 1",
        "(t, f, t / f, t * 3)", "x // 2", "x % 2", "t // 2 + x", "x * 10**30", "i * 10**30", "x * (t == 2)", "~(x > 0)",
        "x * xp.sqrt(t * xp.ones_like(x))", "xp.sum(x) * t", "xp.sum(i) / t", "xp.astype(x, xp.float64) * t",
        "xp.sign(x * 0) + xp.sign(-x * 0)", "xp.sign(i)", "xp.floor(x)", "xp.floor(i)", "xp.ceil(x)", "xp.round(x)",
        "xp.trunc(x)", "xp.abs(i)", "xp.sqrt(i)", "xp.exp(i)", "xp.isnan(i)", "i / 2", "i * x", "i * 1.0", "i > 0.5",
        "xp.mean(i)", "xp.sum(x > 0)", "xp.mean(x > 0, axis=0)", "xp.sum(x > 0, axis=1)", "xp.std(x, axis=0)",
        "(x > 0) + (x > 1)", "(x > 0) * (x > 1)", "(x > 0) & (x > 1)", "xp.max(i, axis=1)",
        "xp.astype(x, xp.int32) + i",
    ],
)  # fmt: skip
def test_numbers_among_the_arguments_are_pythons(text: str, dtype: str) -> None:
    scope: dict[str, Any] = {"namespace": namespace}
    exec(f"def function(x, i, t, f):\n    xp = namespace(x)\n    return {text}", scope)
    rng = np.random.default_rng(0)
    calls = [
        ((2 * rng.standard_normal((40, 3))).astype(dtype), rng.integers(-9, 9, (40, 3)).astype("int32"), t, t / 4)
        for t in (1, 2, 3, 4000)
    ]
    check(scope["function"], *calls)


# ---------------------------------------------------------------- forms of arguments


def test_other_forms_of_the_same_arguments() -> None:
    def function(nest: Any) -> Any:
        return [nest[0] * 2, nest[1] + 1]

    pairs = arrays((4, 3), (4, 3), calls=4)
    forms: list[Any] = [tuple(pairs[0]), list(pairs[1]), tuple(pairs[2]), list(pairs[3])]
    check(function, *([form] for form in forms))
    check(
        lambda box: [x * 2 for x in box.values() if x is not None],
        *([{name: x, "n": None}] for name in "ab" for (x,) in arrays((4,))),
    )
    check(
        lambda box: {key: None if x is None else x * 2 for key, x in box.items()},
        [{"a": None}],
        [{"b": None}],
        [{"a": None}],
    )
    check(
        lambda box: {key: x * 2 for key, x in box.items()},
        *([{key: x}] for key in (1, "1", True, (1, 2), np.str_("a")) for (x,) in arrays((4,))),
    )


class Pair(tuple[Any, ...]):
    pass


def test_results_in_containers_of_other_types() -> None:
    from collections import OrderedDict

    check(lambda x: OrderedDict(a=x + 1), *arrays((4,)))
    check(lambda x: Pair([x + 1, None, 2, "text", 2.5, True]), *arrays((4,)))
    check(lambda x: (x + 1, np.ones(2), np.float32(2)), *arrays((4,)))


def test_a_batch_as_a_list_after_one_as_a_tuple() -> None:
    network, optimizer = NETWORK, nn.SGD(0.1)
    step, data = nn.make_train_step(network, nn.mean_squared_error, optimizer), batches(calls=4)
    found = []
    for kind in (lambda rows: tuple(rows), lambda rows: list(rows)):
        params, _ = network.init(np.random.default_rng(0), (3,))
        state = optimizer.init(params)
        for i, rows in enumerate(data):
            params, state, logs = step(params, state, kind(rows) if i % 2 else rows, nn.Key(0))
        found.append((params, state, logs))
    same(*found)


def test_params_as_a_tuple_after_a_list() -> None:
    network, optimizer = NETWORK, nn.Adam(0.1)
    step, data = nn.make_train_step(network, nn.mean_squared_error, optimizer), batches()
    found = []
    for kind in (list, tuple, list, tuple):
        params = kind(network.init(np.random.default_rng(0), (3,))[0])
        state = optimizer.init(params)
        for rows in data:
            params, state, _ = step(params, state, rows, nn.Key(0))
        assert type(params) is kind
        found.append(list(params))
    for other in found[1:]:
        same(other, found[0])


@dataclass(frozen=True)
class Picky(nn.Identity):
    """A user's layer that raises an error of its own where it is not given NumPy's arrays."""

    def function(self, x: Any, /) -> Any:
        if not isinstance(x, np.ndarray):
            raise NotImplementedError("only NumPy's arrays")
        return x * 2, lambda dy: dy * 2


def test_a_layer_that_raises_its_own_error_when_it_is_traced_runs_as_it_is() -> None:
    check_step(nn.Sequential(nn.Dense(3), Picky()), nn.mean_squared_error, nn.SGD(0.1), batches())
