"""Exchanges in the middle of a compiled gradient: nodes that are only called, each once, in the function's order."""

import threading

import numpy as np
import pytest
from members import members
from training_run import bits, train

import arraynn as nn
from arraynn import tree
from arraynn._array import namespace
from arraynn.backends import numpy as numpy_engine
from arraynn.backends.cupy import backend as cupy_engine
from arraynn.distributed import Parts
from arraynn.distributed._threads import _Member
from arraynn.training import step as training_step
from tests.backends import recording
from tests.backends.test_cuda_kernels import needs_compiler


class Noting:
    """The parts of a batch, all of which hold the same numbers: notes what is gathered."""

    count = 3

    def __init__(self):
        self.asked = []

    def gather(self, array):
        self.asked.append(tuple(array.shape))
        return namespace(array).stack([array] * 3)


def on_numpy(function, *arguments):
    found = numpy_engine.numpy_program(function, arguments)
    assert found is not None
    return found.run(*arguments)


def on_cupy(function, *arguments):
    with recording.recording() as gpu:
        given = [gpu.asarray(x) if isinstance(x, np.ndarray) else x for x in arguments]
        found = cupy_engine._program(function, given, ())
        assert found is not None
        return tree.map(gpu.to_numpy, found.run(*given))


@pytest.mark.parametrize("run", [on_numpy, on_cupy])
def test_exchanges_are_neither_merged_nor_dropped_nor_moved(run):
    def function(x, key):
        parts = key.fold_in(7).parts
        unread = parts.gather(x[:1])  # nobody reads it
        twice = parts.gather(x), parts.gather(x)  # equal ones
        late = parts.gather(x[:2] + 1)  # asked for before the next, which does not need it
        soon = parts.gather(x[:3])
        assert unread.shape == (3, 1, 2)
        return soon[0, ...] * 3, twice[0] - twice[1], late

    x = np.arange(10, dtype="f4").reshape(5, 2)
    for _ in range(2):
        noting = Noting()
        soon, difference, late = run(function, x, nn.Key(0).rows(0, noting))
        assert noting.asked == [(1, 2), (5, 2), (5, 2), (2, 2), (3, 2)]
        np.testing.assert_array_equal(soon, 3 * x[:3])
        assert not difference.any()
        np.testing.assert_array_equal(late[2], x[:2] + 1)


def test_a_program_with_parts_is_not_taken_for_a_key_without_and_other_counts_are_refused():
    def function(x, key):
        return x * 1.0 if key.parts is None else key.parts.gather(x)[0, ...]

    compiled = numpy_engine.numpy_program(function, (np.ones((4, 2), "f4"), nn.Key(0)))
    assert compiled is not None
    with pytest.raises(numpy_engine.signature.GuardFailed):
        compiled.run(np.ones((4, 2), "f4"), nn.Key(0).rows(0, Noting()))
    more = Noting()
    more.count = 4
    compiled = numpy_engine.numpy_program(function, (np.ones((4, 2), "f4"), nn.Key(0).rows(0, Noting())))
    for key in (nn.Key(0), nn.Key(0).rows(0, more)):
        with pytest.raises(numpy_engine.signature.GuardFailed):
            compiled.run(np.ones((4, 2), "f4"), key)


NORMALIZED = nn.Sequential(
    *(nn.Dense(6), nn.BatchNorm(), nn.ReLU(), nn.Dropout(0.2)),
    nn.Residual(nn.Sequential(nn.Dense(6), nn.BatchNorm())),
    nn.Dense(4),
)


def steps(group, shards=4, rows=22):
    """Weights, slots and logs after three steps."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((rows, 5)).astype("f4"), rng.integers(0, 4, rows)
    params, _ = NORMALIZED.init(np.random.default_rng(1), (5,))
    rule = nn.Adam(0.01)
    state = rule.init(params)
    step = nn.make_train_step(NORMALIZED, "softmax_cross_entropy", rule, workers=group, shards=shards)
    for _ in range(3):
        params, state, logs = step(params, state, (x, y, None), nn.Key(3))
    return [leaf.tobytes() for leaf in tree.leaves([params, state["slots"]])], logs


@pytest.fixture(autouse=True)
def _compiled_anew():
    """A step keeps its programs."""
    training_step._team_step.cache_clear()
    yield
    training_step._team_step.cache_clear()


@pytest.fixture
def as_it_is(monkeypatch):
    """Called: from then on gradients with exchanges in the middle are not compiled."""

    def use():
        monkeypatch.setattr(numpy_engine.NumPy, "opaque_calls", False)
        training_step._team_step.cache_clear()

    return use


@pytest.mark.parametrize("count", [1, 2, 4])
def test_all_workers_exchange_in_the_same_order_and_in_the_bits_of_the_step_as_it_is(count, as_it_is, monkeypatch):
    exchanged = {}
    exact = _Member.exact

    def noted(group, flat):
        exchanged.setdefault(group.rank, []).append((flat.size, str(flat.dtype)))
        return exact(group, flat)

    monkeypatch.setattr(_Member, "exact", noted)
    compiled = members(count, steps)
    in_order, exchanged = exchanged, {}
    as_it_is()
    assert members(count, steps) == compiled
    assert compiled == [compiled[0]] * count
    assert in_order == exchanged
    assert len({tuple(one) for one in in_order.values()}) == 1
    # two batch norms forward, two backward, the gradients, the sums
    assert len(in_order[0]) == 3 * 6


def test_the_gradient_of_a_network_with_batch_norm_is_compiled(monkeypatch):
    made = []
    program = numpy_engine.numpy_program

    def noted(function, arguments, *rest, **options):
        found = program(function, arguments, *rest, **options)
        made.append(found)
        return found

    monkeypatch.setattr(numpy_engine, "numpy_program", noted)
    steps(None)
    assert None not in made
    exchanges = [sum(node.op == "call" for node in found.graph.effects) for found in made]
    assert set(exchanges) == {0, 4}  # of the update, and of the gradient of a shard


def test_a_custom_layer_that_exchanges_runs_uncompiled_and_exchanges_once():
    """A compiled step with code from outside is compared with itself by running it again."""
    asked = []

    class Centered(nn.layers.Layer):
        batch_coupled, exchanges_parts = True, True

        def __call__(self, params, x, key=None):
            if key is None:  # a look at the outputs' shape
                return x, lambda dy, need_dx=True: (dy, {})
            asked.append(threading.get_ident())
            everyone = key.parts.gather(x.sum(axis=0))
            return x - everyone.sum(axis=0) / 16, lambda dy, need_dx=True: (dy, {})

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((16, 5)).astype("f4"), rng.integers(0, 4, 16)
    network, rule = nn.Sequential(nn.Dense(4), Centered()), nn.SGD(0.1)
    params, _ = network.init(rng, (5,))
    step = nn.make_train_step(network, "softmax_cross_entropy", rule, shards=4)
    for taken in (1, 2):
        params, _state, _ = step(params, rule.init(params), (x, y, None), nn.Key(0))
        assert len(asked) == 4 * taken


@needs_compiler
def test_on_cupy_a_gradient_with_exchanges_is_one_program(monkeypatch):
    made = []
    program = cupy_engine._program
    monkeypatch.setattr(cupy_engine, "_program", lambda *given: made.append(program(*given)) or made[-1])
    asked = []
    gather = Parts.gather
    monkeypatch.setattr(Parts, "gather", lambda parts, array: asked.append(tuple(array.shape)) or gather(parts, array))
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((16, 5)).astype("f4"), rng.integers(0, 4, 16)
    with recording.recording() as gpu:
        model = nn.Model(NORMALIZED, seed=1, backend=gpu)
        history = model.fit(x, y, epochs=2, batch_size=None, shards=1, verbose=0)
    assert None not in made
    assert sorted(sum(node.op == "call" for node in found.graph.effects) for found in made) == [0, 4]
    assert asked == [(4, 6), (4, 6), (2, 6), (2, 6)] * 2
    same = nn.Model(NORMALIZED, seed=1, backend="numpy").fit(x, y, epochs=2, batch_size=None, shards=1, verbose=0)
    np.testing.assert_allclose(history["loss"], same["loss"], rtol=1e-5)


def test_a_compiled_fit_has_the_bits_of_an_uncompiled_one(as_it_is):
    compiled = bits(*train(shards=8, epochs=2))
    as_it_is()
    assert bits(*train(shards=8, epochs=2)) == compiled
