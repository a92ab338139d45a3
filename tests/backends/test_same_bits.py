"""The same bits on any number of cores, threads and workers, for every plan, in processes of their own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import arraynn as nn
from arraynn.backends import cores, products, threads

ROOT = Path(__file__).parents[2]

# What is hashed: weights after a few steps of every plan, and predictions.
RUNS = """
import hashlib, json, os, sys, threading
import numpy as np
import arraynn as nn
from arraynn import tree
from arraynn.backends import threads
import threadpoolctl

def blas():
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

def hashed(nest):
    parts = [np.ascontiguousarray(leaf).tobytes() for leaf in tree.leaves(nest)]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]

def network(widths):
    layers = [layer for width in widths[:-1] for layer in (nn.Dense(width), nn.ReLU(), nn.Dropout(0.1))]
    return nn.Sequential(*layers, nn.Dense(widths[-1]))

def data(rows, n_in, classes):
    rng = np.random.default_rng(1)
    return rng.standard_normal((rows, n_in), dtype="float32"), rng.integers(0, classes, rows)

def steps(widths, rows, n_in, count=3, dtype="float32", **options):
    net, optimizer = network(widths), nn.Adam(0.01)
    params, _ = net.init(np.random.default_rng(0), (n_in,), dtype)
    state, step = optimizer.init(params), nn.make_train_step(net, nn.softmax_cross_entropy, optimizer, **options)
    x, y = data(rows, n_in, widths[-1])
    for _ in range(count):
        params, state, _ = step(params, state, (x.astype(dtype), y, None), nn.Key(5))
    return hashed([params, state["slots"]])

class Refused(nn.SGD):  # a rule that the compiler does not take, so that the step runs as it is
    def update_one(self, p, g, slots, c):
        float(g[(0,) * g.ndim])
        return super().update_one(p, g, slots, c)

def as_it_is():
    net, optimizer = network((300, 200, 10)), Refused(0.01)
    params, _ = net.init(np.random.default_rng(0), (200,))
    state, step = optimizer.init(params), nn.make_train_step(net, nn.softmax_cross_entropy, optimizer)
    x, y = data(256, 200, 10)
    for _ in range(3):
        params, state, _ = step(params, state, (x, y, None), nn.Key(5))
    return hashed(params)

def by_hand():
    x, y = data(128, 300, 10)
    net = nn.Sequential(nn.Dense(300), nn.ReLU(), nn.Dense(10))
    params, _ = net.init(np.random.default_rng(0), (300,))
    with nn.backend("numpy").context():
        outputs, backward = net(params, x)
        loss, loss_backward = nn.softmax_cross_entropy(outputs, y)
        return hashed([outputs, backward(loss_backward())[1]])

def fit():
    x, y = data(600, 300, 10)
    model = nn.Model(network((512, 10)), loss="softmax_cross_entropy", optimizer="adam", seed=0, backend="numpy")
    model.fit(x, y, epochs=1, batch_size=256, verbose=0)
    return hashed([model.params, model.predict_proba(x)])

PLANS = {
    "one pass": lambda: steps((512, 512, 10), 128, 784, clip_norm=1.0),
    "one pass, float64": lambda: steps((400, 10), 128, 500, 2, "float64"),
    "row blocks": lambda: steps((512, 3), 3000, 2),
    "small": lambda: steps((64, 3), 300, 2),
    "halves": lambda: steps((300, 200, 10), 256, 200, shards=4),
    "as it is": as_it_is,
    "by hand": by_hand,
    "fit and inference": fit,
}

def all_plans():
    return {name: run() for name, run in PLANS.items()}

def elsewhere():
    found = []
    thread = threading.Thread(target=lambda: found.append(all_plans()))
    thread.start()
    thread.join()
    return found[0]

def forked():
    there, here = os.pipe()
    child = os.fork()
    if not child:
        os.write(here, json.dumps([all_plans(), blas()]).encode())
        os._exit(0)
    os.close(here)
    with os.fdopen(there) as file:
        found, counts = json.loads(file.read())
    os.waitpid(child, 0)
    assert counts == blas(), (counts, blas())
    return found

steps((512, 3), 3000, 2)  # Numba, where it is installed, brings a BLAS of its own along
before = blas()
found = {"off": elsewhere()} if "off" in sys.argv else {"on": all_plans()}
if "fork" in sys.argv:
    found["fork"] = forked()
assert blas() == before, (blas(), before)
print(json.dumps(found))
"""


def hashes(*places, taskset=False, **environment):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARRAYNN_NUM_THREADS", "ARRAYNN_STRICT_COMPILE")
    own = {name: value for name, value in os.environ.items() if name not in names}
    own |= {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), **environment}
    command = [*(["taskset", "-c", "0"] if taskset else []), sys.executable, "-W", "ignore", "-c", RUNS, *places]
    done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    first, *others = found.values()
    assert all(other == first for other in others), found
    return first


@pytest.fixture(scope="module")
def reference():
    return hashes("on", ARRAYNN_NUM_THREADS="1")


@pytest.mark.parametrize("count", ["2", "3", "4"])
def test_any_number_of_threads_gives_the_same_bits(reference, count):
    assert hashes("on", ARRAYNN_NUM_THREADS=count) == reference


def test_off_the_main_thread_and_after_a_fork_bits_are_the_same(reference):
    places = ["off"] + (["fork"] if hasattr(os, "fork") and sys.platform != "darwin" else [])
    assert hashes(*places, ARRAYNN_NUM_THREADS="2") == reference


def test_one_thread_of_blas_gives_the_same_bits(reference):
    assert hashes("on", OPENBLAS_NUM_THREADS="1") == reference


@pytest.mark.skipif(shutil.which("taskset") is None, reason="taskset is not installed")
def test_one_core_gives_the_same_bits(reference):
    assert hashes("on", taskset=True) == reference


# ---------------------------------------------------------------- tiles

SHAPES = [(128, 784, 512), (512, 128, 784), (500, 37, 300), (3000, 2, 1024), (70, 70, 1100), (2500, 3000, 1)]


@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
@pytest.mark.parametrize("order", ["CC", "CF", "FC"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_product_in_tiles_has_the_bits_of_one_call(monkeypatch, m, k, n, order, dtype):
    monkeypatch.setenv("ARRAYNN_NUM_THREADS", "2")
    rng = np.random.default_rng(7)
    a, b = (
        np.asarray(rng.standard_normal(s).astype(dtype), order=o) for s, o in zip([(m, k), (k, n)], order, strict=True)
    )
    out = np.full((m, n), np.nan, dtype)
    with nn.backend("numpy").context():
        threads.together(products.tasks(a, b, out))
        np.testing.assert_array_equal(out, a @ b)


def test_tiles_that_differ_are_not_taken(monkeypatch):
    monkeypatch.setenv("ARRAYNN_NUM_THREADS", "2")
    tried = []

    def differs(a, b, whole, tiling, beside):
        tried.append(tiling)
        return tiling[0] == 0 and len(tiling[1]) == 2

    monkeypatch.setattr(products, "_same", differs)
    products._admitted.cache_clear()
    a, b, out = np.ones((512, 512), "float32"), np.ones((512, 512), "float32"), np.empty((512, 512), "float32")
    try:
        with nn.backend("numpy").context():
            assert len(products.tasks(a, b, out)) == 2
            monkeypatch.setattr(products, "_same", lambda *_: False)
            products._admitted.cache_clear()
            assert len(products.tasks(a, b, out)) == 1
    finally:
        products._admitted.cache_clear()
    assert len(tried) == len(products.tilings(512, 512, 512)) > 1


def test_a_trial_finds_tiles_of_other_bits(monkeypatch):
    """A product that adds up small ones backwards, as a library may."""
    plain = np.matmul

    def backwards(a, b, out=None):
        found = plain(a[:, ::-1], b[::-1]) if a.shape[0] < 512 else plain(a, b)
        if out is None:
            return found
        out[...] = found
        return out

    monkeypatch.setattr(np, "matmul", backwards)
    products._admitted.cache_clear()
    try:
        with threads.limit():
            found = products._admitted(512, 512, 512, np.dtype("float32"), "C", "C", 2)
    finally:
        products._admitted.cache_clear()
    assert found is not None
    assert found[0] == 1  # columns: the rows of a tile are all


@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
def test_tiles_cover_the_result_once(m, k, n):
    for axis, parts in [tiling for workers in (2, 3, 64) for tiling in products.tilings(m, k, n, workers)]:
        assert [i for part in parts for i in range(part.start, part.stop)] == [*range((m, n)[axis])]
        assert 2 <= len(parts) <= 64
        assert all((part.stop - part.start) % products.UNIT == 0 for part in parts[:-1])


def test_a_product_with_itself_small_ones_and_odd_layouts_stay_whole(monkeypatch):
    monkeypatch.setenv("ARRAYNN_NUM_THREADS", "2")
    x = np.random.default_rng(0).standard_normal((512, 512), dtype="float32")
    out, small = np.empty_like(x), np.ones((64, 64), "float32")
    with nn.backend("numpy").context():
        assert len(products.tasks(x, x.copy(), out)) > 1
        assert len(products.tasks(x, x.T, out)) == 1  # BLAS has a function of its own for it
        assert len(products.tasks(np.repeat(x, 2, axis=1)[:, ::2], x.copy(), out)) == 1
        assert len(products.tasks(small, small.copy(), np.empty_like(small))) == 1
    assert len(products.tasks(x, x.copy(), out)) == 1  # outside of a run nobody helps


def test_a_product_in_a_task_is_no_task_of_others(monkeypatch):
    monkeypatch.setenv("ARRAYNN_NUM_THREADS", "2")
    x = np.ones((512, 512), "float32")
    with nn.backend("numpy").context():
        counts = threads.run(lambda _: len(products.tasks(x, x.copy(), np.empty_like(x))), range(3))
    assert counts == [1, 1, 1]


def test_who_is_within_a_run_has_a_core_that_others_do_not_get(monkeypatch):
    monkeypatch.setenv("ARRAYNN_NUM_THREADS", "2")
    found = []

    def run():
        with threads.limit():
            found.append(threads.helpers())

    import threading

    with threads.limit():
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert found == [0]


def test_threads_follow_what_blas_was_allowed(monkeypatch):
    import threadpoolctl

    monkeypatch.delenv("ARRAYNN_NUM_THREADS", raising=False)
    with threadpoolctl.threadpool_limits(1):
        assert cores.available() == 1
        with nn.backend("numpy").context():
            assert threads.helpers() == 0
