"""Tracers: handles on nodes. Equal expressions are one node, aliases see in-place operators, and what is not certain to
mean the same when it is compiled is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn._array import namespace
from arraynn.compiler.graph import Graph, TraceError, frozen
from arraynn.compiler.program import Traced
from arraynn.compiler.signature import Signature
from arraynn.compiler.trace import Tracer


def traced(function: Any, *arguments: Any, donated: tuple[int, ...] = ()) -> Traced:
    return Traced(function, Signature(Graph(), arguments, donated))


X = np.arange(6, dtype="float32").reshape(2, 3)


def outputs(function: Any, *arguments: Any) -> list[Any]:
    return traced(function, *(arguments or (X,))).outputs


@pytest.mark.parametrize(
    "ask", [bool, float, int, list, len, lambda x: x[x > 0], np.exp, lambda x: x + np.ones(2), lambda x: x.tolist()]
)
def test_a_tracer_has_no_values(ask: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        traced(ask, X)


def test_a_refusal_that_the_function_swallows_is_one_all_the_same() -> None:
    def function(x: Any) -> Any:
        try:
            return x if bool(x) else -x
        except TypeError:
            return x * 2

    with pytest.raises(TraceError, match="branches"):
        traced(function, X)


def test_equal_expressions_are_one_node() -> None:
    a, b, c = outputs(lambda x: (x * 2.0 + 1.0, x * 2.0 + 1.0, x * 2 + 1.0))
    assert a is b
    assert a is not c  # 2 is not 2.0


def test_numbers_are_told_apart_by_type_and_bits() -> None:
    numbers = [0.0, -0.0, 0, False, math.nan, 1.0, True]
    assert len({frozen(x) for x in [*numbers, float("nan")]}) == len(numbers)
    made = outputs(lambda x: tuple(x + value for value in numbers[:3]))
    assert len({node.serial for node in made}) == 3


def test_the_helper_that_blocks_use_finds_a_tracers_namespace() -> None:
    (node,) = outputs(lambda x: (namespace(x).sqrt(x),))
    assert (node.op, node.shape, node.dtype.name) == ("sqrt", (2, 3), "float32")


def test_an_alias_sees_an_in_place_operator() -> None:
    def function(x: Any) -> Any:
        y = x * 1.0
        alias = y
        y += 1.0
        return alias

    (node,) = [traced(function, X).outputs[0]]
    assert node.op == "add"


def view_written(x: Any) -> Any:
    y = x * 1.0
    top = y[:, :1]
    top += 1.0
    return y


def base_written(x: Any) -> Any:
    y = x * 1.0
    top = y[:, :1]
    y += 1.0
    return top


def transpose_written(x: Any) -> Any:
    y = x * 1.0
    t = namespace(x).matrix_transpose(y)
    t *= 2.0
    return y


def argument_written(x: Any) -> Any:
    x += 1.0
    return x


def item_written(x: Any) -> Any:
    y = x * 1.0
    y[0, 0] = 1.0
    return y


def widened(x: Any) -> Any:
    y = x * 1.0
    y += namespace(x).astype(x, np.dtype("float64"))
    return y


@pytest.mark.parametrize(
    "function", [view_written, base_written, transpose_written, argument_written, item_written, widened]
)
def test_a_write_whose_effect_is_not_certain_is_refused(function: Any) -> None:
    with pytest.raises(TraceError):
        traced(function, X)


def test_what_is_given_away_may_be_written_to_and_a_view_that_is_gone_does_not_matter() -> None:
    def function(x: Any) -> Any:
        column = x[:, :1] * 2.0
        x += column
        return x

    assert traced(function, X, donated=(0,)).outputs[0].op == "add"


def test_an_array_that_an_update_consumed_is_not_read_again() -> None:
    optimizer = nn.SGD(0.1)

    def function(params: Any, grads: Any) -> Any:
        new, _ = optimizer.apply(params, grads, [{}], {"lr": 0.1})
        return new, params[0] * 2.0

    with pytest.raises(TraceError, match="after an update"):
        traced(function, [X], [X], donated=(0,))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, c: namespace(x).sqrt(c["a"]) * x,  # NumPy would make a float64 of the number
        lambda x, c: x * (1 if c["a"] > 0 else 2),
        lambda x, c: x * (-1) ** c["t"],  # an int or a float, which depends on the exponent's sign
        lambda x, c: x + np.float64(2.0),
        lambda x, c: x[np.array([True, False])],
        lambda x, c: namespace(x).cumulative_sum(x, axis=0),
        lambda x, c: x + np.ones(3, "float32"),
    ],
)
def test_what_a_program_might_compute_in_another_way_is_refused(function: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        traced(function, X, {"a": 0.5, "t": 3})


def test_an_opaque_call_is_neither_merged_nor_dropped_nor_moved() -> None:
    from arraynn.compiler import opaque

    def function(x: Any) -> Any:
        first = opaque.call(lambda x: x, (x,), x)
        opaque.call(lambda x: x, (x,), x)  # nobody reads what it returns
        third = opaque.call(lambda x: x, (first,), x)
        return third * 2.0

    found = traced(function, X)
    calls = [node for node in found.order() if node.op == "call"]
    assert len(calls) == 3
    assert found.graph.effects == calls


def test_a_tracer_of_another_trace_is_refused() -> None:
    kept: list[Tracer] = []
    traced(lambda x: kept.append(x) or x, X)
    with pytest.raises(TraceError, match="another trace"):
        traced(lambda x: x + kept[0], X)
