"""The NumPy backend's replacements of the hooks, against the portable defaults, and the threads they use."""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl

import arraynn as nn
from arraynn import tree
from arraynn.backends import numpy as numpy_backend
from arraynn.backends import threads
from arraynn.backends.base import Backend
from arraynn.backends.numpy import NumPy

HERE = Path(__file__).parent
NETWORK = nn.Sequential(
    nn.Dense(300, weight_regularizer=nn.L2(1e-3)), nn.ReLU(), nn.Dropout(0.2), nn.Dense(200), nn.Tanh(), nn.Dense(3)
)
ROWS = 5000


def data(dtype="float32"):
    rng = np.random.default_rng(1)
    x, labels = rng.standard_normal((ROWS, 2)).astype(dtype), rng.integers(0, 3, ROWS)
    return x, labels, rng.uniform(0.1, 1.0, ROWS).astype(dtype)


def train(steps=3, network=NETWORK):
    params, _ = network.init(np.random.default_rng(0), (2,))
    optimizer = nn.Adam(0.01)
    state, step = optimizer.init(params), nn.make_train_step(network, nn.softmax_cross_entropy, optimizer)
    logs = {}
    for _ in range(steps):
        params, state, logs = step(params, state, data(), nn.Key(5))
    return tree.leaves([params, state["slots"], logs["data_loss"]])


@pytest.fixture(scope="module", autouse=True)
def loaded():
    """Numba, where it is installed, brings a BLAS of its own along when it first compiles."""
    train(1)


def blas_threads():
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


def gradients(backend, dtype):
    params, _ = NETWORK.init(np.random.default_rng(0), (2,), dtype)
    batch = data(dtype)

    def gradient(params, rows, key, total):
        x, labels, weight = rows
        outputs, backward = NETWORK(params, x, key)
        loss, loss_backward = nn.softmax_cross_entropy(outputs, labels, sample_weight=weight, total=total)
        return {"loss": loss}, backward(loss_backward(), need_dx=False)[1]

    plan = backend.plan(params, batch, False)
    return plan, tree.leaves(backend.accumulate(gradient, params, batch, nn.Key(3), float(batch[2].sum()), plan))


def test_row_blocks_give_the_gradient_of_one_pass():
    plan, blocked = gradients(NumPy, "float64")
    assert len(plan.blocks) > 1
    assert sum(part.stop - part.start for part in plan.blocks) == ROWS
    none, whole = gradients(Backend, "float64")
    assert not none.blocks
    for a, b in zip(blocked, whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-14)


def test_blocks_summed_a_few_at_a_time_give_the_same_bits(monkeypatch):
    monkeypatch.setattr(numpy_backend, "BLOCK", numpy_backend.BLOCK // 4)
    plan, whole = gradients(NumPy, "float32")
    monkeypatch.setattr(numpy_backend, "TOGETHER", 3)
    assert len(plan.blocks) > 6
    for a, b in zip(gradients(NumPy, "float32")[1], whole, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("workers", ["2", "8"])
def test_any_number_of_workers_gives_the_same_bits(monkeypatch, workers):
    results = []
    for count in ("1", workers):
        monkeypatch.setenv("ARRAYNN_NUM_THREADS", count)
        with nn.backend("numpy").context():
            results.append(train())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_plan_follows_from_shapes_alone(monkeypatch):
    params, _ = NETWORK.init(np.random.default_rng(0), (2,))
    plans = []
    for count in ("1", "8"):
        monkeypatch.setenv("ARRAYNN_NUM_THREADS", count)
        with nn.backend("numpy").context():
            plans.append(NumPy.plan(params, data(), False))
    assert plans[0] == plans[1]
    assert str(ROWS) in plans[0].why


@pytest.mark.parametrize(
    ("widths", "rows"), [((64, 3), 300), ((512, 512, 10), 128), ((4096, 1000), 512)], ids=["small", "products", "wide"]
)
def test_small_batches_and_those_where_products_dominate_take_one_pass(widths, rows):
    params, shape = [], 784
    for width in widths:
        params.append({"weight": np.zeros((shape, width), "float32"), "bias": np.zeros(width, "float32")})
        shape = width
    plan = NumPy.plan(params, (np.zeros((rows, 784), "float32"), np.zeros(rows, int), None), False)
    assert not plan.blocks
    assert plan.why.startswith("one pass")


def test_a_layer_that_couples_rows_is_never_split():
    params, _ = NETWORK.init(np.random.default_rng(0), (2,))
    assert NumPy.plan(params, data(), True).blocks == ()


@pytest.mark.parametrize(
    "optimizer",
    [nn.SGD(0.1), nn.SGD(0.1, momentum=0.9, nesterov=True), nn.Adagrad(0.1), nn.RMSProp(0.1), nn.Adam(0.1)],
    ids=lambda o: type(o).__name__,
)
@pytest.mark.parametrize("workers", ["1", "4"])
def test_slices_give_the_bits_of_the_whole(monkeypatch, optimizer, workers):
    monkeypatch.setenv("ARRAYNN_NUM_THREADS", workers)
    rng = np.random.default_rng(0)
    shape = (3, numpy_backend.SLICE // 2 + 7)  # two slices, the last one short
    p, g = (rng.standard_normal(shape).astype("float32") for _ in range(2))
    whole, slots = p.copy(), optimizer.init_one(p)
    sliced = p.copy()
    state = optimizer.init(sliced)
    with nn.backend("numpy").context():
        for step in range(3):
            whole, slots = optimizer.update_one(whole, g, slots, optimizer.scalars(step))
            sliced, state = optimizer.update(sliced, g, state)
    np.testing.assert_array_equal(sliced, whole)
    for name, slot in slots.items():
        np.testing.assert_array_equal(state["slots"][name], slot)


@dataclass(frozen=True)
class Rebinding(nn.Optimizer):
    """A rule that makes new arrays instead of writing in place."""

    def init_one(self, p):
        return {"n": np.zeros_like(p)}

    def update_one(self, p, g, slots, c):
        n = slots["n"] + 1
        return p - c["lr"] * g * n, {"n": n}


@pytest.mark.parametrize(
    "optimizer", [nn.SGD(0.1, momentum=0.9), nn.Adam(0.1), nn.AdamW(0.1), nn.Lion(0.1), nn.Adadelta()]
)
def test_a_gradient_that_is_the_parameter_itself_is_read_as_it_was(optimizer):
    p = np.random.default_rng(0).standard_normal(numpy_backend.SLICE + 7).astype("float32")
    ours, theirs = (p.copy(), optimizer.init(p)), (p.copy(), optimizer.init(p))
    with nn.backend("numpy").context():
        for _ in range(3):
            ours = optimizer.update(ours[0], ours[0], ours[1])
            theirs = optimizer.update(theirs[0], theirs[0].copy(), theirs[1])
    for one, other in zip(tree.leaves(ours), tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["contiguous", "transposed", "rebinding"])
def test_memory_that_cannot_be_sliced_is_updated_all_the_same(kind):
    optimizer = Rebinding(0.5)
    p = np.ones((300, 400), "float32")
    g = np.full((300, 400), 2.0, "float32")
    if kind == "transposed":
        p, g = p.T, g.T
    state = optimizer.init(p)
    for _ in range(2):
        p, state = optimizer.update(p, g, state)
    np.testing.assert_array_equal(p, np.full(p.shape, 1 - 0.5 * 2 * (1 + 2), "float32"))
    np.testing.assert_array_equal(state["slots"]["n"], np.full(p.shape, 2.0, "float32"))


def test_blas_is_held_to_one_thread_within_a_fit_and_given_back(monkeypatch):
    monkeypatch.setenv("ARRAYNN_NUM_THREADS", "2")
    before, seen = blas_threads(), []
    with nn.backend("numpy").context():
        assert blas_threads() == [1] * len(before)
        threads.run(lambda _: seen.append(blas_threads()), range(3))
    assert seen == [[1] * len(before)] * 3
    assert blas_threads() == before


def test_two_runs_at_once_leave_blas_as_it_was_and_have_the_same_bits():
    before, results = blas_threads(), []

    def run():
        with nn.backend("numpy").context():
            results.append(train())

    others = [threading.Thread(target=run) for _ in range(2)]
    for thread in others:
        thread.start()
    with nn.backend("numpy").context():
        results.append(train())
    for thread in others:
        thread.join()
    assert blas_threads() == before
    assert len(results) == 3
    for other in results[1:]:
        for a, b in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_off_the_main_thread_workers_help_as_well(monkeypatch):
    monkeypatch.setenv("ARRAYNN_NUM_THREADS", "2")
    before, names, both = blas_threads(), [], threading.Barrier(2, timeout=60)

    def who(_):
        both.wait()
        names.append(threading.current_thread().name)

    def run():
        with nn.backend("numpy").context():
            threads.run(who, range(2))
            names.append(blas_threads())

    thread = threading.Thread(target=run, name="mine")
    thread.start()
    thread.join()
    assert names.pop() == [1] * len(before)
    assert "mine" in names
    assert len(set(names)) == 2
    assert blas_threads() == before


def test_a_limit_of_the_users_is_given_back_after_a_run_in_another_thread():
    """threadpoolctl lets one thread speak to OpenBLAS; a run in another neither is deaf nor takes the user's word."""
    before, seen = blas_threads(), []

    def run():
        with nn.backend("numpy").context():
            seen.append(blas_threads())
        seen.append(blas_threads())

    with threadpoolctl.threadpool_limits(dict.fromkeys(("openblas", "mkl", "blis"), 3)):
        held = blas_threads()
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert seen == [[1] * len(before), held]
    assert blas_threads() == before


def test_a_step_by_itself_holds_blas_and_gives_it_back():
    before, seen = blas_threads(), []

    @dataclass(frozen=True)
    class Watching(nn.Optimizer):
        elementwise = False

        def init_one(self, p):
            return {}

        def update_one(self, p, g, slots, c):
            seen.append(blas_threads())
            return p - g, slots

    params, _ = NETWORK.init(np.random.default_rng(0), (2,))
    optimizer = Watching(0.1)
    step = nn.make_train_step(NETWORK, nn.softmax_cross_entropy, optimizer)
    step(params, optimizer.init(params), data(), nn.Key(5))
    assert seen
    assert all(one == [1] * len(before) for one in seen)
    assert blas_threads() == before


@pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="fork is not safe here")
def test_a_child_that_was_forked_within_a_run_leaves_it_and_holds_blas_anew():
    code = """
import os, sys
import arraynn as nn
from test_numpy_engine import blas_threads
before = blas_threads()
with nn.backend("numpy").context():
    child = os.fork()
if not child:
    assert blas_threads() == before, "left"
    with nn.backend("numpy").context():
        assert blas_threads() == [1] * len(before), "held"
    assert blas_threads() == before, "given back"
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert blas_threads() == before
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_where_no_thread_can_be_started_the_caller_does_it_all(monkeypatch):
    monkeypatch.setenv("ARRAYNN_NUM_THREADS", "5")

    def refused(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    with nn.backend("numpy").context():
        assert threads.run(abs, range(-9, 0)) == [*range(9, 0, -1)]
    monkeypatch.undo()
    threads._of(0)  # that pool is nobody's


def test_tasks_within_a_task_are_done_by_who_asks_for_them(monkeypatch):
    monkeypatch.setenv("ARRAYNN_NUM_THREADS", "2")

    def outer(i):
        return i, threads.helpers(), threads.run(lambda j: 10 * i + j, range(3))

    with nn.backend("numpy").context():
        assert threads.helpers() == 1
        assert threads.run(outer, range(4)) == [(i, 0, [10 * i, 10 * i + 1, 10 * i + 2]) for i in range(4)]
        assert threads.helpers() == 1
    assert threads.helpers() == 0


def test_a_wrong_number_of_threads_is_refused(monkeypatch):
    monkeypatch.setenv("ARRAYNN_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="ARRAYNN_NUM_THREADS must be an integer"), nn.backend("numpy").context():
        pass
    monkeypatch.delenv("ARRAYNN_NUM_THREADS")
    with nn.backend("numpy").context():  # nothing is held by who was refused
        assert threads.run(abs, range(3)) == [0, 1, 2]


def test_the_caller_works_too_and_results_stand_in_order(monkeypatch):
    monkeypatch.setenv("ARRAYNN_NUM_THREADS", "2")
    both = threading.Barrier(2, timeout=60)  # passed only where two threads are in it

    def who(i):
        both.wait()
        return i, threading.current_thread()

    with nn.backend("numpy").context():
        found = threads.run(who, range(2))
    assert [i for i, _ in found] == [0, 1]
    assert threading.current_thread() in [thread for _, thread in found]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("raiser", ["the caller", "the other"])
def test_an_error_ends_the_work_when_what_has_begun_is_done(monkeypatch, error, raiser):
    monkeypatch.setenv("ARRAYNN_NUM_THREADS", "2")
    both = threading.Barrier(2, timeout=60)
    done, begun = [], []

    def work(i):
        begun.append(i)
        if i < 2:
            both.wait()
        if (threading.current_thread() is threading.main_thread()) == (raiser == "the caller"):
            raise error
        np.ones(100_000).sum()  # without Python's lock, so that the other thread gets on
        done.append(i)

    with nn.backend("numpy").context(), pytest.raises(error):
        threads.run(work, range(5000))
    assert len(done) >= 1
    assert len(begun) == len(done) + 1  # nobody is within it any more
    assert len(begun) < 5000


FORKING = """
import multiprocessing
import numpy as np
import arraynn as nn
from test_numpy_engine import blas_threads, train

def child(queue):
    with nn.backend("numpy").context():
        leaves = train()
    queue.put(([np.asarray(leaf) for leaf in leaves], blas_threads()))

train(1)  # Numba, where it is installed, brings a BLAS of its own along
before = blas_threads()
context = multiprocessing.get_context("fork")
with nn.backend("numpy").context():
    here = train()  # makes the pool, and holds BLAS
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    there, threads = queue.get(timeout=60)
    process.join()
assert threads == before, (threads, before)
assert all(np.array_equal(a, b) for a, b in zip(here, there, strict=True))
"""


@pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="fork is not safe here")
def test_a_run_after_a_fork_within_a_run_is_right():
    # in a process of its own: other libraries' threads, where they are imported here, do not survive a fork
    environment = {**os.environ, "ARRAYNN_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_cores_are_at_least_one_and_no_more_than_there_are():
    assert 1 <= threads.cores() <= (os.cpu_count() or 1)


def plan_of(network, x, params_shape=None):
    params, _ = network.init(np.random.default_rng(0), params_shape or x.shape[1:])
    return NumPy.plan(params, (x, np.zeros(len(x), int), None), False)


def test_a_kernel_is_used_at_every_place_of_an_image():
    network = nn.Sequential(nn.Conv2D(20, 5), nn.ReLU(), nn.MaxPool2D(), nn.Flatten(), nn.Dense(10))
    plan = plan_of(network, np.zeros((128, 28, 28, 1), "float32"))
    assert f"128 rows of {28 * 28 * 20 + 10} intermediate numbers" in plan.why
    assert len(plan.blocks) > 1


def test_a_matrix_is_used_at_every_place_of_a_sequence_and_once_behind_flatten():
    x = np.zeros((64, 50, 8), "float32")
    assert f"of {50 * (32 + 4)} intermediate" in plan_of(nn.Sequential(nn.Dense(32), nn.ReLU(), nn.Dense(4)), x).why
    words = np.zeros((64, 50), int)
    assert f"of {50 * (16 + 4)} intermediate" in plan_of(nn.Sequential(nn.Embedding(9, 16), nn.Dense(4)), words).why
    assert "of 4 intermediate" in plan_of(nn.Sequential(nn.Flatten(), nn.Dense(4)), x).why
