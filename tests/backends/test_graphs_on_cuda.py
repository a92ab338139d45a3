"""Steps as CUDA graphs on a CUDA GPU: the numbers of the same steps as kernels, whatever the stream, the thread and the
model. Skipped where no GPU is proved."""

from __future__ import annotations

import gc
import math
import threading
from typing import Any

import numpy as np
import pytest

from tests.backends.test_cupy_capture import Steps, after, taken, warnings_of_the_log
from tests.backends.test_cupy_conformance import RUNS, every_run

pytestmark = pytest.mark.cuda


@pytest.fixture
def cupy() -> Any:
    return pytest.importorskip("cupy")


@every_run
def test_steps_as_graphs_give_the_numbers_of_those_as_kernels(run: str) -> None:
    args, options = RUNS[run]
    with warnings_of_the_log() as said:
        got, want = (taken("cupy", calls, *args, **options) for calls in (1, math.inf))
    assert said == []
    assert (got.graphs, want.graphs) == (4, 0)
    for a, b in zip(got.leaves, want.leaves, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def as_kernels(count: int, seed: int = 0) -> list[Any]:
    """The leaves after so many steps without graphs."""
    with after(math.inf):
        steps = Steps("cupy", seed)
        steps.take(count)
        return steps.leaves()


def close(got: list[Any], want: list[Any]) -> None:
    """After many steps. That a first step has the same bits, a graph sees to itself."""
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_a_graph_follows_its_caller_from_stream_to_stream(cupy: Any) -> None:
    with after(1):
        steps = Steps("cupy")
        steps.take(3)
        for _ in range(3):
            with cupy.cuda.Stream(non_blocking=True):
                steps.take(2)
            steps.take(2)
        found = steps.leaves()
    close(found, as_kernels(15))


def test_two_models_have_graphs_of_their_own() -> None:
    with after(1):
        pair = [Steps("cupy", 0), Steps("cupy", 1)]
        for _ in range(8):
            for steps in pair:
                steps.take()
        found = [steps.leaves() for steps in pair]
    for seed, leaves in enumerate(found):
        close(leaves, as_kernels(8, seed))


def test_two_threads_train_at_once(cupy: Any) -> None:
    with after(1):
        pair = [Steps("cupy", 0), Steps("cupy", 1)]
        threads = [threading.Thread(target=steps.take, args=(20,)) for steps in pair]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = [steps.leaves() for steps in pair]
    for seed, leaves in enumerate(found):
        close(leaves, as_kernels(20, seed))


def test_losses_wait_on_the_device_though_the_graph_goes_on() -> None:
    with after(1):
        steps = Steps("cupy")
        steps.take(40)
        losses = [float(logs["loss"].get()) for logs in steps.logs]
        assert losses == [float(logs["loss"].get()) for logs in steps.logs]
    assert len(set(losses)) == 40
    assert losses[-1] < losses[0]


def test_a_graph_frees_its_memory_with_its_step(cupy: Any) -> None:
    """cudaMalloc's memory, which no pool of CuPy's shows."""

    def free() -> int:
        gc.collect()
        cupy.cuda.Device().synchronize()
        cupy.get_default_memory_pool().free_all_blocks()
        return int(cupy.cuda.runtime.memGetInfo()[0])

    def round_trip() -> None:
        with after(1):
            Steps("cupy").take(6)

    round_trip()  # handles, modules and what else stays
    before = free()
    for _ in range(3):
        round_trip()
    assert before - free() < 16 << 20
