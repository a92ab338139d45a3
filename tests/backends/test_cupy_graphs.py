"""Each kernel that a fused step launches, on random data of every size, computed three ways without a GPU: its C++ by
the host's compiler, its functions one after the other on NumPy, and its graph as a Numba loop."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn.compiler import cuda_codegen, fusion
from arraynn.compiler.cuda_codegen import Kernel
from arraynn.compiler.fusion import Step
from arraynn.compiler.graph import Node
from tests.backends import graphs, kernels, recording
from tests.backends.test_cuda_kernels import needs_compiler
from tests.backends.test_cupy_conformance import LABELS, RUNS, every_run, trained

pytestmark = needs_compiler


def programs(*args: Any, **options: Any) -> list[list[Step]]:
    """The schedules of a training's programs, in the order in which they are made."""
    found: list[list[Step]] = []

    def noted(order: list[Node], finals: set[int]) -> list[Step]:
        found.append(fusion.kernels(order, finals))
        return found[-1]

    with recording.recording() as gpu, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_codegen, "kernels", noted)
        trained(gpu, *args, **options)
    return found


@cache
def kernels_of(run: str) -> tuple[Kernel, ...]:
    args, options = RUNS[run]
    made = [Kernel(step) for steps in programs(*args, **options) for step in steps if step.fused]
    own = {(k.takes, k.makes, k.operation): k for k in made}
    assert own
    return tuple(own.values())


def host_run(kernel: Kernel, arrays: list[np.ndarray]) -> list[np.ndarray]:
    run = kernels.HostElementwise(kernel.takes, kernel.makes, kernel.operation, "fused", ("--fmad=false",))
    made = run(*arrays)
    return list(made) if isinstance(made, tuple) else [made]


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
def test_each_kernels_graph_as_a_numba_loop_gives_the_same(run: str) -> None:
    pytest.importorskip("numba", reason='pip install "arraynn[fast]"')
    rng = np.random.default_rng(1)
    for kernel in kernels_of(run):
        arrays = graphs.drawn(kernel, rng)
        same_bits(numba_run(kernel, arrays), host_run(kernel, arrays))


def test_what_stands_between_two_products_is_one_kernel() -> None:
    """Bias, activation and dropout; the words of a mask; the loss's gradient; the backward of all that: one each."""
    network = nn.Sequential(nn.Dense(5), nn.ReLU(), nn.Dropout(0.3), nn.Dense(3))
    found, between = [], []
    for step in programs(network, nn.softmax_cross_entropy, LABELS)[0]:
        if step.fused:
            between.append(frozenset(node.op for node in step.nodes))
        elif step.nodes[0].op == "matmul":
            found.append(between)
            between = []
    hash_ = {"bitwise_xor", "logical_shift", "multiply"}
    assert [len(each) for each in found] == [0, 3, 3, 0, 0, 1, 0]
    (rows, words, forward), (bias, exponentials, gradient) = found[1], found[2]
    assert rows == {*hash_, "add"}  # the key of each row: numbers in their hundreds
    assert words == {*hash_, "add"}
    assert forward == {"add", "maximum", "greater_equal", "astype", "multiply"}
    assert (bias, gradient) == ({"add"}, {"divide", "equal", "astype", "subtract", "multiply"})
    assert "exp" in exponentials
    assert found[5] == [{"add", "maximum", "greater", "greater_equal", "astype", "multiply"}]
