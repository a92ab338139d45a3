"""The memory plan: nobody writes to what is still to be read, and what is free is used again."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn.backends import numpy as numpy_backend
from arraynn.compiler import numpy_codegen
from arraynn.compiler.memory import FOREVER, MemoryPlan


def plan_of(monkeypatch: pytest.MonkeyPatch, function: Any, *arguments: Any, **options: Any) -> MemoryPlan:
    found: list[MemoryPlan] = []

    class Kept(MemoryPlan):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            found.append(self)

    monkeypatch.setattr(numpy_codegen, "MemoryPlan", Kept)
    assert numpy_backend.numpy_program(function, arguments, **options) is not None
    return found[0]


X = np.ones((64, 64), "float32")


def test_a_chain_works_in_one_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    def function(x: Any) -> Any:
        for _ in range(5):
            x = (x + 1.0) * 2.0
        return x

    plan = plan_of(monkeypatch, function, X)
    assert [buffer.size for buffer in plan.buffers] == [X.nbytes]


def test_no_two_arrays_that_are_read_later_lie_in_one_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Dense(64), nn.Tanh(), nn.Dropout(0.5), nn.Residual(nn.Dense(64)), nn.Dense(3))
    params, _ = network.init(np.random.default_rng(0), (64,))

    def function(params: Any, x: Any, key: Any) -> Any:
        outputs, backward = network(params, x, key)
        return backward(outputs, need_dx=False)[1]

    plan = plan_of(monkeypatch, function, params, X, nn.Key(0))
    assert len(plan.buffers) > 3
    for buffer in plan.buffers:
        uses = sorted((a, b) for a, b, _ in buffer.uses)
        for (_, until), (start, _) in pairwise(uses):
            assert until <= start  # the same step may read an operand and write over it
    assert sum(len(buffer.uses) for buffer in plan.buffers) > 2 * len(plan.buffers)


def test_a_view_keeps_what_it_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def function(x: Any) -> Any:
        y = x + 1.0
        view = y[:, :3]
        z = (x * 2.0) @ x
        return z[:, :3] * view

    plan = plan_of(monkeypatch, function, X)
    base = next(node for step in plan.steps for node in step.nodes if node.op == "add")
    last = next(
        i for i, step in enumerate(plan.steps) for x in step.reads() if x.op == "getitem" and plan.base(x) is base
    )
    assert plan.last_use(base) == last


def test_results_lie_in_memory_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(monkeypatch, lambda x: (x + 1.0, (x * 2.0)[:, :3]), X)
    for node in (node for step in plan.steps for node in step.nodes if node.serial in plan.finals):
        assert plan.last_use(node) == FOREVER
        assert node.serial not in plan.places


def test_packed_parameters_are_updated_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = nn.Adam(0.1)

    def function(params: Any, slots: Any, grads: Any) -> Any:
        return optimizer.apply(params, grads, slots, optimizer.scalars(0))

    params = [{"w": np.ones((3, 4)), "b": np.ones(4)}]
    slots = [{name: optimizer.init_one(p) for name, p in params[0].items()}]
    program = numpy_backend.numpy_program(function, (params, slots, params), (0, 1), 100)
    assert program is not None
    assert ".copy()" not in program.source
    assert program.source.count("= pack0(") == 1


def test_slots_that_change_places_are_copied_first() -> None:
    class Swap(nn.Optimizer):
        def update_one(self, p: Any, g: Any, slots: Any, c: Any) -> Any:
            return p - g, {"a": slots["b"], "b": slots["a"]}

    optimizer = Swap(0.1)

    def function(params: Any, slots: Any, grads: Any) -> Any:
        return optimizer.apply(params, grads, slots, {})

    arguments = [np.ones(3)], [{"a": np.full(3, 2.0), "b": np.full(3, 3.0)}], [np.ones(3)]
    program = numpy_backend.numpy_program(function, arguments, (0, 1), 100)
    assert program is not None
    _, slots = program.run(*arguments)
    assert [x.tolist()[0] for x in slots[0].values()] == [3.0, 2.0]
