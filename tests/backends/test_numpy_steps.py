"""Steps on NumPy as calls in a row: the bits of the blocks themselves, in memory that nobody else reads or writes."""

from __future__ import annotations

import gc
import logging
import math
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arraynn as nn
from arraynn import tree
from arraynn._array import namespace, zero_like
from arraynn.backends import numba as numba_loops
from arraynn.backends import numpy as numpy_backend
from arraynn.backends.base import Backend
from arraynn.backends.numpy import NumPy
from arraynn.compiler import memory, tuning
from arraynn.compiler.signature import GuardFailed
from arraynn.training.step import compiled_step
from tests.backends.test_cupy_conformance import RUNS, every_run, trained

NETWORK = nn.Sequential(nn.Dense(5, weight_regularizer=nn.L2(1e-2)), nn.ReLU(), nn.Dropout(0.3), nn.Dense(3))


def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, steps run as blocks do in other people's hands."""
    monkeypatch.setattr(NumPy, "compile", Backend.compile)
    monkeypatch.setattr(numpy_backend, "compiled", Backend.compile)
    compiled_step.cache_clear()
    numpy_backend._of_rows.cache_clear()
    numpy_backend._in_place.cache_clear()


def compiled(function: Any, arguments: tuple[Any, ...]) -> Any:
    """The function's program for such arguments, which must have one."""
    program = numpy_backend.numpy_program(function, arguments)
    assert program is not None
    return program.run


def same(got: Any, expected: Any) -> None:
    for a, b in zip(tree.leaves(got), tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
        if isinstance(b, (np.ndarray, np.generic)):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)


def many(rows: np.ndarray) -> np.ndarray:
    """The rows a dozen times."""
    return np.tile(rows, (12, *[1] * (rows.ndim - 1)))


@every_run
def test_every_block_has_its_bits(run: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    (network, loss, y, *rule), options = RUNS[run]
    x = options.get("x", RUNS_X)
    options = {**options, "x": tuple(map(many, x)) if isinstance(x, tuple) else many(x)}
    y = many(y)
    compiled_step.cache_clear()
    with caplog.at_level(logging.INFO, "arraynn"):
        got = trained("numpy", network, loss, y, *rule, **options)
    assert "runs as it is" not in caplog.text
    plainly(monkeypatch)
    same(got, trained("numpy", network, loss, y, *rule, **options))
    compiled_step.cache_clear()


RUNS_X = np.random.default_rng(5).standard_normal((8, 4)).astype("float32")
ROWS = 40


def batch(seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((ROWS, 2), dtype="float32"), rng.integers(0, 3, ROWS), None


def run(steps: int, seed: int = 0, network: Any = NETWORK, keep: list[Any] | None = None) -> Any:
    """(params, state, logs) after so many steps; what each returned is copied to `keep`."""
    params, _ = network.init(np.random.default_rng(seed), (2,))
    optimizer = nn.Adam(0.05)
    options = {"clip_norm": 1.0, "metrics": (nn.metrics.accuracy,)}
    state, step = optimizer.init(params), nn.make_train_step(network, nn.softmax_cross_entropy, optimizer, **options)
    logs: Any = {}
    for i in range(steps):
        params, state, logs = step(params, state, batch(i), nn.Key(seed))
        if keep is not None:
            keep.append((logs["data_loss"], np.array(logs["data_loss"])))
    return params, state, logs


def test_row_blocks_have_the_bits_of_plain_row_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_backend, "BLOCK", 100)
    assert NumPy.plan(NETWORK.init(np.random.default_rng(0), (2,))[0], batch(), False).blocks
    compiled_step.cache_clear()
    with NumPy.open().context():
        got = run(4)
        plainly(monkeypatch)
        same(got, run(4))
    assert got[2]["accuracy"]["weight"] == ROWS  # of all blocks, not of one
    compiled_step.cache_clear()


def test_what_a_step_reports_stays_when_the_next_one_runs() -> None:
    kept: list[Any] = []
    run(5, keep=kept)
    assert len({float(now) for now, _ in kept}) == 5
    for now, then in kept:
        assert now == then


def test_two_runs_of_one_step_do_not_disturb_each_other() -> None:
    alone = [run(6, seed) for seed in (0, 1)]
    params, states, step = {}, {}, nn.make_train_step(NETWORK, nn.softmax_cross_entropy, nn.Adam(0.05))
    for seed in (0, 1):
        params[seed] = NETWORK.init(np.random.default_rng(seed), (2,))[0]
        states[seed] = nn.Adam(0.05).init(params[seed])
    for i in range(6):
        for seed in (0, 1):
            params[seed], states[seed], _ = step(params[seed], states[seed], batch(i), nn.Key(seed))
    for seed in (0, 1):
        same((params[seed], states[seed]), alone[seed][:2])


def test_threads_share_a_step() -> None:
    alone, found = run(30), {}
    threads = [threading.Thread(target=lambda i=i: found.update({i: run(30)})) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        same(found[i], alone)


def test_weights_that_are_written_to_between_steps_are_the_ones_that_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed() -> Any:
        params, state, _ = run(2)
        params[0]["weight"][...] = 0.25
        params[3]["bias"] = np.full(3, 0.5, "float32")
        step = nn.make_train_step(NETWORK, nn.softmax_cross_entropy, nn.Adam(0.05))
        return step(params, state, batch(7), nn.Key(0))

    got = changed()
    plainly(monkeypatch)
    same(got, changed())
    compiled_step.cache_clear()


def test_other_shapes_are_other_programs_and_nothing_is_written_before_that_is_seen() -> None:
    x = np.ones((3, 2), "float32")
    add = compiled(lambda a, b: a + b, (x, x))
    with pytest.raises(GuardFailed):
        add(x, np.ones((4, 2), "float32"))
    for other in (np.ones((3, 2)), [x], None, 1.0, np.ones((3, 2), "float32").view(np.recarray)):
        with pytest.raises(GuardFailed):
            add(x, other)
    subclass = numpy_backend.compiled(lambda a: a + a)
    for other in (x, x.view(np.recarray), x):
        same(subclass(other), x + x)
    function = numpy_backend.compiled(lambda a: (a + 1, a.shape[0]))
    for n in range(tuning.PROGRAMS + 3):
        same(function(np.arange(n)), (np.arange(n) + 1, n))


def test_batches_of_two_sizes_leave_the_weights_where_they_are() -> None:
    network = nn.Sequential(nn.Dense(5), nn.ReLU(), nn.Dense(3))
    params, _ = network.init(np.random.default_rng(0), (2,))
    optimizer = nn.Adam(0.05)
    state, step = optimizer.init(params), nn.make_train_step(network, nn.softmax_cross_entropy, optimizer)
    x, y, _ = batch()
    seen = []
    for i in range(6):
        rows = slice(0, 13 if i % 3 == 2 else ROWS)
        params, state, _ = step(params, state, (x[rows], y[rows], None), nn.Key(0))
        seen.append([leaf.ctypes.data for leaf in tree.leaves((params, state["slots"]))])
    assert all(places == seen[0] for places in seen)


@pytest.mark.parametrize(("rate", "hashed"), [(0.0, 0), (0.3, 1)])
@pytest.mark.parametrize("split", [False, True])
def test_a_key_is_hashed_once_a_step_where_something_draws(
    rate: float, hashed: int, split: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if split:
        monkeypatch.setattr(numpy_backend, "BLOCK", 60)
    network = nn.Sequential(nn.Dense(5), nn.Dropout(rate), nn.Dense(3)) if rate else nn.Sequential(nn.Dense(3))
    run(2, network=network)
    folded: list[Any] = []
    fold = nn.random._fold
    monkeypatch.setattr(nn.random, "_fold", lambda words, number: folded.append(number) or fold(words, number))
    run(2, network=network)
    # of the seed, once for each of the two steps; of the step's number only for dropout, however many blocks there are
    assert len(folded) == 2 + 2 * hashed


def test_numbers_are_arguments_not_constants(caplog: pytest.LogCaptureFixture) -> None:
    def rule(x: Any, k: Any, c: Any) -> Any:
        space = namespace(x)
        return x * -c["a"] / (1 - abs(c["b"])), (space.astype(x, space.int32) ^ (-k - 1)) * k

    function, x = numpy_backend.compiled(rule), np.arange(5, dtype="float32")
    with caplog.at_level(logging.INFO, "arraynn"):
        for a, b, k in ((2.0, 0.5, 7), (3.0, -0.25, -(2**31)), (1.0, 0.0, 2**31 - 1)):
            got, words = function(x, k, {"a": a, "b": b})
            same(got, x * -a / (1 - abs(b)))
            same(words, (x.astype("int32") ^ np.int32(-k - 1)) * np.int32(k))
    assert not caplog.text


def test_a_layer_that_cannot_be_written_down_runs_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    class Branching(nn.Identity):
        def function(self, x: Any, /) -> Any:
            return (x, lambda dy: dy) if float(x.sum()) > 0 else (-x, lambda dy: -dy)

    with caplog.at_level(logging.INFO, "arraynn"):
        run(2, network=nn.Sequential(nn.Dense(3), Branching()))
    assert "runs as it is" in caplog.text


def test_large_memory_is_given_back_after_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "KEPT", 100)
    compiled_step.cache_clear()
    gc.collect()
    before = len(memory._large)
    with NumPy.open().context():
        result = run(3)
        mine = list(memory._large)
        assert len(mine) > before
        assert any(mine)  # kept from step to step
    assert not any(mine)
    same(run(3), result)
    assert not any(mine)  # and outside of a run not at all
    compiled_step.cache_clear()


def plain_loop(source: str) -> Any:
    """The source of a loop in plain Python, on NumPy's scalars."""
    scope: dict[str, Any] = {"np": np, "math": np}
    exec(source, scope)
    return scope["loop"]


def test_with_numba_loops_have_the_bits_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba", reason='pip install "arraynn[fast]"')
    network, rows = nn.Sequential(nn.Dense(300), nn.ReLU(), nn.Dropout(0.2), nn.Dense(3)), 700
    rng = np.random.default_rng(0)
    data = rng.standard_normal((rows, 2), dtype="float32"), rng.integers(0, 3, rows), None
    made: list[str] = []
    numba_compiled = numba_loops.compiled
    monkeypatch.setattr(numba_loops, "compiled", lambda source: made.append(source) or numba_compiled(source))

    def steps() -> Any:
        compiled_step.cache_clear()
        params, _ = network.init(np.random.default_rng(0), (2,))
        optimizer = nn.Adam(0.05)
        state, step = optimizer.init(params), nn.make_train_step(network, nn.softmax_cross_entropy, optimizer)
        for _ in range(3):
            params, state, logs = step(params, state, data, nn.Key(0))
        return params, state, logs

    got = steps()
    assert len(made) >= 3
    monkeypatch.setattr(numba_loops, "available", lambda: False)
    same(got, steps())
    compiled_step.cache_clear()


@pytest.mark.parametrize("columns", [6, 7])
def test_loops_compute_a_mask_anew_and_rows_words_in_one(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    sources: list[str] = []
    monkeypatch.setattr(numba_loops, "available", lambda: True)
    monkeypatch.setattr(tuning, "LOOP_ELEMENTS", 6 * columns - 1)
    monkeypatch.setattr(numba_loops, "compiled", lambda source: sources.append(source) or plain_loop(source))

    def function(a: Any) -> Any:
        mask = namespace(a).astype(nn.Key(3).keep(a.shape, 0.3, like=a), a.dtype) * 1.5
        dropped = a * mask
        return ((dropped @ namespace(a).matrix_transpose(a)) @ a) * mask * 2.0 + a

    a = np.random.default_rng(0).standard_normal((6, columns), dtype="float32")
    program = compiled(function, (a,))
    with np.errstate(over="ignore"):
        for _ in range(2):
            same(program(a), function(a))
    assert [source.count(" >= ") for source in sources] == [0, 1, 1]
    assert sources[0].count("for ") == 1  # over the two words of each row


#: shapes, and a function of arrays of these shapes that is one group of elementwise operations
GROUPS: dict[str, tuple[tuple[tuple[int, ...], ...], Any]] = {
    "three axes, and a bias": (((4, 5, 6), (6,)), lambda xp, a, b: xp.maximum(a + b, xp.zeros_like(a[0, 0, 0])) * 2.0),
    "four axes, each broadcast once": (
        ((2, 3, 4, 5), (3, 1, 5), (2, 1, 4, 1), (1, 1, 1, 1)),
        lambda xp, a, b, c, d: (a * b - c) / (d * d + 1.0),
    ),
    "an axis of one": (((3, 1, 4), (1, 4), (3, 1, 1)), lambda xp, a, b, c: (a - b) * c),
    "axes in another order": (
        ((3, 4, 5), (4, 5, 3)),
        lambda xp, a, b: a * xp.permute_dims(b, (2, 0, 1)) + a,
    ),
    "five axes": (((2, 2, 3, 2, 3), (2, 3)), lambda xp, a, b: xp.sqrt(a * a + b * b) + 1.0),
}


@pytest.mark.parametrize("name", GROUPS)
def test_loops_have_any_number_of_axes(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    shapes, function = GROUPS[name]
    sources: list[str] = []
    monkeypatch.setattr(numba_loops, "available", lambda: True)
    monkeypatch.setattr(tuning, "LOOP_ELEMENTS", 1)
    monkeypatch.setattr(numba_loops, "compiled", lambda source: sources.append(source) or plain_loop(source))
    rng = np.random.default_rng(0)
    arrays = tuple(rng.standard_normal(shape, dtype="float32") for shape in shapes)

    def step(*arrays: Any) -> Any:
        xp = namespace(arrays[0])
        return xp.sum(function(xp, *arrays), axis=0) * 1.0

    program = compiled(step, arrays)
    for _ in range(2):
        same(program(*arrays), step(*arrays))
    assert sources[0].count("for ") == len(shapes[0])


@pytest.mark.parametrize("shape", [(6, 4), (2, 3, 4)])
def test_results_are_copied_before_another_thread_may_take_the_memory(shape: tuple[int, ...]) -> None:
    """Gradients of a convolution are views of an arena: one that was given back first was written to by another block
    of rows, now and then, and its gradient was wrong."""

    class GivenBack(list):  # type: ignore[type-arg]
        def append(self, arena: Any) -> None:
            super().append(arena)
            for array in arena:
                array.fill(0)

    def function(a: Any) -> Any:
        xp = namespace(a)
        return xp.reshape(a * 2.0 + 1.0, (-1,)), xp.permute_dims(xp.reshape(a - 3.0, (4, -1)), (1, 0))

    a = np.random.default_rng(0).standard_normal(shape, dtype="float32")
    run = compiled(function, (a,))
    run.__globals__["free"] = GivenBack()
    for _ in range(2):
        same(run(a), function(a))
    assert run.__globals__["free"]


#: what is easily written over too early, or taken for another
TRAPS: dict[str, tuple[tuple[int, int], Any]] = {
    "one row, and a column of one number": ((1, 20_000), lambda xp, a: a - xp.max(a, axis=1, keepdims=True)),
    "a column of what is written to": ((64, 3), lambda xp, a: (a - a[:, :1]) * 1.0),
    "numbers that print alike": ((64, 64), lambda xp, a: xp.maximum(a, 0.12341) - xp.maximum(a + 0.0, 0.12349)),
    "two signs of zero": ((64, 64), lambda xp, a: xp.abs(a) / (a * 0.0 + -0.0) + 1 / (xp.abs(a) * 0.0 + 0.0)),
}


@pytest.mark.parametrize("loops", [False, True])
@pytest.mark.parametrize("name", TRAPS)
def test_traps(monkeypatch: pytest.MonkeyPatch, name: str, loops: bool) -> None:
    monkeypatch.setattr(numba_loops, "available", lambda: loops)
    monkeypatch.setattr(tuning, "LOOP_ELEMENTS", 0)
    monkeypatch.setattr(numba_loops, "compiled", plain_loop)
    shape, formula = TRAPS[name]
    a = np.random.default_rng(0).standard_normal(shape, dtype="float32")

    def function(a: Any) -> Any:
        return 1 * formula(namespace(a), a * 1.0)

    with np.errstate(all="ignore"), np.printoptions(precision=3):
        same(compiled(function, (a,))(a), function(a))


def test_numbers_in_another_machines_bytes_are_not_compiled(caplog: pytest.LogCaptureFixture) -> None:
    a = np.arange(3, dtype=">f4")
    with caplog.at_level(logging.INFO, "arraynn"):
        assert numpy_backend.numpy_program(lambda a: a + 1, (a,)) is None
    assert "another machine's bytes" in caplog.text
    same(numpy_backend.compiled(lambda a, b: a + b)(a, a.astype("=f4")), a + a)


def test_a_number_that_a_dtype_cannot_hold_is_no_failure() -> None:
    a = np.arange(40, dtype="int16")
    same(numpy_backend.compiled(lambda a: a > 70_000)(a), a > 70_000)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_choice_between_anything_and_zero_is_exact(dtype: str) -> None:
    a = np.asarray([[math.inf, -math.inf, math.nan, -0.0, 1e-40, 1e30]] * 2, dtype)
    chosen = np.asarray([[True], [False]])

    def function(chosen: Any, a: Any) -> Any:
        return 1 * namespace(a).where(chosen, a, zero_like(a))

    with np.errstate(all="ignore"):
        got, expected = compiled(function, (chosen, a))(chosen, a), function(chosen, a)
    same(got, expected)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))


#: (name, number of arguments)
OPERATIONS = [
    ("add", 2), ("multiply", 2), ("subtract", 2), ("maximum", 2), ("negative", 1), ("abs", 1), ("square", 1),
    ("positive part", 1), ("where", 3), ("sum 0", 1), ("sum 1", 1), ("max 1", 1), ("mean 1", 1), ("sum", 1),
    ("transpose", 1), ("first rows", 1), ("flat and back", 1), ("gram", 1), ("times 2", 1), ("less", 2), ("shift", 1),
    ("or zero", 2), ("a row", 1), ("a column", 1), ("of truth", 2), ("dropped", 1),
]  # fmt: skip


def apply(name: str, args: list[Any]) -> Any:
    """One operation in array-API calls, on arrays of whatever kind, two-dimensional ones."""
    space, a = args[0].__array_namespace__(), args[0]
    if name == "positive part":
        return a * space.astype(a > 0, a.dtype)
    if name == "where":
        return space.where(args[0] > 0, args[1], args[2])
    if name == "or zero":
        return space.where(args[0] > 0, args[1], zero_like(a))
    if name == "a row":
        return space.maximum(a + a[:1, :], zero_like(a))
    if name == "a column":
        return a - a[:, :1]
    if name == "of truth":
        truth = space.astype(a > args[1], a.dtype)
        return space.where(truth > 0, a, zero_like(a)) * truth
    if name == "dropped":
        return a * (space.astype(nn.Key(3).keep(a.shape, 0.3, like=a), a.dtype) * 1.5)
    if name == "less":
        return space.astype(args[0] < args[1], a.dtype)
    if name == "shift":
        return space.astype((space.astype(a, space.int32) >> 3) & 0x1FFFFFFF, a.dtype)
    if name == "transpose":
        return space.matrix_transpose(space.matrix_transpose(a) + 1.0)
    if name == "first rows":
        return space.concat([a[: a.shape[0] // 2, :], a[a.shape[0] // 2 :, :]], axis=0)
    if name == "flat and back":
        return space.reshape(space.reshape(a, (-1,)) * 0.5, a.shape)
    if name == "gram":
        return (a @ space.matrix_transpose(a)) @ a
    if name == "times 2":
        a = a * 1.0
        a *= 2
        return a
    kind, _, axis = name.partition(" ")
    if kind in ("sum", "max", "mean"):
        return a - getattr(space, kind)(a, axis=int(axis) if axis else None, keepdims=True)
    return getattr(space, name)(*args)


@given(
    st.lists(st.tuples(st.sampled_from(OPERATIONS), st.lists(st.integers(0, 30), min_size=4, max_size=4)), max_size=12),
    st.sampled_from([(64, 3), (40, 16), (5, 70), (33, 1), (150, 64)]),
    st.integers(0, 3),
    st.booleans(),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_random_programs_have_the_bits_of_direct_evaluation(
    program: list[Any], shape: tuple[int, int], outputs: int, loops: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba_loops, "available", lambda: loops)
        patch.setattr(tuning, "LOOP_ELEMENTS", 0)
        patch.setattr(numba_loops, "compiled", plain_loop)
        check_program(program, shape, outputs)


def check_program(program: list[Any], shape: tuple[int, int], outputs: int) -> None:
    rng = np.random.default_rng(0)

    def function(*given: Any) -> Any:
        values = [*given]
        for (name, count), places in program:
            values.append(apply(name, [values[place % len(values)] for place in places[:count]]))
        return {"last": values[-1], "some": [values[-1 - i] for i in range(min(outputs, len(values)))]}

    written = None
    for _ in range(3):  # the second time, and the third, in memory that has been used
        arrays = [rng.standard_normal(s).astype("float32") for s in (shape, (1, shape[1]), (shape[0], 1), shape)]
        arrays = [arrays[0], arrays[3], arrays[1] + arrays[0] * 0, arrays[2] + arrays[0] * 0]
        before = [x.copy() for x in arrays]
        written = written or compiled(function, tuple(arrays))
        with np.errstate(all="ignore"):
            same(written(*arrays), function(*arrays))
        same(arrays, before)
