"""What the tests of optimizers share: a run along given gradients, here and in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import arraynn as nn


@pytest.fixture
def run(xp: Any) -> Any:
    """run(optimizer, p, gradients) -> p after each update, as lists; gradients may be read-only."""

    def along(optimizer: Any, p: list[float], gradients: list[list[float]]) -> list[list[float]]:
        params = nn.put({"w": np.asarray(p)}, like=xp.asarray([0.0]))  # consumed, so these are its own copies
        state, found = optimizer.init(params), []
        for g in gradients:
            params, state = optimizer.update(params, {"w": xp.asarray(g)}, state)
            found.append([float(v) for v in xp.to_numpy(params["w"])])
        assert state["step"] == len(gradients)
        assert str(params["w"].dtype).endswith(xp.float_dtype)
        return found

    return along


@pytest.fixture
def precise(xp: Any) -> float:
    return 1e-13 if xp.has_float64 else 1e-5


@pytest.fixture
def torch_agrees(rng: np.random.Generator) -> Any:
    """torch_agrees(optimizer, make): fifty steps on a small regression, in float64, against a torch optimizer's.

    make(torch, parameters) -> the torch optimizer. Gradients come from the current weights on either side, so an
    error would grow.
    """

    def check(optimizer: Any, make: Any) -> None:
        torch = pytest.importorskip("torch")
        x, y = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
        start = {"w": rng.standard_normal((3, 2)), "b": rng.standard_normal(2)}
        theirs = {name: torch.tensor(p, requires_grad=True) for name, p in start.items()}
        other = make(torch, list(theirs.values()))
        params = {name: p.copy() for name, p in start.items()}
        state = optimizer.init(params)
        for _ in range(50):
            other.zero_grad()
            error = torch.tensor(x) @ theirs["w"] + theirs["b"] - torch.tensor(y)
            (error * error).mean().backward()
            other.step()
            outputs, dense_backward = nn.dense(x, params["w"], params["b"])
            _, loss_backward = nn.mean_squared_error(outputs, y)
            _, dw, db = dense_backward(loss_backward(), need_dx=False)
            params, state = optimizer.update(params, {"w": dw, "b": db}, state)
        for name, p in params.items():
            moved = np.max(np.abs(p - start[name]))
            assert moved > 0.01
            assert np.max(np.abs(p - theirs[name].detach().numpy())) < 1e-10 * moved

    return check
