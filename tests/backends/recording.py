"""A CuPy of which every call is written down: its arrays are NumPy's behind a wall, its kernels run on the host.

The real CuPy backend of arraynn works on it, so what is written down is what CuPy would be asked. Whatever would wait
for the GPU (a number read off it, a loop over an array, a mask as an index) raises `Synchronizes`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import array_api_compat.numpy as host
import numpy as np

from arraynn import training
from arraynn.backends import _cuda, _cupy, _registry
from arraynn.backends._cupy import CuPy

from . import kernels

BINARY = [
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
    "lt",
    "le",
    "gt",
    "ge",
    "eq",
    "ne",
]
NAMES = {  # of the functions behind the operators
    "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide", "mod": "remainder",
    "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "left_shift", "rshift": "right_shift",
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal",
    "neg": "negative", "abs": "absolute", "pos": "positive", "invert": "invert",
}  # fmt: skip
#: what starts nothing on the GPU: views, questions of dtype, and casts that are none (seen by what they return)
FREE = {"reshape", "matrix_transpose", "permute_dims", "isdtype", "finfo", "iinfo", "result_type", "getitem", "empty"}
#: what waits for the GPU, as the sizes or the values decide what comes next
WAITS = {"nonzero", "unique_values", "unique_counts", "unique_inverse", "unique_all", "repeat", "clip"}


class Synchronizes(TypeError):
    """The step would wait for the GPU here."""


@dataclass(frozen=True)
class Call:
    """function : its name in the namespace. args, kwargs : kinds, such as ("array", "float32", 2) or ("float",).
    result : the dtype of the array made, or "". free : nothing is started on the GPU for it."""

    function: str
    args: tuple[Any, ...]
    kwargs: tuple[tuple[str, Any], ...]
    result: str
    free: bool


MEMORY = (6_000_000_000, 8_000_000_000)  #: free, all
CALLS: list[Call] = []
MADE: list[list[tuple[str, ...]]] = []


def kind(x: Any) -> Any:
    if isinstance(x, Recorded):
        return ("array", x.dtype.name, len(x.shape))
    if isinstance(x, (tuple, list)):
        return ("tuple", *map(kind, x))
    if isinstance(x, (np.dtype, type)):
        return ("dtype", np.dtype(x).name)
    if isinstance(x, np.generic):
        raise AssertionError(f"a NumPy scalar, {x!r}, in a formula: it has a dtype of its own")
    return ("device",) if hasattr(x, "id") else (type(x).__name__,)


def bare(x: Any) -> Any:
    """x with NumPy's arrays in place of ours."""
    if isinstance(x, (tuple, list)):
        return type(x)(map(bare, x))
    return x._host if isinstance(x, Recorded) else x


def dressed(x: Any) -> Any:
    return Recorded(x) if isinstance(x, (np.ndarray, np.generic)) else x


def write_down(name: str, args: Any, kwargs: dict[str, Any], result: Any) -> Any:
    if name in WAITS:
        raise Synchronizes(f"{name} waits for the GPU")
    made = dressed(result)
    same = isinstance(result, np.ndarray) and any(result is bare(a) for a in args)
    dtype = made.dtype.name if isinstance(made, Recorded) else ""
    kinds = tuple((key, kind(value)) for key, value in sorted(kwargs.items()))
    CALLS.append(Call(name, tuple(map(kind, args)), kinds, dtype, name in FREE or same or not dtype))
    return made


class Recorded:
    """An array on a GPU, as far as anybody can see."""

    def __init__(self, array: Any) -> None:
        self._host = np.asarray(array)
        self.device = sys.modules["cupy"].cuda.Device()

    dtype = property(lambda self: self._host.dtype)
    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    flags = property(lambda self: self._host.flags)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return NAMESPACE

    def __getitem__(self, index: Any) -> Recorded:
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, (Recorded, np.ndarray)) and part.dtype == bool for part in parts):
            raise Synchronizes("a mask as an index waits for the GPU: the result's size depends on it")
        made: Recorded = write_down("getitem", (self, index), {}, self._host[bare(index)])
        return made

    def get(self) -> np.ndarray:
        return self._host.copy()


def _operator(name: str, swapped: bool = False, inplace: bool = False) -> Any:
    method = f"__{'i' if inplace else ''}{name}__"

    def call(self: Recorded, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")  # as CuPy says
        if inplace:
            getattr(self._host, method)(bare(other))
            write_down(NAMES.get(name, name), (self, other), {}, self._host[...])
            return self
        a, b = (bare(other), self._host) if swapped else (self._host, bare(other))
        args = (other, self) if swapped else (self, other)
        return write_down(NAMES.get(name, name), args, {}, _apply(name, a, b))

    return call


def _apply(name: str, a: Any, b: Any) -> Any:
    return getattr(np, NAMES.get(name, {"pow": "power"}.get(name, name)))(a, b)


for _name in BINARY:
    setattr(Recorded, f"__{_name}__", _operator(_name))
    if _name not in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(Recorded, f"__r{_name}__", _operator(_name, swapped=True))
        setattr(Recorded, f"__i{_name}__", _operator(_name, inplace=True))
for _name in ("neg", "abs", "pos", "invert"):
    setattr(
        Recorded, f"__{_name}__",
        lambda self, f=NAMES[_name]: write_down(f, (self,), {}, getattr(np, f)(self._host)),
    )  # fmt: skip
Recorded.__hash__ = object.__hash__  # type: ignore[method-assign]


def _waits(name: str) -> Any:
    def call(self: Recorded, *args: Any, **kwargs: Any) -> Any:
        raise Synchronizes(f"{name} takes a number off the GPU")

    return call


for _name in ("array", "array_ufunc", "array_function", "bool", "complex", "float", "index", "int", "iter", "len"):
    setattr(Recorded, f"__{_name}__", _waits(_name))
for _name in ("item", "tolist"):
    setattr(Recorded, _name, _waits(_name))


class _Info:
    """What CuPy's namespace says of itself."""

    def dtypes(self, *, device: Any = None, kind: Any = None) -> Any:
        return host.__array_namespace_info__().dtypes(kind=kind)

    def default_dtypes(self, *, device: Any = None) -> Any:
        return host.__array_namespace_info__().default_dtypes()


class _Namespace(ModuleType):
    """The functions of the array API, each call written down."""

    def __getattr__(self, name: str) -> Any:
        function = getattr(host, name)
        if not callable(function) or isinstance(function, type):
            return function

        def call(*args: Any, **kwargs: Any) -> Any:
            given = {key: bare(value) for key, value in kwargs.items() if key != "device"}
            return write_down(name, args, kwargs, function(*map(bare, args), **given))

        return call


NAMESPACE: Any = _Namespace("recorded_cupy")
NAMESPACE.__array_namespace_info__ = _Info


class Device:
    id = 0

    def __init__(self, number: int = 0) -> None:
        assert number == 0

    def __enter__(self) -> None: ...
    def __exit__(self, *error: Any) -> None: ...
    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Device)

    def synchronize(self) -> None:
        raise Synchronizes("Device.synchronize")


class Kernel(kernels.HostKernel):
    """A generated kernel, run and counted."""

    def __call__(self, *args: Any) -> None:
        CALLS.append(Call("generated kernel", (), (), "", False))
        super().__call__(*args)


class Elementwise(kernels.HostElementwise):
    """A fused kernel, run and counted."""

    def __call__(self, *args: Any) -> Any:
        CALLS.append(Call("fused kernel", (), (), "", False))
        MADE[-1].append(self.signature)
        made = super().__call__(*map(bare, args))
        return tuple(map(dressed, made)) if isinstance(made, tuple) else dressed(made)


@contextmanager
def recording(made: list[tuple[str, ...]] | None = None) -> Iterator[CuPy]:
    """The CuPy backend, on arrays that write everything down in CALLS, which is emptied first.

    made : gets what each fused kernel takes, makes and does.
    """
    patched = SimpleNamespace(
        RawKernel=Kernel,
        ElementwiseKernel=Elementwise,
        ndarray=type("ndarray", (), {}),
        asnumpy=Recorded.get,
        cuda=SimpleNamespace(Device=Device, runtime=SimpleNamespace(memGetInfo=lambda: MEMORY)),
        get_default_memory_pool=lambda: SimpleNamespace(free_bytes=lambda: 0),
    )
    missing, by_type = object(), _registry.by_type
    before = sys.modules.get("cupy", missing)
    sys.modules["cupy"] = patched  # type: ignore[assignment]
    _registry.by_type = lambda kind: "cupy" if kind is Recorded else by_type(kind)  # type: ignore[assignment]
    for cache in (_cupy._kernel, _cuda.traced):
        cache.cache_clear()
    CALLS.clear()
    MADE.append([] if made is None else made)
    training._core.cache_clear()  # a step keeps its programs, and they their kernels
    try:
        yield CuPy(NAMESPACE, Device(), version="recorded", reason="a test")
    finally:
        MADE.pop()
        training._core.cache_clear()
        _registry.by_type = by_type
        if before is missing:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = before  # type: ignore[assignment]
        for cache in (_cupy._kernel, _cuda.traced):
            cache.cache_clear()
