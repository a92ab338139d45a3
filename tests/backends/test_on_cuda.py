"""Models on a CUDA GPU through CuPy: trained, moved, saved, stopped, given away. Skipped where no GPU is proved."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from tests.backends.test_cupy_conformance import RUNS, every_run, trained

pytestmark = pytest.mark.cuda
NETWORK = nn.Sequential(nn.Dense(32), nn.ReLU(), nn.Dropout(0.1), nn.Dense(3))


@pytest.fixture
def cupy() -> Any:
    return pytest.importorskip("cupy")


def spiral() -> tuple[np.ndarray, np.ndarray]:
    x, labels = nn.datasets.spiral(100, 3)
    return x.astype("float32"), labels


def fitted(backend: str = "cupy", epochs: int = 5) -> nn.Model:
    model = nn.Model(NETWORK, optimizer=nn.Adam(0.02), backend=backend)
    model.fit(*spiral(), epochs=epochs, batch_size=64, verbose=0)
    return model


@every_run
def test_every_block_and_optimizer_gives_the_numbers_of_numpy(run: str) -> None:
    args, options = RUNS[run]
    for a, b in zip(*(tree.leaves(trained(name, *args, **options)) for name in ("cupy", "numpy")), strict=True):
        np.testing.assert_allclose(a.get() if hasattr(a, "get") else a, b, rtol=1e-4, atol=1e-5)


def test_fit_evaluate_and_predict_agree_with_numpy() -> None:
    x, labels = spiral()
    gpu, host = fitted(epochs=1), fitted("numpy", epochs=1)
    assert gpu.history["loss"] == pytest.approx(host.history["loss"], rel=1e-4)
    assert gpu.evaluate(x, labels)["loss"] == pytest.approx(host.evaluate(x, labels)["loss"], rel=1e-3)
    np.testing.assert_allclose(gpu.predict_proba(x), host.predict_proba(x), atol=1e-3)


def test_answers_come_back_where_x_was(cupy: Any) -> None:
    x, _ = spiral()
    model = fitted()
    assert type(model.predict(x)) is np.ndarray
    there = model.predict_proba(cupy.asarray(x))
    assert type(there) is cupy.ndarray
    np.testing.assert_allclose(there.get(), model.predict_proba(x), rtol=1e-5)


def test_numpys_arrays_go_along_and_a_third_librarys_are_refused(cupy: Any) -> None:
    x, labels = spiral()
    weight = np.ones(len(x), "float32")
    mixed = nn.Model(NETWORK).fit(cupy.asarray(x), labels, sample_weight=weight, verbose=0)
    whole = nn.Model(NETWORK, backend="cupy").fit(x, labels, sample_weight=cupy.asarray(weight), verbose=0)
    assert mixed["loss"] == pytest.approx(whole["loss"], rel=1e-5)
    with pytest.raises(nn.DataError, match=r"the data are mixed: cupy on .* and array_api_strict on"):
        fitted().fit(cupy.asarray(x), nn.backend("strict").asarray(labels), verbose=0)


def test_a_model_moves_there_and_back() -> None:
    x, _ = spiral()
    model = fitted("numpy")
    want = model.predict_proba(x)
    np.testing.assert_allclose(model.to("cupy").predict_proba(x), want, atol=1e-5)
    np.testing.assert_array_equal(model.to("numpy").predict_proba(x), want)


def test_what_is_saved_on_a_gpu_loads_on_a_cpu_and_back(tmp_path: Path) -> None:
    x, _ = spiral()
    model = fitted()
    model.save(tmp_path / "gpu.safetensors")
    host = nn.Model.load(tmp_path / "gpu.safetensors", backend="numpy")
    np.testing.assert_allclose(host.predict_proba(x), model.predict_proba(x), atol=1e-5)
    host.save(tmp_path / "host.safetensors")
    back = nn.Model.load(tmp_path / "host.safetensors", backend="cupy")
    for a, b in zip(tree.leaves(back.params), tree.leaves(model.params), strict=True):
        np.testing.assert_array_equal(a.get(), b.get())


def test_a_run_goes_on_on_a_cpu_and_back_as_if_it_had_stayed(tmp_path: Path) -> None:
    """Weights, moments, step and history come along; the batches and masks of an epoch are the same everywhere."""
    stayed, moved = fitted(epochs=2), fitted(epochs=2)
    for backend in ("numpy", "cupy"):
        moved.save(tmp_path / "model.safetensors")
        moved = nn.Model.load(tmp_path / "model.safetensors", backend=backend)
        for model in (stayed, moved):
            model.fit(*spiral(), epochs=1, batch_size=64, verbose=0)
    assert moved.history["loss"] == pytest.approx(stayed.history["loss"], rel=1e-3)
    assert (moved.step, moved.epoch) == (stayed.step, stayed.epoch) == (20, 4)


def test_masks_are_numpys_to_the_bit() -> None:
    gpu, layer = nn.backend("cupy"), nn.Dropout(0.3)
    for shape in [(1, 1), (64, 32), (100, 33), (7, 1000)]:
        ones = np.ones(shape, "float32")
        with gpu.context():
            there, _ = layer({}, gpu.asarray(ones), key=nn.Key(7))
        here, _ = layer({}, ones, key=nn.Key(7))
        np.testing.assert_array_equal(gpu.to_numpy(there), here)


def test_a_hidden_gpu_is_named_and_auto_goes_on_without_it() -> None:
    program = """
from importlib.util import find_spec
import arraynn as nn
from arraynn.backends.cupy import reasons
chosen = nn.backend("auto")
try:
    nn.backend("cupy")
except nn.BackendUnavailable as error:
    hidden = find_spec("cupy") is not None and reasons.driver_cuda() is not None
    print(chosen.name, hidden, chosen.reason, error, sep="|")
"""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("ARRAYNN_BACKEND", None)
    command = [sys.executable, "-c", f"import sys\n{program}"]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    name, hidden, reason, error = found.stdout.split("|")
    assert name == "numpy"
    if hidden == "True":  # without a driver, or on the stand-in, nothing is there to hide
        for text in (reason, error):
            assert "CUDA_VISIBLE_DEVICES" in text


def test_two_models_train_at_once_in_two_threads() -> None:
    models: list[nn.Model] = []
    threads = [threading.Thread(target=lambda: models.append(fitted())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    want = fitted().history["loss"]
    assert len(models) == 2
    for model in models:
        assert model.history["loss"] == pytest.approx(want, rel=1e-3)


def test_memory_that_ends_leaves_the_model_as_it_was(cupy: Any) -> None:
    model = fitted()
    before = [leaf.get() for leaf in tree.leaves(model.params)]
    pool = cupy.get_default_memory_pool()
    limit = pool.get_limit()
    pool.set_limit(size=pool.used_bytes() + 4 * 1024 * 1024)
    try:
        with pytest.raises(nn.DeviceOutOfMemory, match=r"bytes asked for on GPU 0.* free"):
            model.fit(np.ones((400_000, 2), "float32"), np.zeros(400_000, int), batch_size=None, verbose=0)
    finally:
        pool.set_limit(size=limit)
    for leaf, old in zip(tree.leaves(model.params), before, strict=True):
        np.testing.assert_array_equal(leaf.get(), old)


def test_a_second_gpu_holds_what_is_put_there(cupy: Any) -> None:
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("one GPU")
    model = fitted("cupy:1")
    assert {leaf.device.id for leaf in tree.leaves([model.params, model.state["slots"]])} == {1}
    assert cupy.cuda.Device().id == 0


def test_weights_are_exchanged_with_torch_without_a_copy(cupy: Any) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    weight = fitted().params[0]["weight"]
    shared = torch.from_dlpack(weight)
    assert shared.data_ptr() == weight.data.ptr
    np.testing.assert_array_equal(cupy.from_dlpack(shared).get(), weight.get())


def test_work_goes_to_the_callers_stream(cupy: Any) -> None:
    with cupy.cuda.Stream(non_blocking=True) as stream:
        model = fitted()
        x, labels = spiral()
        assert cupy.cuda.get_current_stream() == stream
        assert model.evaluate(x, labels)["loss"] == pytest.approx(fitted().evaluate(x, labels)["loss"], rel=1e-4)
