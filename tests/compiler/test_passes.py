"""Rewrites: what is known is not computed again, and small parameters are packed where their rule allows it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn._array import namespace
from arraynn.compiler.graph import Graph, TraceError
from arraynn.compiler.passes import pack_updates
from arraynn.compiler.program import Traced
from arraynn.compiler.signature import Signature

X = np.ones((4, 3), "float32")


def traced(function: Any, *arguments: Any, donated: tuple[int, ...] = ()) -> Traced:
    return Traced(function, Signature(Graph(), arguments, donated))


def test_a_truth_value_as_a_number_is_known_to_be_one() -> None:
    def function(x: Any) -> Any:
        t = namespace(x).astype(x > 1.0, x.dtype)
        return t > 0, namespace(x).where(t > 0, x, 0.0) * t

    truth, product = traced(function, X).outputs
    assert truth.op == "greater"
    assert truth.operands[1].value == 1.0
    assert product.op == "where"


@pytest.mark.parametrize(("bits", "mask", "op"), [(16, 0xFFFF, "logical_shift"), (15, 0x1FFFF, "logical_shift"),
                                                  (15, 0xFFFF, "bitwise_and"), (0, -1, "bitwise_and")])  # fmt: skip
def test_a_shift_whose_sign_is_masked_out_is_one_operation(bits: int, mask: int, op: str) -> None:
    words = np.arange(4, dtype="int32")
    assert traced(lambda x: (x >> bits) & mask, words).outputs[0].op == op


def packed(optimizer: Any, small: float = 100) -> list[str]:
    params = [{"w": np.ones((3, 4)), "b": np.ones(4)}, {"w": np.ones((20, 10))}]
    slots = nn.tree.map(optimizer.init_one, params)

    def function(params: Any, slots: Any, grads: Any) -> Any:
        return optimizer.apply(params, grads, slots, optimizer.scalars(0))

    found = traced(function, params, slots, params, donated=(0, 1))
    found.outputs = pack_updates(found.graph, found.outputs, found.signature.donated, small)
    return [node.op for node in found.order()]


class Norm(nn.Optimizer):
    """A user's rule, which takes a norm and does not say so."""

    def update_one(self, p: Any, g: Any, slots: Any, c: Any) -> Any:
        return p - c["lr"] * g / namespace(g).sqrt(namespace(g).sum(g * g)), {}


class Matrices(nn.Optimizer):
    """A user's rule, which decays matrices only and does not say so."""

    def update_one(self, p: Any, g: Any, slots: Any, c: Any) -> Any:
        return p - c["lr"] * (g + 0.1 * p if p.ndim == 2 else g), {}


def test_small_parameters_are_packed_and_large_ones_stay_alone() -> None:
    ops = packed(nn.Adam(0.1))
    assert ops.count("pack") == 4  # parameters, gradients, two slots
    assert ops.count("store") == 3
    assert ops.count("update") == 1


class Swallowing(nn.Optimizer):
    """A user's rule, which goes on where it cannot take a mean."""

    def update_one(self, p: Any, g: Any, slots: Any, c: Any) -> Any:
        with suppress(TypeError):
            g = g - namespace(g).mean(g)
        return p - c["lr"] * g, {}


@pytest.mark.parametrize("optimizer", [Norm(0.1), Matrices(0.1), Swallowing(0.1)], ids=lambda o: type(o).__name__)
def test_a_rule_that_sees_more_than_an_element_is_called_with_each_parameter(optimizer: Any) -> None:
    ops = packed(optimizer)
    assert "pack" not in ops
    assert "update" not in ops
    assert ops.count("subtract") >= 3


def test_something_computed_from_what_an_update_returns_is_refused() -> None:
    optimizer = nn.SGD(0.1)

    def function(params: Any, slots: Any, grads: Any) -> Any:
        new, _ = optimizer.apply(params, grads, slots, {"lr": 0.1})
        return new[0] * 2.0

    found = traced(function, [X], [{}], [X], donated=(0, 1))
    with pytest.raises(TraceError, match="from what an update returns"):
        pack_updates(found.graph, found.outputs, found.signature.donated, 100)


def test_a_loop_hands_out_what_is_stored_even_if_nobody_else_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """New moments that a compiled loop kept to itself had no name, and the step ran as it was."""
    from arraynn.backends import numba as numba_loops
    from arraynn.backends import numpy as numpy_backend

    made = []

    def loop(source: str) -> Any:
        import math

        scope: dict[str, Any] = {"np": np, "math": math}
        exec(source, scope)
        made.append(source)
        return scope["loop"]

    monkeypatch.setattr(numba_loops, "available", lambda: True)
    monkeypatch.setattr(numba_loops, "compiled", loop)
    rule = nn.SGD(0.1, momentum=0.9)

    def start() -> Any:
        params = [{"w": np.full((150, 150), 1.5, "float32")}, {"w": np.full((150, 300), 0.5, "float32")}]
        return params, nn.tree.map(rule.init_one, params), nn.tree.map(lambda p: p * 0.25, params)

    def function(params: Any, slots: Any, grads: Any) -> Any:
        return rule.apply(params, grads, slots, {"lr": 0.125})

    program = numpy_backend.numpy_program(function, start(), (0, 1), 1e5)
    assert program is not None
    assert made
    for a, b in zip(nn.tree.leaves(program.run(*start())), nn.tree.leaves(function(*start())), strict=True):
        np.testing.assert_array_equal(a, b)
