"""Steps as CUDA graphs, on the recording stand-in: while its stream captures, it computes nothing and refuses what CUDA
and CuPy refuse; a launch does what was asked for, at the addresses of that time. So what is proved here is which calls
are captured, that their addresses stay valid, and that the numbers are those of the same step as kernels."""

from __future__ import annotations

import gc
import logging
import math
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn.backends.cupy import capture, cublas, launching
from arraynn.backends.cupy.backend import CuPy
from arraynn.compiler import opaque
from arraynn.training import loop
from arraynn.training.step import compiled_step
from tests.backends import recording, streams
from tests.backends.recording import CALLS
from tests.backends.test_cuda_kernels import needs_compiler
from tests.backends.test_cupy_conformance import LABELS, RUNS, X, every_run, prepared

pytestmark = needs_compiler
NETWORK = nn.Sequential(nn.Dense(5), nn.ReLU(), nn.Dropout(0.3), nn.Dense(3))
RUN = NETWORK, nn.softmax_cross_entropy, LABELS, nn.Adam(nn.InverseTimeDecay(0.05, 0.1))
GRAPH = ["load", "graph"]


@contextmanager
def after(calls: float) -> Iterator[None]:
    """Graphs are made at that call for the same parameters, from the second one on; never at an infinite one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capture, "AFTER", calls)
        compiled_step.cache_clear()
        yield
    compiled_step.cache_clear()


def started() -> list[str]:
    """What was started on the GPU since CALLS was emptied."""
    return [call.function for call in CALLS if not call.free]


@dataclass
class Taken:
    """What some steps came to. leaves : of params, slots and all logs. asked : what each step started. calls : of all
    steps, those of a capture too. graphs : launched."""

    leaves: list[Any]
    asked: list[list[str]]
    calls: list[Any]
    graphs: int


def taken(backend: Any, calls: float, *args: Any, steps: int = 5, **options: Any) -> Taken:
    """So many steps from the same state, with graphs made at that call."""
    graphs, call = 0, capture.Graph.__call__

    def counted(self: Any, *arguments: Any) -> Any:
        nonlocal graphs
        graphs += 1
        return call(self, *arguments)

    with after(calls), np.errstate(all="ignore"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(capture.Graph, "__call__", counted)
        step, params, state, batch, _ = prepared(backend, *args, **options)
        logs, asked, every = [], [], []
        for _ in range(steps):
            CALLS.clear()
            params, state, own = step(params, state, (*batch, None), nn.Key(0))
            logs.append(own)
            asked.append(started())
            every += CALLS
        leaves = [leaf.get() if hasattr(leaf, "get") else leaf for leaf in tree.leaves([params, state["slots"], logs])]
    return Taken(leaves, asked, every, graphs)


def same_bits(got: list[Any], want: list[Any]) -> None:
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_array_equal(a, b)


@contextmanager
def warnings_of_the_log() -> Iterator[list[str]]:
    """What arraynn logs as a warning."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("arraynn")
    log.addHandler(handler)
    try:
        yield said
    finally:
        log.removeHandler(handler)


@cache
def both(run: str) -> tuple[Taken, Taken]:
    """Steps with a graph, and the same as kernels."""
    args, options = RUNS[run]
    with recording.recording() as gpu, warnings_of_the_log() as said:
        pair = taken(gpu, 1, *args, **options), taken(gpu, math.inf, *args, **options)
    assert said == []
    return pair


@every_run
def test_captured_steps_have_the_bits_of_those_as_kernels(run: str) -> None:
    """Every layer, loss and optimizer, compiled: numbers, moments and the losses of all steps."""
    got, want = both(run)
    same_bits(got.leaves, want.leaves)
    assert (got.graphs, want.graphs) == (4, 0)
    assert [names[:2] for names in got.asked[2:]] == [GRAPH] * 3
    assert {*got.asked[-1][2:]} <= {"add"}  # the loss with its penalty, which is made outside of the compiled step


# ---------------------------------------------------------------- in a training


def fitted(backend: Any, calls: float, rows: int = 4, **options: Any) -> tuple[nn.Model, list[list[str]]]:
    """A model after a fit, and what was started by each batch and what follows it."""
    asked: list[list[str]] = []

    class Watch(nn.Callback):
        every_epoch = False

        def on_batch_end(self, model: Any) -> None:
            asked.append(started())
            CALLS.clear()

    with after(calls), pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "FETCH_SECONDS", 1e9)  # what is fetched ten times a second is not the step's
        model = nn.Model(NETWORK, optimizer=nn.Adam(0.05), backend=backend, **options)
        model.fit(X, LABELS, epochs=6, batch_size=rows, callbacks=[Watch()], verbose=0)
    return model, asked


def test_a_step_of_a_training_is_two_launches_after_its_batch_is_taken() -> None:
    with recording.recording() as gpu:
        model, asked = fitted(gpu, 3)
        want, _ = fitted(gpu, math.inf)
        for a, b in zip(tree.leaves([model.params, model.state]), tree.leaves([want.params, want.state]), strict=True):
            np.testing.assert_array_equal(recording.bare(a), recording.bare(b))
    assert asked[-1] == ["take", "take", *GRAPH]
    assert model.history["loss"] == want.history["loss"]  # whose numbers waited on the device for the end of the epoch


def test_a_shorter_last_batch_has_a_graph_of_its_own() -> None:
    with recording.recording() as gpu:
        model, asked = fitted(gpu, 2, rows=5)  # of 8
        want, _ = fitted(gpu, math.inf, rows=5)
    assert [names[-2:] for names in asked[-4:]] == [GRAPH] * 4
    assert model.history["loss"] == want.history["loss"]


def test_a_fit_that_goes_on_from_copies_gets_new_graphs() -> None:
    """A second fit works on copies of the weights, which lie elsewhere."""

    def both_fits(backend: Any, calls: float) -> tuple[Any, list[str]]:
        model, _ = fitted(backend, calls)
        with after(calls):
            model.fit(X, LABELS, epochs=4, batch_size=4, verbose=0)
            return model.history["loss"], started()

    with recording.recording() as gpu:
        losses, asked = both_fits(gpu, 1)
        assert losses == both_fits(gpu, math.inf)[0]
    assert "graph" in asked


# ---------------------------------------------------------------- where parameters and inputs lie


class Steps:
    """A step by hand: state, batch, and what was logged."""

    def __init__(self, backend: Any, seed: int = 0, run: Any = RUN) -> None:
        self.step, self.params, self.state, self.batch, _ = prepared(backend, *run, seed=seed)
        self.logs: list[Any] = []

    def take(self, count: int = 1, batch: Any = None) -> list[str]:
        """What the last step started."""
        with np.errstate(all="ignore"):
            for _ in range(count):
                CALLS.clear()
                given = (*(batch or self.batch), None)
                self.params, self.state, own = self.step(self.params, self.state, given, nn.Key(0))
                self.logs.append(own)
        return started()

    def leaves(self) -> list[Any]:
        found = tree.leaves([self.params, self.state["slots"], self.logs])
        return [leaf.get() if hasattr(leaf, "get") else leaf for leaf in found]


def captured(asked: list[str]) -> bool:
    return asked[:2] == GRAPH


@pytest.fixture
def gpu() -> Iterator[Any]:
    with recording.recording() as opened:
        yield opened


@pytest.fixture
def soon() -> Iterator[None]:
    with after(1):
        yield


def as_kernels(gpu: Any, *plans: Any, **options: Any) -> list[list[Any]]:
    """The leaves after these numbers of steps, each by a model of its own, without graphs."""
    with after(math.inf):
        found = []
        for seed, count in enumerate(plans):
            steps = Steps(gpu, seed, **options)
            steps.take(count)
            found.append(steps.leaves())
        return found


def test_losses_of_earlier_steps_stay_what_they_were(gpu: Any, soon: None) -> None:
    steps = Steps(gpu)
    steps.take(8)
    known = [float(recording.bare(logs["loss"])) for logs in steps.logs]
    assert len(set(known)) == 8
    steps.take(8)
    assert [float(recording.bare(logs["loss"])) for logs in steps.logs[:8]] == known
    places = [logs["data_loss"].data.ptr for logs in steps.logs]
    assert len(set(places)) == 16


def test_a_step_makes_one_array_for_each_log_and_nothing_else(gpu: Any, soon: None) -> None:
    """Whatever the number of steps that wait: no memory is asked for that a log does not hold."""
    steps = Steps(gpu)
    steps.take(4)
    for _ in range(5):
        assert steps.take() == GRAPH
        logs = [leaf for leaf in tree.leaves(steps.logs[-1]) if hasattr(leaf, "device")]
        assert len(logs) == 3
        assert sum(call.function == "empty" for call in CALLS) == len(logs)


def test_two_models_take_turns_with_graphs_of_their_own(gpu: Any, soon: None) -> None:
    """Equal networks share one compiled step."""
    first, second = Steps(gpu, 0), Steps(gpu, 1)
    asked = []
    for _ in range(5):
        asked += [first.take(), second.take()]
    assert all(map(captured, asked[-4:]))
    for got, want in zip((first, second), as_kernels(gpu, 5, 5), strict=True):
        same_bits(got.leaves(), want)


def test_parameters_that_lie_elsewhere_at_each_step_run_as_kernels(gpu: Any) -> None:
    kept = []
    with after(3):
        steps = Steps(gpu)
        for _ in range(6):
            assert not captured(steps.take())
            kept.append((steps.params, steps.state))  # so that their memory is not taken again
            steps.params = tree.copy(steps.params)
            steps.state = steps.state | {"slots": tree.copy(steps.state["slots"])}
        same_bits(steps.leaves(), as_kernels(gpu, 6)[0])


def test_inputs_may_lie_anywhere_and_anyhow(gpu: Any, soon: None) -> None:
    """Other arrays, parts of larger ones, transposed ones: all are copied to where the graph reads them."""
    steps, x = Steps(gpu), gpu.asarray(X)
    larger = gpu.asarray(np.concatenate([X, X, X]))
    turned = gpu.xp.matrix_transpose(gpu.asarray(np.ascontiguousarray(X.T)))
    assert not turned.flags.c_contiguous
    steps.take(3)
    for other in (x, larger[8:16, ...], turned):
        asked = steps.take(batch=(other, steps.batch[1]))
        assert [name for name in asked if name != "setitem"][:2] == GRAPH
    same_bits(steps.leaves(), as_kernels(gpu, 6)[0])


def test_other_data_give_other_numbers(gpu: Any, soon: None) -> None:
    def trained_on(calls: float) -> list[Any]:
        with after(calls):
            steps = Steps(gpu)
            for i in range(6):
                steps.take(batch=(gpu.asarray(X + i), gpu.asarray((LABELS + i) % 3)))
            return steps.leaves()

    same_bits(trained_on(1), trained_on(math.inf))


@pytest.fixture
def pools(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Weak references to the pools of the graphs that are made."""
    made: list[Any] = []

    class Pool(streams.MemoryPool):
        def __init__(self) -> None:
            super().__init__()
            made.append(weakref.ref(self))

    monkeypatch.setattr(sys.modules["cupy"].cuda, "MemoryPool", Pool)
    return made


def test_a_graph_keeps_no_parameters_alive_and_its_memory_goes_with_them(gpu: Any, soon: None, pools: Any) -> None:
    steps = Steps(gpu)
    assert captured(steps.take(4))
    leaves = [weakref.ref(leaf) for leaf in tree.leaves(steps.params)]
    gc.collect()
    assert pools[0]() is not None
    del steps
    gc.collect()
    assert [leaf() for leaf in [*leaves, *pools]] == [None] * (len(leaves) + 1)


def test_the_memory_of_a_graph_goes_with_its_step(gpu: Any, pools: Any) -> None:
    with after(1):
        steps = Steps(gpu)
        assert captured(steps.take(4))
    del steps.step  # the compiled step is forgotten at the end of `after`
    gc.collect()
    assert pools[0]() is None


def test_a_graphs_memory_does_not_wait_for_the_garbage_collector(gpu: Any, soon: None, pools: Any) -> None:
    steps = Steps(gpu)
    gc.collect()
    gc.disable()
    try:
        assert captured(steps.take(4))
        steps.params[0]["weight"] = tree.copy(steps.params[0]["weight"])
        assert pools[0]() is None
    finally:
        gc.enable()


def test_many_models_that_take_turns_make_ever_fewer_graphs(gpu: Any, soon: None) -> None:
    models = [Steps(gpu, seed) for seed in range(capture.GRAPHS + 2)]
    made, init = 0, capture.Graph.__init__

    def counted(self: Any, *args: Any) -> None:
        nonlocal made
        made += 1
        init(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capture.Graph, "__init__", counted)
        for _ in range(12):
            for steps in models:
                steps.take()
    assert len(models) < made < 4 * len(models)
    for got, want in zip(models, as_kernels(gpu, *[12] * len(models)), strict=True):
        same_bits(got.leaves(), want)


def test_numbers_of_each_step_are_its_own(gpu: Any, soon: None) -> None:
    """A learning rate that changes, and a dropout key: read off the device by the graph, set by the loader."""
    steps = Steps(gpu)
    steps.take(6)
    fixed = Steps(gpu, run=(*RUN[:3], nn.Adam(0.05)))
    fixed.take(6)
    same_bits(steps.leaves(), as_kernels(gpu, 6)[0])
    assert not all(np.array_equal(a, b) for a, b in zip(steps.leaves(), fixed.leaves(), strict=True))


# ---------------------------------------------------------------- streams and threads


def test_work_of_another_stream_waits_for_the_graph(gpu: Any, soon: None) -> None:
    steps = Steps(gpu)
    assert captured(steps.take(4))
    with streams.Stream(non_blocking=True) as other:
        assert captured(steps.take())
        assert other.waited == [streams.Stream.null.ptr]
        assert captured(steps.take())
        assert other.waited == [streams.Stream.null.ptr]
    streams.Stream.null.waited.clear()
    assert captured(steps.take())
    assert streams.Stream.null.waited == [other.ptr]
    same_bits(steps.leaves(), as_kernels(gpu, 7)[0])


def test_a_capture_waits_for_the_callers_stream_and_is_waited_for(gpu: Any, soon: None) -> None:
    made: list[streams.Stream] = []
    init = streams.Stream.__init__

    def noted(self: Any, *args: Any, **options: Any) -> None:
        init(self, *args, **options)
        made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams.Stream, "__init__", noted)
        streams.Stream.null.waited.clear()
        Steps(gpu).take(3)
    (own,) = made
    assert own.non_blocking
    assert own.waited == [streams.Stream.null.ptr]
    assert streams.Stream.null.waited == [own.ptr]


def test_two_threads_train_at_once_and_one_of_them_has_the_graph(gpu: Any, soon: None) -> None:
    pair = [Steps(gpu, 0), Steps(gpu, 1)]
    gate, errors = threading.Barrier(2), []

    def train(steps: Steps) -> None:
        try:
            gate.wait()
            for _ in range(12):
                with np.errstate(all="ignore"):
                    given = (*steps.batch, None)
                    steps.params, steps.state, own = steps.step(steps.params, steps.state, given, nn.Key(0))
                steps.logs.append(own)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=train, args=(steps,)) for steps in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for got, want in zip(pair, as_kernels(gpu, 12, 12), strict=True):
        same_bits(got.leaves(), want)


def test_a_graph_that_another_thread_has_is_not_waited_for(gpu: Any, soon: None) -> None:
    steps = Steps(gpu)
    assert captured(steps.take(4))
    taken_by: list[Any] = []
    call = capture.Graph.__call__

    def slow(self: Any, *args: Any) -> Any:
        thread = threading.Thread(target=lambda: taken_by.append(other.take()))
        thread.start()
        thread.join(60)
        return call(self, *args)

    other = Steps(gpu, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capture.Graph, "__call__", slow)
        steps.take()
    assert "graph" not in taken_by[0][:2]
    same_bits(other.leaves(), as_kernels(gpu, 0, 1)[1])


def test_a_step_on_the_second_gpu_is_captured_there(soon: None) -> None:
    """While the first one is the caller's current one."""
    with recording.recording(number=1) as second:
        steps = Steps(second)
        steps.take(4)
        assert "graph" in started()
        found = tree.leaves([steps.params, steps.logs])
        assert {leaf.device.id for leaf in found if hasattr(leaf, "device")} == {1}
        same_bits(steps.leaves(), as_kernels(second, 4)[0])


# ---------------------------------------------------------------- what fails, and is told once


def raising(error: BaseException) -> Any:
    def run(*args: Any, **options: Any) -> Any:
        raise error

    return run


def growing(self: Any) -> int:
    self.total += 1
    return int(self.total)


def wrong_product(self: Any, handle: Any, out: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    streams.do(lambda: out.__setitem__(..., b.sum()))


def wrong_replay(self: Any, stream: Any = None) -> None:
    for work in self.work[: len(self.work) // 2]:
        work()


def asking_elsewhere(self: Any, own: Any) -> None:
    with streams.using_allocator(None):
        own[0] + 1


OUT_OF_MEMORY = MemoryError("Out of memory allocating 512 bytes")
FAILURES: dict[str, tuple[Any, str, Any, str]] = {
    "the driver refuses a capture": (streams.Stream, "begin_capture", raising(RuntimeError("not here")), "not here"),
    "the capture is invalid": (streams.Stream, "end_capture", raising(RuntimeError("invalidated")), "invalidated"),
    "the graph cannot be launched": (streams.Graph, "launch", raising(RuntimeError("no launch")), "no launch"),
    "memory ends": (streams.MemoryPool, "malloc", raising(OUT_OF_MEMORY), "Out of memory"),
    "memory grows": (streams.MemoryPool, "total_bytes", growing, "asks for more memory"),
    "a wrong product": (streams.Cublas, "_start", wrong_product, "our own product is not CuPy's: (8, 6) @ (6, 5)"),
    "cuBLAS answers an error": (streams.Cublas, "cublasGemmEx", lambda *args: 13, "cublasGemmEx answers 13"),
    "there is no cuBLAS": (cublas, "library", raising(OSError("no such file")), "no such file"),
    "a graph that computes otherwise": (
        streams.Graph,
        "launch",
        wrong_replay,
        "one by one: result 0 of shape (6, 5) by ",
    ),
    "an allocation within": (launching.Writer, "__call__", asking_elsewhere, "outside of the graph's pool"),
    "a number is read": (launching.Writer, "__call__", lambda self, own: own[0].get(), "D2H transfers are disallowed"),
    "CuPy's own product": (cublas.Products, "_product", lambda self, a, b: a @ b, "calling cuBLAS API during stream"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_graph_that_fails_is_told_once_and_the_numbers_are_right(
    gpu: Any, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    place, name, does, said = FAILURES[failure]
    with pytest.MonkeyPatch.context() as patch, after(2), caplog.at_level(logging.WARNING, "arraynn"):
        steps = Steps(gpu)
        steps.take(2)
        patch.setattr(place, name, does)
        steps.take(4)
    assert not captured(started())
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("a step runs as kernels, not as a CUDA graph: ")
    assert said in told
    same_bits(steps.leaves(), as_kernels(gpu, 6)[0])


def test_code_that_the_compiler_does_not_see_runs_as_kernels(gpu: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A call may read the host, and write to it; a graph would leave it out."""
    seen: list[int] = []

    def doubled(x: Any, count: int) -> Any:
        seen.append(count)
        return x * 2

    def step(w: Any, x: Any, count: int, scalars: Any) -> Any:
        g = opaque.call(doubled, (x, count), x)
        ((w, _),) = opaque.update(nn.SGD(0.1).update_one, [(w, g, {})], scalars)
        return w, count

    w, x = gpu.asarray(np.ones(3, "float32")), gpu.asarray(np.ones(3, "float32"))
    with after(1), caplog.at_level(logging.WARNING, "arraynn"):
        run = CuPy.compile(step, donate=(0,))
        for count in range(5):
            w, told = run(w, x, count, {"lr": 0.5})
            assert told == count
    assert seen == [0, 1, 2, 3, 4]
    assert recording.bare(w).tolist() == [-4, -4, -4]
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.endswith("it calls code that the compiler does not see")


def test_weights_that_lie_column_by_column_run_as_kernels(gpu: Any, caplog: pytest.LogCaptureFixture) -> None:
    """No kernel goes through them, so the rule itself runs, which takes its numbers from the host."""

    def turned(calls: float) -> list[Any]:
        with after(calls):
            steps = Steps(gpu)
            weight = steps.params[0]["weight"].get()
            steps.params[0]["weight"] = gpu.xp.matrix_transpose(gpu.asarray(np.ascontiguousarray(weight.T)))
            steps.take(5)
            return steps.leaves()

    with caplog.at_level(logging.WARNING, "arraynn"):
        same_bits(turned(1), turned(math.inf))
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.endswith("an optimizer's rule takes numbers of the host, leaf by leaf")


def test_an_error_of_a_later_launch_is_the_callers(gpu: Any, soon: None) -> None:
    """As one of a kernel is: the state may be half of the new one."""
    steps = Steps(gpu)
    assert captured(steps.take(4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams.Graph, "launch", raising(RuntimeError("cudaErrorOther")))
        with pytest.raises(RuntimeError, match="cudaErrorOther"):
            steps.take()


def test_a_step_that_is_not_bound_by_launches_stays_as_kernels(gpu: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "arraynn"):
        for name in ("MADE", "COPIED"):
            with pytest.MonkeyPatch.context() as patch, after(1):
                patch.setattr(capture, name, 16)
                assert not captured(Steps(gpu).take(4))
    assert caplog.records == []


def test_inference_copies_no_weights_and_stays_as_kernels(gpu: Any, soon: None) -> None:
    model = nn.Model(NETWORK, backend=gpu).build((6,))
    CALLS.clear()
    for _ in range(5):
        model.predict_proba(X)
    assert "graph" not in started()
