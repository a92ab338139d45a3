"""What a step as a CUDA graph is made of, without a GPU: our own products, the loader and the writer, what the stand-in
refuses while a stream captures; and all that is asked of CuPy and cuBLAS, held against the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from arraynn.backends.cupy import cublas, launching
from arraynn.backends.cupy.launching import NotCaptured
from tests.backends import kernels, recording, streams
from tests.backends.test_cuda_kernels import RULES, loop_of, needs_compiler
from tests.backends.test_cupy_capture import both
from tests.backends.test_cupy_conformance import X, every_run, problem

pytestmark = needs_compiler


@pytest.fixture
def gpu() -> Iterator[Any]:
    with recording.recording() as opened:
        yield opened


SHAPES = [
    ((3, 4), (4, 5)), ((1, 4), (4, 1)), ((4,), (4, 5)), ((3, 4), (4,)), ((4,), (4,)), ((1, 1), (1, 1)),
    ((0, 4), (4, 5)), ((3, 0), (0, 5)), ((2, 3, 4), (2, 4, 5)), ((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (5, 4, 3)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_our_own_products_are_numpys_for_every_layout(gpu: Any, shapes: Any, dtype: str) -> None:
    products, rng = cublas.Products(gpu.xp, 0, 90), np.random.default_rng(0)
    products.on(streams.current())

    def layouts(shape: tuple[int, ...]) -> list[np.ndarray]:
        x = rng.standard_normal(shape).astype(dtype)
        turned = np.ascontiguousarray(np.swapaxes(x, -1, -2)).swapaxes(-1, -2) if x.ndim > 1 else x
        return [x, turned, np.stack([x, x], axis=-1)[..., 0]]

    for a in layouts(shapes[0]):
        for b in layouts(shapes[1]):
            with products.compared():
                got = products(recording.Recorded(a), recording.Recorded(b))
            assert (got.shape, got.dtype) == (np.matmul(a, b).shape, np.dtype(dtype))
            np.testing.assert_allclose(recording.bare(got), a @ b, rtol=1e-5, atol=1e-6)


def test_a_product_of_other_dtypes_is_refused(gpu: Any) -> None:
    products = cublas.Products(gpu.xp, 0, 90)
    x = recording.Recorded(np.ones((2, 2), "int32"))
    with pytest.raises(NotCaptured, match="a product of int32 and int32"):
        products(x, x)


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_concat_and_stack_by_copies_are_the_librarys(axis: int | None) -> None:
    rng = np.random.default_rng(0)
    xp = recording.NAMESPACE
    arrays = [recording.Recorded(rng.standard_normal((3, 4))) for _ in range(10)]
    got = launching.concat_by(xp)(arrays, axis=axis)
    np.testing.assert_array_equal(recording.bare(got), recording.bare(xp.concat(arrays, axis=axis)))
    if axis is not None:
        got = launching.stack_by(xp)(tuple(arrays), axis=axis)
        np.testing.assert_array_equal(recording.bare(got), recording.bare(xp.stack(arrays, axis=axis)))


def test_what_does_not_fit_the_loaders_arguments_is_refused(gpu: Any) -> None:
    numbers = launching.Numbers(gpu.xp, [np.dtype("float32")], [1.0])
    cells = gpu.xp.empty((launching.ARGUMENTS,), dtype="int64")
    with pytest.raises(NotCaptured, match="too many for one launch"):
        launching.Loader({}, numbers, cells)
    with pytest.raises(NotCaptured, match="more than 128 numbers"):
        launching.Numbers(gpu.xp, [np.dtype("float32")] * 129, [1.0] * 129)


def test_the_stand_in_refuses_in_a_capture_what_cuda_and_cupy_refuse(gpu: Any) -> None:
    x, pool = gpu.asarray(X), streams.MemoryPool()
    refused = {
        "outside of the graph's pool": lambda: x + 1,
        "D2H transfers": lambda: x.get(),
        "H2D transfers": lambda: gpu.asarray(X),
        "calling cuBLAS": lambda: x @ x,
        "takes a number off": lambda: float(x),
    }
    with streams.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        for said, asks in refused.items():
            with pytest.raises((RuntimeError, NotImplementedError, TypeError), match=said):
                asks()
        with streams.using_allocator(pool.malloc), pytest.raises(RuntimeError, match="H2D transfers"):
            gpu.xp.stack([x] * 9)
        stream.end_capture()
    with streams.Stream.null as stream, pytest.raises(RuntimeError, match="legacy"):
        stream.begin_capture()


def test_nothing_is_computed_while_a_stream_captures_and_all_of_it_at_each_launch(gpu: Any) -> None:
    x, pool = gpu.asarray(np.ones(3, "float32")), streams.MemoryPool()
    with streams.Stream(non_blocking=True) as stream, streams.using_allocator(pool.malloc):
        y = x + 1
        stream.begin_capture()
        x *= 2
        y[...] = x + y
        graph = stream.end_capture()
    assert recording.bare(x).tolist() == [1, 1, 1]
    graph.launch()
    graph.launch()
    assert (recording.bare(x).tolist(), recording.bare(y).tolist()) == ([4, 4, 4], [8, 8, 8])


# ---------------------------------------------------------------- with the real CuPy and NVRTC, and no GPU


@pytest.fixture(scope="module")
def cupy() -> Any:
    return pytest.importorskip("cupy", reason='pip install "arraynn[cuda13]"; no GPU is needed')


@every_run
def test_cupy_takes_every_call_of_a_captured_step(cupy: Any, run: str) -> None:
    problems = {call: problem(call, cupy) for call in dict.fromkeys(both(run)[0].calls)}
    assert {call: said for call, said in problems.items() if said} == {}


def test_cupy_has_all_that_a_capture_asks_of_it(cupy: Any) -> None:
    import inspect

    from cupy._core import get_compute_type

    stream = inspect.signature(cupy.cuda.Stream.__init__).parameters
    assert {"non_blocking"} <= set(stream)
    for name in ("begin_capture", "end_capture", "record", "wait_event", "__enter__", "__exit__"):
        assert callable(getattr(cupy.cuda.Stream, name))
    assert "disable_timing" in inspect.signature(cupy.cuda.Event.__init__).parameters
    assert "stream" in inspect.signature(cupy.cuda.Event.record).parameters
    assert "stream" in (cupy.cuda.Graph.launch.__doc__ or "").partition("\n")[0]
    for name in ("malloc", "total_bytes"):
        assert callable(getattr(cupy.cuda.MemoryPool, name))
    assert callable(cupy.cuda.using_allocator)
    assert callable(cupy.cuda.get_current_stream)
    assert [get_compute_type(name) for name in cublas.KINDS] == [1, 1]


def test_cupys_module_leads_to_cublas_and_its_numbers_are_ours(cupy: Any) -> None:
    from cupy._core import _routines_linalg
    from cupy_backends.cuda.libs import cublas as theirs

    library = cublas.library.__wrapped__()
    names = ["Create_v2", "SetMathMode", "SetStream_v2", "SetWorkspace_v2", "GemmEx", "GemmStridedBatchedEx"]
    assert [name for name in names if not hasattr(library, f"cublas{name}")] == []
    kinds = ("CUBLAS_COMPUTE_32F", "CUBLAS_COMPUTE_32F_PEDANTIC", "CUBLAS_COMPUTE_32F_FAST_TF32")
    assert cublas.KINDS["float32"][2] == tuple(getattr(theirs, name) for name in kinds)
    assert cublas.KINDS["float64"][2][:2] == (theirs.CUBLAS_COMPUTE_64F, theirs.CUBLAS_COMPUTE_64F_PEDANTIC)
    assert (cublas.ALGORITHM, cublas.TENSOR_ALGORITHM) == (
        theirs.CUBLAS_GEMM_DEFAULT,
        theirs.CUBLAS_GEMM_DEFAULT_TENSOR_OP,
    )
    assert theirs.CUBLAS_DEFAULT_MATH == cublas.DEFAULT_MATH
    assert (_routines_linalg.COMPUTE_TYPE_PEDANTIC, _routines_linalg.COMPUTE_TYPE_TF32) == (2, 7)


def test_nvrtc_compiles_the_loader_the_writer_and_updates_that_read_their_numbers() -> None:
    pytest.importorskip("cuda.bindings.nvrtc", reason="pip install cuda-bindings nvidia-cuda-nvrtc")
    sources = {
        "load": launching.load_source((4, 8, 1, 2), ("float32", "float64", "int32", "int64", "bool"), 3),
        "store": launching.store_source((4, 8, 1)),
        **{f"update {i}": loop_of(rule).cuda(2, True) for i, rule in enumerate(RULES)},
    }
    for architecture in kernels.architectures():
        for name, text in sources.items():
            entry = name.partition(" ")[0]
            assert f".entry {entry}(" in kernels.to_ptx(text, architecture, launching.OPTIONS)
            if entry == "update" and architecture != 90:
                break
