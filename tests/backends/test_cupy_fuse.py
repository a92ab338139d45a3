"""Steps on CuPy with one kernel for all that is elementwise between products and reductions, proved without a GPU: the
same numbers as NumPy's steps, each kernel run by the host's compiler, and compiled by NVRTC with all that CuPy adds."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn.backends import Backend
from arraynn.backends.cupy import update_kernel
from arraynn.backends.cupy.backend import CuPy
from arraynn.compiler import cuda_codegen, opaque
from arraynn.compiler.fusion import Step
from arraynn.compiler.fusion import kernels as kernels_of
from arraynn.compiler.graph import Graph, Node, depth_first
from arraynn.compiler.program import Traced
from arraynn.compiler.signature import Signature
from arraynn.training.step import compiled_step
from tests.backends import kernels, recording
from tests.backends.test_cuda_kernels import needs_compiler
from tests.backends.test_cupy_conformance import LABELS, RUNS, VALUES, every_run, trained

NETWORK = nn.Sequential(nn.Dense(5), nn.ReLU(), nn.Dropout(0.3), nn.Dense(3))


@cache
def fused_run(run: str) -> tuple[list[Any], list[tuple[str, ...]], list[str]]:
    """The numbers after three fused steps, the kernels' signatures, and what was logged."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    log, level = logging.getLogger("arraynn"), logging.getLogger("arraynn").level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    made: list[tuple[str, ...]] = []
    try:
        with recording.recording(made) as gpu:
            args, options = RUNS[run]
            numbers = [recording.bare(leaf) for leaf in tree.leaves(trained(gpu, *args, **options))]
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    return numbers, made, said


@needs_compiler
@every_run
def test_fused_steps_give_the_numbers_of_numpys(run: str) -> None:
    numbers, made, said = fused_run(run)
    assert not said
    assert made
    args, options = RUNS[run]
    want = tree.leaves(trained("numpy", *args, **options))
    for got, expected in zip(numbers, want, strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-6)
        if hasattr(expected, "dtype"):
            assert (got.dtype, got.shape) == (expected.dtype, expected.shape)


@needs_compiler
def test_a_step_that_cannot_be_written_down_runs_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(nn.Identity):
        def function(self, x: Any, /) -> Any:
            from arraynn._array import namespace

            return namespace(x).cumulative_sum(x, axis=0), lambda dy: dy

    run = nn.Sequential(nn.Dense(3), Odd()), nn.mean_squared_error, VALUES
    with caplog.at_level(logging.INFO, "arraynn"), recording.recording() as gpu:
        got = [recording.bare(leaf) for leaf in tree.leaves(trained(gpu, *run))]
        assert "cumulative_sum" in {call.function for call in recording.CALLS}
    assert "runs as it is" in caplog.text
    for a, b in zip(got, tree.leaves(trained("numpy", *run)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@needs_compiler
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (" > ", " < "),
        (" - ", " + "),
        ("exp(", "sqrt("),
        ("(1.4285", "(1.5"),
        ("0x7feb", "0x7fec"),
        ("half > 0", "half > 1"),
        ("* 3 + r", "+ r"),
        ("- lane", "+ lane"),
    ],
)
def test_a_broken_kernel_is_seen(monkeypatch: pytest.MonkeyPatch, right: str, wrong: str) -> None:
    """A wrong sign, comparison, function or number in the kernels of a step."""
    right, wrong = (str(int(text + "352d", 16)) if text.startswith("0x") else text for text in (right, wrong))
    made, init, init_raw = [], kernels.HostElementwise.__init__, kernels.HostKernel.__init__

    def broken(self: Any, takes: str, makes: str, operation: str, *args: Any, **options: Any) -> None:
        made.append(operation)
        init(self, takes, makes, operation.replace(right, wrong), *args, **options)

    def broken_raw(self: Any, source: str, name: str, options: Any = ()) -> None:
        made.append(source)
        init_raw(self, source.replace(right, wrong) if name == "fused" else source, name, options)

    monkeypatch.setattr(kernels.HostElementwise, "__init__", broken)
    monkeypatch.setattr(kernels.HostKernel, "__init__", broken_raw)
    run = NETWORK, nn.softmax_cross_entropy, LABELS
    with recording.recording() as gpu:
        got = [recording.bare(leaf) for leaf in tree.leaves(trained(gpu, *run))]
    assert right in "".join(made)
    want = tree.leaves(trained("numpy", *run))
    assert not all(np.allclose(a, b, rtol=2e-5, atol=2e-6) for a, b in zip(got, want, strict=True))


def schedule(function: Any, *shapes: tuple[int, ...]) -> list[Step]:
    """The schedule of a function of arrays of these shapes, the first of which it may consume."""
    arrays = [np.zeros(shape, "float32") for shape in shapes]
    traced = Traced(function, Signature(Graph(), arrays, (0,)))
    return kernels_of(depth_first([*traced.outputs, *traced.graph.effects]), {x.serial for x in traced.outputs})


def test_what_two_reductions_need_is_computed_in_one_kernel() -> None:
    def function(x: Any) -> Any:
        xp = x.__array_namespace__()
        z = xp.exp(x) * 2
        return xp.sum(z, axis=0), xp.max(z - 1, axis=0), xp.sum(x)

    kernels = [cuda_codegen.Kernel(step) for step in schedule(function, (4, 3)) if step.fused]
    assert [len(kernel.outputs) for kernel in kernels] == [2]
    assert kernels[0].operation.count("exp") == 1


def test_a_long_recurrence_is_scheduled_without_looking_through_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each node that waits looked through all that it waits for: seven seconds for sixty steps of an LSTM."""
    looked = 0
    elementwise = Node.elementwise.fget

    def counted(node: Node) -> bool:
        nonlocal looked
        looked += 1
        return bool(elementwise(node))

    def function(x: Any, w: Any) -> Any:
        xp = x.__array_namespace__()
        cell = x
        for _ in range(60):
            gate = x @ w
            cell = cell * 0.5 + gate
            x = xp.tanh(cell) * gate
        return x

    monkeypatch.setattr(Node, "elementwise", property(counted))
    steps = schedule(function, (2, 2), (2, 2))
    nodes = sum(len(step.nodes) for step in steps)
    assert looked < 60 * nodes, (looked, nodes)


def test_an_update_comes_after_all_that_reads_the_old_weights() -> None:
    def function(p: Any, g: Any) -> Any:
        read = g @ p, p * 2
        ((new, _),) = opaque.update(lambda *_: None, [(p, g, {})], {})
        return new, *read

    steps = schedule(function, (2, 2), (2, 2))
    names = ["kernel" if step.fused else step.nodes[0].op for step in steps]
    assert names[-2:] == ["update", "result"]
    assert set(names[:-2]) == {"matmul", "kernel"}


# ---------------------------------------------------------------- with the real CuPy, and no GPU


def cupy_source(cupy: Any, name: str, takes: str, makes: str, operation: str, contiguous: bool) -> str:
    """The kernel that CuPy would make of it, for arrays of two axes, without the headers."""
    from cupy._core import _carray, _kernel

    whole = cupy.ElementwiseKernel(takes, makes, operation, name)
    arrays = [
        _kernel._ArgInfo(1, cupy.ndarray, parameter.dtype.type, 2, contiguous, True) for parameter in whole.params[:-1]
    ]
    indexer = _kernel._ArgInfo(2, _carray.Indexer, None, 2, True, True)
    code: str = _kernel._get_elementwise_kernel_code(
        (*arrays, indexer), _kernel._TypeMap(()), whole.params, operation, name, ""
    )
    return code


def architectures() -> list[int]:
    try:
        return kernels.architectures()
    except ImportError:
        return [0]


@needs_compiler
@pytest.mark.parametrize("architecture", architectures())
def test_nvrtc_compiles_all_kernels_of_all_steps_as_cupy_hands_them_over(architecture: int) -> None:
    cupy = pytest.importorskip("cupy", reason='pip install "arraynn[cuda13]"; no GPU is needed')
    pytest.importorskip("cuda.bindings.nvrtc", reason="pip install cuda-bindings nvidia-cuda-nvrtc")
    from cupy._core import core

    every = dict.fromkeys(signature for run in RUNS for signature in fused_run(run)[1])
    found = [signature for signature in every if len(signature) == 3]
    launches = [signature[0] for signature in every if len(signature) == 1]
    assert len(found) > 50
    assert len(launches) > 100
    parts = [f"#include <{header}>" for header in core._cupy_header_list]
    parts += [cupy_source(cupy, f"fused{i}", *signature, i % 2 == 0) for i, signature in enumerate(found)]
    options = core.assemble_cupy_compiler_options(update_kernel.OPTIONS)
    ptx = kernels.to_ptx("\n".join(parts), architecture, tuple(o for o in options if "std" not in o))
    assert ptx.count(".entry fused") == len(found)
    for i, source in enumerate(launches):
        if architecture == 90 or i % 20 == 0:
            assert ".entry fused(" in kernels.to_ptx(source, architecture, update_kernel.OPTIONS)


@pytest.mark.cuda
@every_run
def test_on_a_gpu_fused_steps_give_the_numbers_of_its_own_functions(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    args, options = RUNS[run]
    fused = tree.leaves(trained("cupy", *args, **options))
    monkeypatch.setattr(CuPy, "compile", Backend.compile)
    compiled_step.cache_clear()
    plain = tree.leaves(trained("cupy", *args, **options))
    compiled_step.cache_clear()
    for a, b in zip(fused, plain, strict=True):
        a, b = (x.get() if hasattr(x, "get") else x for x in (a, b))
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
