"""A user's rule is applied to one parameter after another unless it is seen to be a matter of single elements."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn._array import namespace
from arraynn.backends import is_elementwise
from arraynn.backends.numpy import SMALL
from arraynn.optimizers import Optimizer
from arraynn.training.step import compiled_step

COEFFICIENT = {"value": 0.5}


@dataclass(frozen=True)
class Rule(Optimizer):
    """p - lr times what `direction` makes of it; `kept` is the slot."""

    def init_one(self, p: Any) -> Any:
        return {"kept": p * 0}

    def direction(self, p: Any, g: Any, kept: Any, c: Any) -> Any:
        raise NotImplementedError

    def update_one(self, p: Any, g: Any, slots: Any, c: Any) -> Any:
        kept = 0.5 * slots["kept"] + g
        return p - c["lr"] * self.direction(p, g, kept, c), {"kept": kept}


class Plain(Rule):
    def direction(self, p: Any, g: Any, kept: Any, c: Any) -> Any:
        xp = namespace(p)
        return xp.where(kept > 0, xp.sqrt(xp.abs(kept)), kept) / (1 + c["lr"]) + xp.astype(g > 0, p.dtype)


class DecayOfMatrices(Rule):
    def direction(self, p: Any, g: Any, kept: Any, c: Any) -> Any:
        return kept + 0.1 * p if p.ndim > 1 else kept


class AsksPolitely(Rule):
    def direction(self, p: Any, g: Any, kept: Any, c: Any) -> Any:
        return kept + 0.1 * p if getattr(p, "ndim", 1) > 1 else kept


class LooksAtTheShape(Rule):
    def direction(self, p: Any, g: Any, kept: Any, c: Any) -> Any:
        return kept / p.shape[-1]


class Norm(Rule):
    def direction(self, p: Any, g: Any, kept: Any, c: Any) -> Any:
        xp = namespace(p)
        return kept * xp.sqrt(xp.sum(p * p)) / (1 + xp.sqrt(xp.sum(kept * kept)))


class Centred(Rule):
    def direction(self, p: Any, g: Any, kept: Any, c: Any) -> Any:
        return kept - namespace(p).mean(kept)


class Rows(Rule):
    def direction(self, p: Any, g: Any, kept: Any, c: Any) -> Any:
        return kept - kept[..., :1]


class AnotherMean(Rule):
    def direction(self, p: Any, g: Any, kept: Any, c: Any) -> Any:
        return kept - kept.mean() if hasattr(kept, "mean") else kept - namespace(kept).mean(kept)


class WrittenInto(Rule):
    def update_one(self, p: Any, g: Any, slots: Any, c: Any) -> Any:
        p -= c["lr"] * g / (p.size if hasattr(p, "size") else 1)
        return p, slots


class GrowsASlot(Rule):
    def init_one(self, p: Any) -> Any:
        return {}

    def update_one(self, p: Any, g: Any, slots: Any, c: Any) -> Any:
        m = 0.9 * slots.get("m", 0.0) + g
        return p - c["lr"] * m, {"m": m}


class WidensASlot(Rule):
    def update_one(self, p: Any, g: Any, slots: Any, c: Any) -> Any:
        xp = namespace(p)
        kept = xp.astype(slots["kept"], xp.float64) + xp.astype(g, xp.float64) * (1 + 1e-12)
        return p - c["lr"] * xp.astype(kept, p.dtype), {"kept": kept}


class Branches(Rule):
    def scalars(self, step: int) -> Any:
        return {"lr": 0.1, "late": float(step > 1)}

    def direction(self, p: Any, g: Any, kept: Any, c: Any) -> Any:
        return kept - namespace(p).mean(kept) if c["late"] else kept


class Draws(Rule):
    def direction(self, p: Any, g: Any, kept: Any, c: Any) -> Any:
        return kept * random.random()


class ReadsAGlobal(Rule):
    def direction(self, p: Any, g: Any, kept: Any, c: Any) -> Any:
        return kept * COEFFICIENT["value"]


class LAdam(nn.Adam):
    """A block of the library, with a norm in it."""

    def update_one(self, p: Any, g: Any, slots: Any, c: Any) -> Any:
        xp = namespace(g)
        return super().update_one(p, g / (1e-3 + xp.sqrt(xp.sum(g * g))), slots, c)


RULES = [
    *(Plain(0.1), DecayOfMatrices(0.1), AsksPolitely(0.1), LooksAtTheShape(0.1), Norm(0.1), Centred(0.1), Rows(0.1)),
    *(AnotherMean(0.1), WrittenInto(0.1), GrowsASlot(0.1), WidensASlot(0.1), Branches(0.1), LAdam(0.1)),
    *(nn.EMA(Norm(0.1), 0.5), nn.SWA(DecayOfMatrices(0.1)), nn.Groups(nn.Adam(0.1), {"*.bias": Norm(0.1)})),
]
SMALL_ONE, LARGE_ONE = (3, 5, 2), (3, SMALL // 64 + 7, 100)


def name(value: Any) -> str:
    return type(value).__name__ + (f" of {type(value.optimizer).__name__}" if hasattr(value, "optimizer") else "")


def start(sizes: Any, dtype: str = "float32") -> Any:
    network = nn.Sequential(nn.Dense(sizes[1]), nn.Tanh(), nn.Dense(sizes[2]))
    params, _ = network.init(np.random.default_rng(0), (sizes[0],), dtype)
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((20, sizes[0])).astype(dtype), rng.standard_normal((20, sizes[2])).astype(dtype)
    return network, params, (x, y, None)


def by_hand(optimizer: Any, sizes: Any, steps: int) -> Any:
    """The same steps, each rule called with one parameter after another, nothing compiled."""
    network, params, (x, y, _) = start(sizes)
    state = optimizer.init(params)
    slots = nn.tree.map(lambda p, s: s, params, state["slots"])
    for step in range(steps):
        with nn.backend("numpy").context():  # products as a step has them, by one thread of BLAS
            outputs, backward = network(params, x, None)
            grads = backward(nn.mean_squared_error(outputs, y)[1](), need_dx=False)[1]
        for i, layer in enumerate(params):
            for key in layer:
                rule, c = optimizer, optimizer.scalars(step)
                if isinstance(optimizer, nn.Groups):
                    pattern = optimizer._pattern(f"{i}.{key}")
                    rule, c = dict(optimizer._all())[pattern], c[pattern]
                layer[key], slots[i][key] = rule.update_one(layer[key].copy(), grads[i][key], slots[i][key], c)
    return params, slots


def assert_same(got: Any, expected: Any) -> None:
    for (path, a), (_, b) in zip(nn.tree.items(got), nn.tree.items(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6, err_msg=path)
        assert a.dtype == b.dtype


@pytest.mark.parametrize("sizes", [SMALL_ONE, LARGE_ONE], ids=["small", "large"])
@pytest.mark.parametrize("optimizer", RULES, ids=name)
def test_a_step_applies_a_rule_as_it_is_written(optimizer: Any, sizes: Any) -> None:
    compiled_step.cache_clear()
    network, params, batch = start(sizes)
    state, step = optimizer.init(params), nn.make_train_step(network, nn.mean_squared_error, optimizer)
    for _ in range(4):
        params, state, _ = step(params, state, batch, nn.Key(0))
    assert_same((params, state["slots"]), by_hand(optimizer, sizes, 4))


@pytest.mark.parametrize("sizes", [SMALL_ONE, LARGE_ONE], ids=["small", "large"])
@pytest.mark.parametrize("optimizer", RULES, ids=name)
def test_an_update_applies_a_rule_as_it_is_written(optimizer: Any, sizes: Any) -> None:
    network, params, (x, y, _) = start(sizes)
    state = optimizer.init(params)
    for _ in range(4):
        with nn.backend("numpy").context():
            outputs, backward = network(params, x, None)
            grads = backward(nn.mean_squared_error(outputs, y)[1](), need_dx=False)[1]
        params, state = optimizer.update(params, grads, state)
    assert_same((params, state["slots"]), by_hand(optimizer, sizes, 4))


@pytest.mark.parametrize("shape", [(2, 3), (700, 100)], ids=["small", "large"])
def test_an_update_reads_host_values_each_time(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    p, g = {"w": np.ones(shape, "float32")}, {"w": np.ones(shape, "float32")}
    for optimizer in (Draws(1.0), ReadsAGlobal(1.0)):
        state, factors = optimizer.init(p), []
        for i in range(3):
            monkeypatch.setitem(COEFFICIENT, "value", 0.25 * i)
            before = p["w"].copy()
            random.seed(i)
            p, state = optimizer.update(p, g, state)
            factors.append(float(((before - p["w"]) / state["slots"]["w"]["kept"])[0, 0]))
        drawn = [random.Random(i).random() for i in range(3)]
        expected = drawn if isinstance(optimizer, Draws) else [0.0, 0.25, 0.5]
        np.testing.assert_allclose(factors, expected, atol=1e-6)


def test_what_is_seen_to_be_a_matter_of_single_elements_is_joined() -> None:
    p = np.ones((2, 3), "float32")

    def seen(optimizer: Any) -> bool:
        return is_elementwise(optimizer.update_one, p, optimizer.init_one(p), optimizer.scalars(0))

    assert [type(rule).__name__ for rule in RULES[:13] if seen(rule)] == ["Plain"]
    kinds = [getattr(nn.optimizers, name) for name in nn.optimizers.__all__]
    built = [kind(0.1) for kind in kinds if kind not in (Optimizer, nn.EMA, nn.SWA, nn.Groups)]
    assert [type(rule).__name__ for rule in built if not seen(rule)] == []
    assert seen(nn.EMA(Plain(0.1)))
    assert not nn.EMA(nn.Adam()).from_outside
    assert nn.EMA(Plain()).from_outside
