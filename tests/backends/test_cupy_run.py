"""What can go wrong in a run on CuPy, on the recording stand-in: memory that ends, a kernel that fails, data that do
not fit. The model is whole afterwards, and the error says what was asked, what is free and what helps."""

from __future__ import annotations

import inspect
import logging
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn.backends.cupy import errors as cupy_errors
from arraynn.backends.cupy import reasons
from arraynn.backends.cupy.backend import CuPy
from arraynn.cli import main
from arraynn.training import loop
from tests.backends import kernels, recording, test_graphs_on_cuda, test_on_cuda
from tests.backends.test_cuda_kernels import needs_compiler
from tests.backends.test_cupy_conformance import LABELS, X
from tests.backends.test_cupy_probe import FAULTS

NETWORK = nn.Sequential(nn.Dense(4), nn.ReLU(), nn.Dense(3))


class OutOfMemoryError(MemoryError):
    """As CuPy's is called."""


class CUDARuntimeError(RuntimeError):
    """As CuPy's is called."""


NO_MEMORY = OutOfMemoryError("Out of memory allocating 1,572,864 bytes (allocated so far: 7,000,000 bytes).")
FAULT = CUDARuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered")


def failing_at(monkeypatch: pytest.MonkeyPatch, update: int, error: BaseException) -> None:
    """The optimizer's kernel raises at that launch."""
    count = 0
    run = kernels.HostKernel.__call__

    def call(self: Any, *args: Any) -> None:
        nonlocal count
        count += 1
        if count == update:
            raise error
        run(self, *args)

    monkeypatch.setattr(kernels.HostKernel, "__call__", call)


@needs_compiler
def test_memory_that_ends_is_told_and_the_model_keeps_its_last_good_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    with recording.recording() as gpu:
        model = nn.Model(NETWORK, backend=gpu)
        model.fit(X, LABELS, epochs=2, verbose=0)
        before = [leaf.get() for leaf in tree.leaves(model.params)]
        with monkeypatch.context() as patch:
            patch.setattr(loop, "FETCH_SECONDS", 1e9)  # the first step is not copied before the second one fails
            failing_at(patch, 2, NO_MEMORY)
            with pytest.raises(nn.DeviceOutOfMemory, match="1,572,864 bytes asked for on GPU 0") as caught:
                model.fit(X, LABELS, batch_size=4, verbose=0)
        assert (caught.value.asked, caught.value.free, caught.value.total) == (1572864, *recording.MEMORY)
        assert "smaller batch_size" in str(caught.value)
        assert caught.value.__cause__ is NO_MEMORY
        for leaf, old in zip(tree.leaves(model.params), before, strict=True):
            np.testing.assert_array_equal(leaf.get(), old)
        assert np.isfinite(model.fit(X, LABELS, batch_size=2, verbose=0)["loss"]).all()  # it can go on


@needs_compiler
def test_a_kernel_that_failed_earlier_is_not_taken_for_the_call_that_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    with recording.recording() as gpu:
        model = nn.Model(NETWORK, backend=gpu)
        failing_at(monkeypatch, 1, FAULT)
        with pytest.raises(nn.DeviceFault, match="started earlier has failed on GPU 0: cudaErrorIllegalAddress"):
            model.fit(X, LABELS, verbose=0)


@needs_compiler
@pytest.mark.parametrize("error", [NO_MEMORY, FAULT], ids=["memory", "fault"])
def test_a_step_without_a_model_tells_the_same(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    with recording.recording() as gpu:
        params, _ = NETWORK.init(np.random.default_rng(0), (6,))
        params = nn.put(params, like=gpu.asarray(X))
        optimizer = nn.Adam()
        step = nn.make_train_step(NETWORK, nn.softmax_cross_entropy, optimizer)
        failing_at(monkeypatch, 1, error)
        with pytest.raises((nn.DeviceOutOfMemory, nn.DeviceFault)):
            step(params, optimizer.init(params), (gpu.asarray(X), gpu.asarray(LABELS), None), nn.Key(0))


@pytest.mark.parametrize("error", [ValueError("odd"), MemoryError("of the host"), CUDARuntimeError("cudaErrorOther")])
def test_other_errors_stay_what_they_are(error: BaseException) -> None:
    assert cupy_errors.translated(error, 0) is None


def test_the_errors_leave_a_worker_process() -> None:
    for error in (nn.DeviceOutOfMemory("GPU 1", 5, 3, 9), nn.DeviceFault("GPU 1", "cudaErrorAssert")):
        copied = pickle.loads(pickle.dumps(error))
        assert (type(copied), str(copied), vars(copied)) == (type(error), str(error), vars(error))


@needs_compiler
@pytest.mark.parametrize("fits", [True, False])
def test_data_stay_on_the_gpu_where_they_fit_and_else_come_batch_by_batch(
    monkeypatch: pytest.MonkeyPatch, fits: bool
) -> None:
    monkeypatch.setattr(recording, "MEMORY", (2 * X.nbytes if fits else 2 * X.nbytes - 1, 10**9))
    taken: list[int] = []

    class Watch(nn.Callback):
        def on_batch_end(self, model: Any) -> None:
            taken.append(sum(c.function == "take" for c in recording.CALLS))
            recording.CALLS.clear()

    with recording.recording() as gpu:
        model = nn.Model(NETWORK, backend=gpu)
        history = model.fit(X, LABELS, epochs=2, batch_size=4, callbacks=[Watch()], verbose=0)
        answers = model.predict_proba(X)
    assert taken == [2 if fits else 1] * 4  # x and the labels, or the labels alone
    want = nn.Model(NETWORK, backend="numpy")
    assert history["loss"] == pytest.approx(want.fit(X, LABELS, epochs=2, batch_size=4, verbose=0)["loss"], rel=1e-5)
    np.testing.assert_allclose(answers, want.predict_proba(X), rtol=1e-4)


def test_memory_is_reported_with_what_the_pool_keeps() -> None:
    with recording.recording() as gpu:
        assert gpu.room() == recording.MEMORY[0]
        assert cupy_errors.told(0) == "6.0 GB of 8.0 GB free, 0.0 MB of it kept by CuPy's memory pool"


# ---------------------------------------------------------------- arraynn doctor, on the stand-in that fails


@pytest.mark.parametrize("fault", FAULTS)
def test_doctor_shows_each_fault_with_its_remedy(
    fault: str, cupy: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrange, reason, remedy = FAULTS[fault]
    arrange(cupy, monkeypatch)
    # the other libraries are none of this test's business, and slow to import
    monkeypatch.setattr("arraynn.backends.resolve.FILES", {"numpy": "numpy", "cupy": "cupy.backend"})
    monkeypatch.setattr("arraynn.backends.registry.FILES", {"numpy": "numpy", "cupy": "cupy.backend"})
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    row = out.partition("\ncupy ")[2].partition("\n'auto'")[0]
    assert ("not installed" if fault == "not installed" else "not usable") in row
    assert reason in row
    assert remedy in row.partition("-> ")[2]
    assert "'auto' takes numpy" in out


# ---------------------------------------------------------------- a GPU that was proved and then fails


@pytest.fixture
def proved(fresh: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[CuPy]:
    """The recording stand-in where `auto` finds it, proves it and takes it."""
    monkeypatch.setattr(reasons, "driver_cuda", lambda: 13000)
    with recording.recording() as gpu, recording.importable():
        yield gpu


def broken(*args: Any) -> Any:
    raise FAULT


def test_doctor_shows_a_gpu_that_works_with_its_memory(
    proved: CuPy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("resolve", "registry"):
        monkeypatch.setattr(f"arraynn.backends.{module}.FILES", {"numpy": "numpy", "cupy": "cupy.backend"})
    assert main(["doctor"]) == 0
    row = capsys.readouterr().out.partition("\ncupy ")[2]
    assert "GPU 0 (Recorded) passed: an allocation, an elementwise kernel, a matrix product, a reduction" in row
    assert "6.0 GB of 8.0 GB free, 0.0 MB of it kept by CuPy's memory pool" in row
    assert "'auto' takes cupy on <CUDA Device 0>" in row


@needs_compiler
def test_auto_falls_back_at_a_models_first_data_and_tells_it(
    proved: CuPy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    models = [nn.Model(NETWORK, backend=name) for name in ("auto", "auto", "cupy")]
    assert {model.backend.name for model in models} == {"cupy"}
    models[1].fit(X, LABELS, epochs=1, verbose=0)
    monkeypatch.setattr(recording.Recorded, "__matmul__", broken)
    with caplog.at_level(logging.INFO, "arraynn"):
        history = models[0].fit(X, LABELS, epochs=2, verbose=0)
    assert models[0].backend.name == "numpy"
    assert history["loss"] == nn.Model(NETWORK, backend="numpy").fit(X, LABELS, epochs=2, verbose=0)["loss"]
    (told,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "'auto' takes numpy; cupy passed over: it has worked in this process, and does no more: a kernel" in told
    for ask in (nn.Model.predict, lambda model, x: model.fit(x, LABELS, verbose=0)):
        with pytest.raises(nn.BackendUnavailable, match=r"does no more: a kernel has failed.*Start the process again"):
            ask(models[2], X)
    assert models[2].params is None


@needs_compiler
@pytest.mark.parametrize("backend", ["auto", "cupy"])
def test_in_the_middle_of_training_there_is_no_way_back_but_the_last_good_weights(
    proved: CuPy, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    """A run whose steps came from two machines' arithmetic would be nobody's: it ends with an error."""
    model = nn.Model(NETWORK, backend=backend)
    model.fit(X, LABELS, epochs=2, verbose=0)
    before, history = [leaf.get() for leaf in tree.leaves(model.params)], dict(model.history)
    monkeypatch.setattr(loop, "FETCH_SECONDS", 1e9)  # the first step is not copied before the second one fails
    failing_at(monkeypatch, 2, FAULT)
    with pytest.raises(nn.DeviceFault):
        model.fit(X, LABELS, epochs=4, batch_size=None, verbose=0)
    assert model.backend.name == "cupy"
    assert dict(model.history) == history
    for leaf, old in zip(tree.leaves(model.params), before, strict=True):
        np.testing.assert_array_equal(leaf.get(), old)


# ---------------------------------------------------------------- the tests that a GPU waits for, themselves

ON_CUDA = vars(test_on_cuda) | vars(test_graphs_on_cuda)


class Pool:
    """A memory pool with a limit, which one large array is enough to meet."""

    limit = 0

    def get_limit(self) -> int:
        return self.limit

    def set_limit(self, size: int) -> None:
        self.limit = size

    def used_bytes(self) -> int:
        return 0

    def free_all_blocks(self) -> None:
        pass

    free_bytes = used_bytes

    def allocate(self, size: int) -> None:
        if 0 < self.limit < size:
            raise OutOfMemoryError(f"Out of memory allocating {size:,} bytes (allocated so far: 0 bytes).")


@pytest.fixture
def like_the_real_one(proved: CuPy, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stand-in with what tests on a GPU ask of CuPy itself: its array type, a stream, its memory pool."""
    cupy: Any = sys.modules["cupy"]
    pool, init = Pool(), recording.Recorded.__init__

    def allocating(self: Any, array: Any, *more: Any) -> None:
        pool.allocate(array.nbytes)
        init(self, array, *more)

    monkeypatch.setattr(recording.Recorded, "__init__", allocating)
    cupy.ndarray, cupy.get_default_memory_pool = recording.Recorded, lambda: pool
    monkeypatch.setattr(recording.Device, "synchronize", lambda self: None)
    return cupy


@needs_compiler
@pytest.mark.parametrize("name", [name for name in ON_CUDA if name.startswith("test_")])
def test_what_is_written_for_a_gpu_runs_on_the_stand_in(name: str, like_the_real_one: Any, tmp_path: Path) -> None:
    """So that on a GPU they fail for the GPU's reasons only."""
    if name == "test_weights_are_exchanged_with_torch_without_a_copy":
        pytest.skip("torch reads no stand-in")
    test = ON_CUDA[name]
    wanted = inspect.signature(test).parameters
    for run in ["Dropout", "SoftmaxCrossEntropy"] if "run" in wanted else [""]:
        given = {"cupy": like_the_real_one, "tmp_path": tmp_path, "run": run}
        test(**{name: given[name] for name in wanted})
