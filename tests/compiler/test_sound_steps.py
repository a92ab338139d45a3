"""Users' layers and optimizers, compiled, against the step that is not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn._array import namespace
from arraynn.backends import Backend

from .programs import ENGINE, NETWORK, batches, check_step, copied, same


@dataclass(frozen=True)
class Shuffled(nn.Identity):
    """A user's layer: its columns in another order."""

    def function(self, x: Any, /) -> Any:
        order, back = np.array([2, 0, 1]), np.array([1, 2, 0])
        return x[:, order], lambda dy: dy[:, back]


def test_a_layer_with_a_fancy_index() -> None:
    check_step(nn.Sequential(nn.Dense(3), Shuffled(), nn.Dense(3)), nn.mean_squared_error, nn.SGD(0.1), batches())


@dataclass(frozen=True)
class Bumped(nn.Identity):
    """A user's layer, which adds 1 to its first column, through a view."""

    def function(self, x: Any, /) -> Any:
        y = x * 1.0
        top = y[:, :1]
        top += 1.0
        return y, lambda dy: dy


def test_a_layer_that_writes_through_a_view() -> None:
    check_step(nn.Sequential(nn.Dense(4), Bumped(), nn.Dense(3)), nn.mean_squared_error, nn.Adam(0.1), batches())


LARGE = 70_001  #: elements of a parameter that is updated alone, in slices or by a Numba loop


class Rule(nn.optimizers.Optimizer):
    def scalars(self, step: int) -> dict[str, float]:
        return {"lr": 0.1, "t": step + 1}


def rule(slots: tuple[str, ...], text: str) -> Any:
    """An optimizer with this rule: expressions of p, g, s, c, xp give the new p and the new slots."""
    made: dict[str, Any] = {}
    body = "".join(f"        {line}\n" for line in text.strip().splitlines())
    exec(
        "@dataclass(frozen=True)\nclass Made(Rule):\n"
        f"    def init_one(self, p):\n        return {{k: p * 0 + (i + 1) / 8 for i, k in enumerate({slots!r})}}\n"
        f"    def update_one(self, p, g, s, c):\n        xp = namespace(p)\n{body}",
        {"dataclass": dataclass, "Rule": Rule, "namespace": namespace, "math": math, "np": np},
        made,
    )
    return made["Made"](0.1)


RULES: dict[str, tuple[tuple[str, ...], str]] = {
    "floor": ((), "return xp.floor(p * 7) / 8 + xp.floor(g), {}"),
    "floor of large numbers": ((), "return xp.floor(p * 1e30) / 1e30 - g, {}"),
    "floor of nan": ((), "return xp.floor(xp.sqrt(p)) + g, {}"),
    "ceil": ((), "return xp.ceil(p * 7), {}"),
    "trunc": ((), "return xp.trunc(p * 7), {}"),
    "round": ((), "return xp.round(p * 7), {}"),
    "sign": ((), "return p - c['lr'] * xp.sign(g), {}"),
    "sign of a product": ((), "return xp.sign(p * 0 * g) + xp.sign(p - p) * g, {}"),
    "isnan": ((), "return xp.where(xp.isnan(xp.sqrt(p)), g, p), {}"),
    "isfinite": ((), "return xp.where(xp.isfinite(1 / (p - p)), g, p), {}"),
    "exp": ((), "return p - c['lr'] * xp.exp(g), {}"),
    "expm1": ((), "return p - c['lr'] * xp.expm1(g), {}"),
    "log": ((), "return p - c['lr'] * xp.log(xp.abs(g) + 1), {}"),
    "log1p": ((), "return p - c['lr'] * xp.log1p(xp.abs(g)), {}"),
    "tanh": ((), "return p - c['lr'] * xp.tanh(g), {}"),
    "power": ((), "return p - 0.1 * g ** 2, {}"),
    "root": ((), "return p - 0.1 * (g * g) ** 0.5, {}"),
    "cube": ((), "return p - 0.1 * g ** 3.0, {}"),
    "power of a number": ((), "return p - 0.1 * (-1) ** c['t'] * g, {}"),
    "division by a count": ((), "return p - g / c['t'], {}"),
    "one over a count": ((), "return p - (1 / c['t']) * g, {}"),
    "a count": ((), "return p - 0.01 * c['t'] * g, {}"),
    "a branch on a count": ((), "return xp.where(p * 0 + c['t'] > 2, p, p - g), {}"),
    "a choice by a number": ((), "return xp.where(c['t'] > 2, p, p - g), {}"),
    "a root of a number": ((), "return p - xp.sqrt(c['lr'] * xp.ones_like(p)) * g, {}"),
    "a NumPy number": ((), "return p - np.float64(0.1) * g, {}"),
    "a NumPy number of the dtype": ((), "return p - p.dtype.type(0.1) * g if hasattr(p.dtype, 'type') else p, {}"),
    "truth times numbers": ((), "return (g > 0) * p, {}"),
    "truth and truth": ((), "return p + ((g > 0) + (p > 0)) * 1.0, {}"),
    "a cast to another dtype": ((), "return p - xp.astype(xp.astype(g, xp.float64) / 3, p.dtype), {}"),
    "a cast to integers": ((), "return p - xp.astype(xp.astype(g * 4, xp.int32), p.dtype) / 4, {}"),
    "a choice by numbers": ((), "return p - xp.where(g > 0, g, 0.0) * xp.where(p > 0, -0.0, 1.0), {}"),
    "zeros of both signs": ((), "return xp.where(g > 0, p * 0.0, p * -0.0) + xp.where(p > 0, -0.0, 0.0), {}"),
    "slots that change places": (("a", "b"), "return p - s['b'], {'a': g * 1.0, 'b': s['a']}"),
    "slots in a ring": (("a", "b", "d"), "return p - s['a'], {'a': s['b'], 'b': s['d'], 'd': s['a'] + g}"),
    "slots that swap": (("a", "b"), "return p - s['a'] * 0.5, {'a': s['b'], 'b': s['a']}"),
    "the parameter in a slot": (("a",), "return p - 0.1 * g + 0.01 * s['a'], {'a': p}"),
    "a slot in the parameter": (("a",), "return s['a'] + 0.0, {'a': p - 0.1 * g}"),
    "slot and parameter change places": (("a",), "return s['a'], {'a': p - g}"),
    "the gradient in a slot": (("a",), "return p - 0.1 * s['a'], {'a': g + 0.0}"),
    "in place, by an alias": (("m",), "m = s['m']\nm *= 0.9\nm += g\np -= 0.1 * m\nreturn p, s"),
    "in place, by two names": (("m",), "m = n = s['m']\nn += g\nreturn p - 0.1 * m, {'m': n}"),
    "in place, returned under the first name": (("m",), "q = p\nq -= 0.1 * g\nreturn p, {'m': s['m']}"),
    "in place, after a use": (("m",), "old = s['m'] * 1.0\nm = s['m']\nm += g\nreturn p - old, {'m': s['m']}"),
    "in place, after an alias": (("m",), "old = s['m']\nm = s['m']\nm += g\nreturn p - old, {'m': m}"),
    "a number in place": (("m",), "t = u = c['t']\nt += 1\nreturn p - 0.01 * u * g - 0.001 * t, {'m': s['m']}"),
    "one slot in two": (("a", "b"), "return p - s['b'], {'a': s['a'] + g, 'b': s['a'] + g}"),
    "slots by odd names": (
        ("g", "p", "i", "a b", "one", "m", "m_", "t0", "k0", "math", "class", "é"),
        "return p - sum(s.values()) * 0.01, {k: v * 0.5 + 0.01 * g for k, v in s.items()}",
    ),
    "clip": ((), "return xp.clip(p - g, -0.5, 0.5), {}"),
    "maximum": (("a",), "a = xp.maximum(s['a'], abs(g))\nreturn p - 0.1 * g / a, {'a': a}"),
}  # fmt: skip


@pytest.mark.parametrize("size", [11, LARGE])
@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_what_its_source_says(name: str, size: int) -> None:
    rng = np.random.default_rng(2)
    for dtype in ("float32", "float64") if size < 100 else ("float32",):
        optimizer = rule(*RULES[name])
        params = {"w": rng.standard_normal(size).astype(dtype)}
        grads = [{"w": rng.standard_normal(size).astype(dtype)} for _ in range(3)]

        def run(optimizer: Any = optimizer, params: Any = params, grads: Any = grads) -> Any:
            ours = copied(params)
            state = optimizer.init(ours)
            found = []
            for g in grads:
                ours, state = optimizer.update(ours, copied(g), state)
                found.append(copied((ours, state)))
                ours, state = copied(ours), copied(state)  # slots that share memory are the rule's own business
            return found

        with np.errstate(all="ignore"), pytest.MonkeyPatch.context() as patch:
            got = run()
            patch.setattr(ENGINE, "elementwise", Backend.elementwise)
            same(got, run())


@pytest.mark.parametrize("name", RULES)
def test_a_rule_in_a_step_is_what_its_source_says(name: str) -> None:
    with np.errstate(all="ignore"):
        check_step(NETWORK, nn.mean_squared_error, rule(*RULES[name]), batches())
        check_step(
            nn.Sequential(nn.Dense(3)), nn.mean_squared_error, rule(*RULES[name]), batches(dtype="float64"), "float64"
        )
