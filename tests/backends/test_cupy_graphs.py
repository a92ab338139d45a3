"""Each kernel that a fused step launches, on random data of every size, computed three ways without a GPU: its C++ by
the host's compiler, its functions one after the other on NumPy, and its graph as a Numba loop."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn.compiler import cuda_codegen, launches, tuning
from arraynn.compiler.cuda_codegen import Kernel
from arraynn.compiler.cuda_launch import BlockKernel
from arraynn.compiler.fusion import Step
from arraynn.compiler.launches import Launch
from tests.backends import graphs, kernels, recording
from tests.backends.test_cuda_kernels import needs_compiler
from tests.backends.test_cupy_conformance import LABELS, RUNS, every_run, trained

pytestmark = needs_compiler


def programs(*args: Any, **options: Any) -> list[list[Step]]:
    """The schedules of a training's programs, in the order in which they are made."""
    found: list[list[Step]] = []

    def noted(steps: list[Step], finals: set[int]) -> list[Step]:
        found.append(launches.merged(steps, finals))
        return found[-1]

    with recording.recording() as gpu, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_codegen, "merged", noted)
        trained(gpu, *args, **options)
    return found


@cache
def steps_of(run: str) -> list[Step]:
    args, options = RUNS[run]
    found = [step for steps in programs(*args, **options) for step in steps if step.fused]
    assert found
    return found


@cache
def kernels_of(run: str) -> tuple[Kernel, ...]:
    made = [Kernel(step) for step in steps_of(run) if not isinstance(step, Launch)]
    return tuple({(k.takes, k.makes, k.operation): k for k in made}.values())


@cache
def launches_of(run: str) -> tuple[BlockKernel, ...]:
    made = [BlockKernel(step) for step in steps_of(run) if isinstance(step, Launch)]
    return tuple({k.source(): k for k in made}.values())


def host_run(kernel: Kernel | BlockKernel, arrays: list[np.ndarray], pointers: bool = False) -> list[np.ndarray]:
    if isinstance(kernel, BlockKernel):
        return block_run(kernel, arrays, pointers)
    run = kernels.HostElementwise(kernel.takes, kernel.makes, kernel.operation, "fused", ("--fmad=false",))
    made = run(*arrays)
    return list(made) if isinstance(made, tuple) else [made]


def block_run(kernel: BlockKernel, arrays: list[np.ndarray], pointers: bool) -> list[np.ndarray]:
    """pointers : numbers are read where they lie, as in a CUDA graph."""
    run = kernels.HostKernel(kernel.source(pointers), "fused", ("--fmad=false",))
    made = [np.full(x.shape, 77, x.dtype) for x in kernel.outputs]
    given = [x if not node.host or pointers else x[()] for node, x in zip(kernel.inputs, arrays, strict=True)]
    run(kernel.grid, (tuning.THREADS,), (*map(np.int64, kernel.counts), *given, *made))
    return made


@cache
def numba_loop(source: str) -> Any:
    import numba

    names = [f"{op}_{dtype}" for op in graphs.ROUNDED for dtype in ("float32", "float64")]
    scope: dict[str, Any] = {"np": np, **{name: graphs.of_the_host(name) for name in names}}
    exec(source, scope)
    return numba.njit(scope["loop"], error_model="numpy")


def numba_run(kernel: Kernel, arrays: list[np.ndarray]) -> list[np.ndarray]:
    shape = kernel.outputs[0].shape
    made = [np.empty(shape, node.dtype) for node in kernel.outputs]
    flat = [np.ascontiguousarray(np.broadcast_to(x, shape)).reshape(-1) for x in arrays]
    numba_loop(graphs.numba_source(kernel))(*flat, *(x.reshape(-1) for x in made))
    return made


def same_bits(got: list[np.ndarray], want: list[np.ndarray]) -> None:
    for a, b in zip(got, want, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)


@every_run
def test_each_kernel_on_random_data_gives_what_its_functions_give(run: str) -> None:
    rng = np.random.default_rng(0)
    for kernel in kernels_of(run):
        for _ in range(4):
            arrays = graphs.drawn(kernel, rng)
            with np.errstate(all="ignore"):
                same_bits(host_run(kernel, arrays), graphs.evaluated(kernel, arrays))


@every_run
def test_each_launch_on_random_data_gives_what_its_functions_give(run: str) -> None:
    """Sums in the order that is promised, maxima with nan; numbers as arguments, and where they lie."""
    rng = np.random.default_rng(0)
    for kernel in launches_of(run):
        for pointers in (False, True):
            arrays = graphs.drawn(kernel, rng)
            with np.errstate(all="ignore"):
                same_bits(host_run(kernel, arrays, pointers), graphs.evaluated(kernel, arrays))


@every_run
def test_each_kernels_graph_as_a_numba_loop_gives_the_same(run: str) -> None:
    pytest.importorskip("numba", reason='pip install "arraynn[fast]"')
    rng = np.random.default_rng(1)
    for kernel in kernels_of(run):
        arrays = graphs.drawn(kernel, rng)
        same_bits(numba_run(kernel, arrays), host_run(kernel, arrays))


def test_what_stands_between_two_products_is_one_launch() -> None:
    """Bias, activation and dropout; the loss and its gradient; the backward of all that, with sums: one each. A mask's
    words have a kernel of their own, as they have half as many columns, and so have the keys of its rows."""
    network = nn.Sequential(nn.Dense(6), nn.ReLU(), nn.Dropout(0.3), nn.Dense(3))
    found, between = [], []
    for step in programs(network, nn.softmax_cross_entropy, LABELS)[0]:
        if step.fused:
            between.append(frozenset(node.op for node in step.nodes))
        elif step.nodes[0].op == "matmul":
            found.append(between)
            between = []
    hash_ = {"bitwise_xor", "logical_shift", "multiply"}
    assert [len(each) for each in (*found, between)] == [0, 3, 1, 0, 1, 1]
    rows, words, forward = found[1]
    assert rows == {*hash_, "add"}  # the key of each row: numbers in their hundreds
    assert words == {*hash_, "add"}
    assert forward == {"add", "maximum", "greater_equal", "astype", "multiply"}
    ((loss,), (backward,)) = found[2], found[4]
    assert {"exp", "log", "max", "argmax", "sum", "divide"} < loss
    assert backward == {"add", "maximum", "greater", "greater_equal", "astype", "multiply", "matmul"}
    assert between == [{"sum", "divide", "add"}]  # what is reported
