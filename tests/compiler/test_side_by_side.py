"""Products and updates that threads compute side by side: which are, and that the numbers are those of the blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn._array import namespace
from arraynn.backends import Backend, products
from arraynn.backends import numpy as numpy_backend

from .fuzz_programs import run

NETWORK = nn.Sequential(nn.Dense(40), nn.ReLU(), nn.Dense(30), nn.Tanh(), nn.Dense(3))
RNG = np.random.default_rng(1)
BATCH = RNG.standard_normal((24, 20), dtype="float32"), RNG.integers(0, 3, 24), None


@pytest.fixture(autouse=True)
def everything_is_worth_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARRAYNN_NUM_THREADS", "3")
    monkeypatch.setattr(products, "WHOLE", 1)
    monkeypatch.setattr(products, "TILE", 200)
    monkeypatch.setattr(products, "UNIT", 8)
    monkeypatch.setattr(numpy_backend, "SMALL", 1)
    monkeypatch.setattr(numpy_backend, "SLICE", 64)
    monkeypatch.setattr(numpy_backend, "compiled", _compiled)
    products._admitted.cache_clear()
    nn.training.step.compiled_step.cache_clear()
    yield
    products._admitted.cache_clear()
    nn.training.step.compiled_step.cache_clear()


PLAIN = numpy_backend.compiled


def _compiled(function: Any, donate: tuple[int, ...] = (), small: float = 1, apart: bool = True) -> Any:
    return PLAIN(function, donate, small, apart)


def steps(network: Any, optimizer: Any, count: int = 3, **options: Any) -> Any:
    params, _ = network.init(np.random.default_rng(0), (20,))
    state, step = optimizer.init(params), nn.make_train_step(network, nn.softmax_cross_entropy, optimizer, **options)
    with nn.backend("numpy").context():
        for _ in range(count):
            params, state, _ = step(params, state, BATCH, nn.Key(0))
    return params, state["slots"]


def calls(monkeypatch: pytest.MonkeyPatch, network: Any, **options: Any) -> list[tuple[list[Any], list[Any]]]:
    """For each call of a step: the shapes of its products, and of the parameters that it updates."""
    found = []
    plain = numpy_backend._side_by_side

    def spy(multiplied: Any, updated: Any) -> Any:
        found.append(([out.shape for _, _, out in multiplied], [p.shape for _, p, *_ in updated]))
        return plain(multiplied, updated)

    monkeypatch.setattr(numpy_backend, "_side_by_side", spy)
    steps(network, nn.Adam(0.1), 1, **options)
    return [one for one in found if one[0] or len(one[1][0]) == 2]  # without the biases' updates


def test_dw_and_dx_of_a_layer_stand_beside_the_update_of_the_layer_above(monkeypatch: pytest.MonkeyPatch) -> None:
    found = calls(monkeypatch, NETWORK)
    backward = [one for one in found if any(shape in ((30, 3), (40, 30), (20, 40)) for shape in one[0])]
    last, middle, first = backward
    assert sorted(last[0]) == [(24, 30), (30, 3)]
    assert sorted(middle[0]) == [(24, 40), (40, 30)]
    assert (30, 3) in middle[1]
    assert first[0] == [(20, 40)]
    assert (40, 30) in first[1]
    assert found[-1] == ([], [(20, 40)]) or (20, 40) in found[-1][1]


@pytest.mark.parametrize("options", [{"clip_norm": 0.1}, {}], ids=["clip_norm", "penalty"])
def test_updates_wait_for_a_norm_of_all_gradients_and_for_a_penalty(
    monkeypatch: pytest.MonkeyPatch, options: Any
) -> None:
    network = NETWORK
    if not options:
        layers = [nn.Dense(n, weight_regularizer=nn.L2(0.1)) for n in (40, 30, 3)]
        network = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.Tanh(), layers[2])
    found = calls(monkeypatch, network, **options)
    last = max(i for i, one in enumerate(found) if one[0])
    weights = [[shape for shape in updated if len(shape) == 2] for _, updated in found]
    assert not any(weights[: last + 1])
    assert any(weights)


@pytest.mark.parametrize("optimizer", [nn.SGD(0.1, momentum=0.9), nn.Adam(0.1), nn.EMA(nn.Adam(0.1), 0.5)], ids=repr)
@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.1}, {"clip_value": 1e-3}], ids=str)
def test_a_step_has_the_numbers_of_the_blocks(monkeypatch: pytest.MonkeyPatch, optimizer: Any, options: Any) -> None:
    got = steps(NETWORK, optimizer, **options)
    monkeypatch.setattr(numpy_backend.NumPy, "compile", Backend.compile)
    monkeypatch.setattr(numpy_backend.NumPy, "elementwise", Backend.elementwise)
    nn.training.step.compiled_step.cache_clear()
    for a, b in zip(tree.leaves(got), tree.leaves(steps(NETWORK, optimizer, **options)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_branches_stand_side_by_side_and_keep_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(
        nn.Concatenate(nn.Dense(40), nn.Sequential(nn.Dense(30), nn.Tanh())), nn.Residual(nn.Dense(70)), nn.Dense(3)
    )
    assert [(24, 40), (24, 30)] in [one[0] for one in calls(monkeypatch, network)]
    monkeypatch.undo()
    got = steps(network, nn.Adam(0.1))
    monkeypatch.setattr(numpy_backend.NumPy, "compile", Backend.compile)
    nn.training.step.compiled_step.cache_clear()
    for a, b in zip(tree.leaves(got), tree.leaves(steps(network, nn.Adam(0.1))), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_read_of_a_weight_is_read_before_its_update() -> None:
    """The old weights' product, asked for after everything else."""
    rule = nn.SGD(1.0)

    def function(w: Any, x: Any, dy: Any) -> Any:
        dw = namespace(x).matrix_transpose(x) @ dy
        last = x @ (w * 2)
        new, _ = rule.apply([w], [dw], [{}], {"lr": 1.0})
        return new, last, namespace(w).matrix_transpose(dw) @ dw

    w, x, dy = (RNG.standard_normal(shape, dtype="float32") for shape in ((20, 16), (24, 20), (24, 16)))
    expected = w - x.T @ dy, x @ (w * 2)
    with nn.backend("numpy").context():
        (new,), last, _ = numpy_backend.compiled(function, (0,), 1)(w.copy(), x, dy)
    np.testing.assert_allclose(new, expected[0], rtol=1e-5)
    np.testing.assert_allclose(last, expected[1], rtol=1e-4, atol=1e-4)


def test_random_programs_keep_their_numbers() -> None:
    reasons, compiled = run(60)
    assert compiled > 15, reasons
