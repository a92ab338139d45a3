"""Matrix products by a cuBLAS handle of our own, which CUDA can capture into a graph.

CuPy refuses its own handle while a stream captures (cupy issue 6290), as cuBLAS must then have its workspace beforehand
and a stream that captures. The library is the one that CuPy loaded, and each call is the one that CuPy would make: the
same function, layouts, type of arithmetic and choice of algorithm.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from .launching import NotCaptured

DEFAULT_MATH = 0
ALGORITHM, TENSOR_ALGORITHM = -1, 99  # CUBLAS_GEMM_DEFAULT, and what CuPy takes from compute capability 8.0 on
#: by dtype: cudaDataType, ctypes' type, and the types of arithmetic (cublasComputeType_t): default, pedantic, TF32
KINDS: dict[str, tuple[int, Any, tuple[int, int, int]]] = {
    "float32": (0, ctypes.c_float, (68, 69, 77)),
    "float64": (1, ctypes.c_double, (70, 71, 70)),
}
_PEDANTIC, _TF32 = 2, 7  # of cupy._core.get_compute_type
WORKSPACE = {9: 32 << 20, 10: 32 << 20}  #: bytes by the major compute capability, as cuBLAS itself takes them
OTHER_WORKSPACE = 4 << 20
#: |error| of a product of float32 or float64, relative to |a| |b|: far above rounding, far below a wrong element
TOLERANCE = {"float32": 1e-3, "float64": 1e-11}


@lru_cache(maxsize=1)
def library() -> Any:
    """The cuBLAS that CuPy's own module is linked with."""
    from cupy_backends.cuda.libs import cublas

    loaded = ctypes.CDLL(cublas.__file__)  # a name is also looked for in what this was linked with
    if not hasattr(loaded, "cublasGemmEx"):
        raise NotCaptured(f"{cublas.__file__} gives no way to cuBLAS")
    return loaded


@lru_cache(maxsize=16)
def _handle(device: int) -> ctypes.c_void_p:
    """The handle of a device, which is the current one, for the rest of the process."""
    made = ctypes.c_void_p()
    _check("cublasCreate_v2", ctypes.byref(made))
    _check("cublasSetMathMode", made, DEFAULT_MATH)
    return made


def _check(function: str, *arguments: Any) -> None:
    status = getattr(library(), function)(*arguments)
    if status:
        raise NotCaptured(f"{function} answers {status}")


class Products:
    """products(a, b): a @ b on the current device, with memory from the current allocator.

    capability : the device's, such as 90. One thread at a time may use it, as the handle is the device's.
    """

    def __init__(self, xp: Any, device: int, capability: int) -> None:
        self.xp, self.handle = xp, _handle(device)
        self.algorithm = TENSOR_ALGORITHM if capability >= 80 else ALGORITHM
        self.workspace = xp.empty((WORKSPACE.get(capability // 10, OTHER_WORKSPACE),), dtype="uint8")
        self.checked: dict[Any, Any] | None = None

    def on(self, stream: Any) -> None:
        """Start the products that follow on this stream."""
        _check("cublasSetStream_v2", self.handle, ctypes.c_void_p(stream.ptr))
        # which takes the workspace away
        size = ctypes.c_size_t(self.workspace.size)
        _check("cublasSetWorkspace_v2", self.handle, _pointer(self.workspace), size)

    @contextmanager
    def compared(self) -> Iterator[None]:
        """Within it, products are compared with CuPy's own. NotCaptured where one differs. Reads the device."""
        import cupy

        self.checked = {}
        try:
            yield
            wrong = [f"{a} @ {b}" for (a, b, *_), flag in self.checked.items() if int(cupy.asnumpy(flag))]
        finally:
            self.checked = None
        if wrong:
            raise NotCaptured(f"our own product is not CuPy's: {', '.join(wrong)}")

    def __call__(self, a: Any, b: Any) -> Any:
        product = self._product(a, b)
        key = tuple(a.shape), tuple(b.shape), str(a.dtype), a.flags.c_contiguous, b.flags.c_contiguous
        if self.checked is not None and key not in self.checked:
            xp = self.xp
            bound = TOLERANCE[str(a.dtype)] * (xp.abs(a) @ xp.abs(b))
            self.checked[key] = xp.any(xp.abs(product - a @ b) > bound)  # a nan is not more
        return product

    def _product(self, a: Any, b: Any) -> Any:
        xp = self.xp
        if a.ndim == 1 or b.ndim == 1:
            left, right = (a[None, :] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
            product = self._product(left, right)
            gone = [axis for axis, x in ((-2, a), (-1, b)) if x.ndim == 1]
            shape = [n for i, n in enumerate(product.shape) if i - product.ndim not in gone]
            return xp.reshape(product, tuple(shape))
        name = str(a.dtype)
        if name not in KINDS or a.dtype != b.dtype:
            raise NotCaptured(f"a product of {a.dtype} and {b.dtype}")
        batch = _broadcast(a.shape[:-2], b.shape[:-2])
        n, k, m = a.shape[-2], a.shape[-1], b.shape[-1]
        if not (a.size and b.size):
            return xp.zeros((*batch, n, m), dtype=a.dtype)
        out = xp.empty((*batch, n, m), dtype=a.dtype)
        kind, number, arithmetics = KINDS[name]
        chosen = {_PEDANTIC: 1, _TF32: 2}.get(_compute_type(name), 0)
        one, zero = number(1), number(0)
        # Memory that holds C row by row holds Cᵀ column by column, as cuBLAS reads it, and (A B)ᵀ = Bᵀ Aᵀ.
        if not batch:
            a, a_turned = _rows(xp, a, prefer_columns=False)
            b, b_turned = _rows(xp, b, prefer_columns=True)
            # fmt: off
            _check(
                "cublasGemmEx", self.handle, int(b_turned), int(a_turned), m, n, k, ctypes.byref(one),
                _pointer(b), kind, k if b_turned else m, _pointer(a), kind, n if a_turned else k,
                ctypes.byref(zero), _pointer(out), kind, m, arithmetics[chosen], self.algorithm,
            )
            # fmt: on
            return out
        count, sizes = 1, []
        for length in batch:
            count *= length
        for which, x in enumerate((a, b)):
            if x.ndim > 2 and tuple(x.shape[:-2]) != batch:
                x = xp.broadcast_to(x, (*batch, *x.shape[-2:]))
            x = xp.ascontiguousarray(x)
            sizes.append(ctypes.c_longlong(x.shape[-2] * x.shape[-1] if x.ndim > 2 else 0))  # 0: one matrix for all
            a, b = (x, b) if which == 0 else (a, x)
        # fmt: off
        _check(
            "cublasGemmStridedBatchedEx", self.handle, 0, 0, m, n, k, ctypes.byref(one),
            _pointer(b), kind, m, sizes[1], _pointer(a), kind, k, sizes[0],
            ctypes.byref(zero), _pointer(out), kind, m, ctypes.c_longlong(n * m), count, arithmetics[0], ALGORITHM,
        )
        # fmt: on
        return out


def _rows(xp: Any, x: Any, prefer_columns: bool) -> tuple[Any, bool]:
    """(a matrix whose memory is contiguous, whether column by column); of one that is both, as CuPy has it."""
    columns, rows = x.flags.f_contiguous, x.flags.c_contiguous
    if columns and (prefer_columns or not rows):
        return x, True
    return (x if rows else xp.ascontiguousarray(x)), False


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    padded = (1,) * (len(longer) - len(shorter)) + tuple(shorter)
    return tuple(y if x == 1 else x for x, y in zip(longer, padded, strict=True))


def _compute_type(dtype: str) -> int:
    """What the caller has set for CuPy's products, such as TF32."""
    from cupy._core import get_compute_type

    return int(get_compute_type(dtype))


def _pointer(x: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(x.data.ptr)
