"""A CuPy of which every call is written down: its arrays are NumPy's behind a wall, its kernels run on the host.

The real CuPy backend of arraynn works on it, so what is written down is what CuPy would be asked. Whatever would wait
for the GPU (a number read off it, a loop over an array, a mask as an index) raises `Synchronizes`. There are two GPUs,
as far as anybody can see, and what is asked of one while the other is the current one raises `WrongDevice`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import array_api_compat
import array_api_compat.numpy as host
import numpy as np
import pytest

from arraynn.backends import registry
from arraynn.backends.cupy import backend as cupy_backend
from arraynn.backends.cupy import cublas, launching, probe
from arraynn.backends.cupy.backend import CuPy
from arraynn.training.step import compiled_step

from . import kernels, streams

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
FREE = {"reshape", "matrix_transpose", "permute_dims", "isdtype", "finfo", "iinfo", "result_type", "getitem", "empty",
        "view", "as_strided"}  # fmt: skip
COPIES = {"asarray"}  #: what may take an array from another GPU
#: what waits for the GPU, as the sizes or the values decide what comes next
WAITS = {"nonzero", "unique_values", "unique_counts", "unique_inverse", "unique_all", "repeat", "clip"}


class Synchronizes(TypeError):
    """The step would wait for the GPU here."""


class WrongDevice(ValueError):
    """An array of a GPU that is not the current one: CuPy would fail, or reach over to it with a warning."""


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


def dressed(x: Any, device: Any = None, memory: Any = None) -> Any:
    return Recorded(x, device, memory) if isinstance(x, (np.ndarray, np.generic)) else x


def arrays_in(x: Any) -> Iterator[Recorded]:
    if isinstance(x, Recorded):
        yield x
    elif isinstance(x, (tuple, list)):
        for part in x:
            yield from arrays_in(part)


def same_device(name: str, args: Any) -> None:
    for x in arrays_in(args):
        if x.device != Device():
            raise WrongDevice(f"{name} of an array on GPU {x.device.id} while GPU {Device().id} is the current one")


def write_down(name: str, args: Any, kwargs: dict[str, Any], compute: Any) -> Any:
    """compute() as CuPy would run it: done at once, or kept for the graph while the stream captures."""
    if name in WAITS:
        raise Synchronizes(f"{name} waits for the GPU")
    refuse_in_capture(name, args)
    result = compute()
    same = isinstance(result, np.ndarray) and any(result is bare(a) for a in args)
    place = next(arrays_in(args), None)
    if name in COPIES and place is not None and place.device != Device():
        result, same = np.array(result), False
    elif not same and name not in FREE | COPIES:
        same_device(name, args)
    base = next((x for x in arrays_in(args) if shares(result, x)), None)
    memory = None if base is None else base._memory
    if base is None and isinstance(result, (np.ndarray, np.generic)):
        ((result, memory),) = streams.placed([result], lambda: [compute()])
    made = dressed(result, place.device if place is not None and (same or name in FREE) else None, memory)
    dtype = made.dtype.name if isinstance(made, Recorded) else ""
    kinds = tuple((key, kind(value)) for key, value in sorted(kwargs.items()))
    free = name in FREE or same or not dtype or streams.capturing()
    CALLS.append(Call(name, tuple(map(kind, args)), kinds, dtype, free))
    return made


def shares(result: Any, x: Recorded) -> bool:
    return isinstance(result, np.ndarray) and np.may_share_memory(result, x._host)


def refuse_in_capture(name: str, args: Any) -> None:
    """As CuPy does, in its words."""
    if not streams.capturing():
        return
    if name == "matmul":
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
    host = name == "asarray" and not isinstance(args[0], Recorded)
    if host or (name in ("concat", "stack") and len(args[0]) > 8):
        raise RuntimeError("the current stream is capturing, so H2D transfers are disallowed")


class Recorded:
    """An array on a GPU, as far as anybody can see."""

    def __init__(self, array: Any, device: Any = None, memory: Any = None) -> None:
        self._host, self._memory = np.asarray(array), memory
        self.device = Device() if device is None else device

    dtype = property(lambda self: self._host.dtype)
    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: self._host.flags)
    data = property(lambda self: SimpleNamespace(ptr=self._host.ctypes.data))

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return NAMESPACE

    def __getitem__(self, index: Any) -> Recorded:
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, (Recorded, np.ndarray)) and part.dtype == bool for part in parts):
            raise Synchronizes("a mask as an index waits for the GPU: the result's size depends on it")
        made: Recorded = write_down("getitem", (self, index), {}, lambda: self._host[bare(index)])
        return made

    def __setitem__(self, index: Any, value: Any) -> None:
        same_device("setitem", (self, value))
        target, index, given = self._host, bare(index), bare(value)
        streams.do(lambda: target.__setitem__(index, given))
        write_down("setitem", (self, value), {}, lambda: None)

    def view(self, dtype: str) -> Recorded:
        made: Recorded = write_down("view", (self,), {}, lambda: self._host.view(dtype))
        return made

    def get(self) -> np.ndarray:
        if streams.capturing():
            raise RuntimeError("the current stream is capturing, so D2H transfers are disallowed")
        return self._host.copy()

    # What the probe uses beside operators.

    T = property(lambda self: write_down("matrix_transpose", (self,), {}, lambda: self._host.T))

    def sum(self) -> Recorded:
        made: Recorded = write_down("sum", (self,), {}, lambda: self._host.sum())
        return made


def _operator(name: str, swapped: bool = False, inplace: bool = False) -> Any:
    method = f"__{'i' if inplace else ''}{name}__"

    def call(self: Recorded, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")  # as CuPy says
        if inplace:
            same_device(name, (self, other))
            target, given = self._host, bare(other)
            streams.do(lambda: getattr(target, method)(given))
            write_down(NAMES.get(name, name), (self, other), {}, lambda: target[...])
            return self
        a, b = (bare(other), self._host) if swapped else (self._host, bare(other))
        args = (other, self) if swapped else (self, other)
        return write_down(NAMES.get(name, name), args, {}, lambda: _apply(name, a, b))

    return call


def product(a: np.ndarray, b: np.ndarray) -> Any:
    """Of memory that is laid out as CuPy hands it to cuBLAS: batches row by row, one matrix by rows or by columns."""
    batches = max(a.ndim, b.ndim) > 2
    taken = [x if not batches and x.flags.forc else np.ascontiguousarray(x) for x in (a, b)]
    return np.matmul(*taken)


def _apply(name: str, a: Any, b: Any) -> Any:
    if name == "matmul":
        return product(a, b)
    return getattr(np, NAMES.get(name, {"pow": "power"}.get(name, name)))(a, b)


for _name in BINARY:
    setattr(Recorded, f"__{_name}__", _operator(_name))
    if _name not in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(Recorded, f"__r{_name}__", _operator(_name, swapped=True))
        setattr(Recorded, f"__i{_name}__", _operator(_name, inplace=True))
for _name in ("neg", "abs", "pos", "invert"):
    setattr(
        Recorded, f"__{_name}__",
        lambda self, f=NAMES[_name]: write_down(f, (self,), {}, lambda: getattr(np, f)(self._host)),
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
        function = product if name == "matmul" else getattr(host, name)
        if not callable(function) or isinstance(function, type):
            return function

        def call(*args: Any, **kwargs: Any) -> Any:
            wanted = kwargs.get("device")
            if wanted is not None and wanted != Device():  # CuPy does not listen to that
                raise WrongDevice(f"{name} on GPU {wanted.id} while GPU {Device().id} is the current one")
            given = {key: bare(value) for key, value in kwargs.items() if key != "device"}
            taken = [bare(x) for x in args]
            return write_down(name, args, kwargs, lambda: function(*taken, **given))

        return call


NAMESPACE: Any = _Namespace("recorded_cupy")
NAMESPACE.__array_namespace_info__ = _Info


class Device:
    """One of two GPUs; without a number, the current one."""

    current: ClassVar[list[int]] = [0]

    def __init__(self, number: int | None = None) -> None:
        self.id = self.current[-1] if number is None else int(number)
        assert self.id in (0, 1)

    def __enter__(self) -> None:
        self.current.append(self.id)

    def __exit__(self, *error: Any) -> None:
        self.current.pop()

    def __eq__(self, other: Any) -> bool:  # and so no hash, as the real one
        return isinstance(other, Device) and self.id == other.id

    compute_capability = "90"

    def __str__(self) -> str:
        return f"<CUDA Device {self.id}>"

    def synchronize(self) -> None:
        raise Synchronizes("Device.synchronize")


class Kernel(kernels.HostKernel):
    """A generated kernel, run and counted."""

    def __call__(self, *args: Any) -> None:
        CALLS.append(Call(NAMED.get(self.name, self.name), (), (), "", streams.capturing()))
        same_device("a kernel", args[-1])
        if self.name == "fused":
            MADE[-1].append((self.source,))
        super().__call__(*args)

    def start(self, run: Any) -> None:
        streams.do(run)


NAMED = {"update": "generated kernel", "fused": "fused kernel"}


class Elementwise(kernels.HostElementwise):
    """A fused kernel, run and counted."""

    def __call__(self, *args: Any) -> Any:
        CALLS.append(Call("fused kernel", (), (), "", streams.capturing()))
        same_device("a kernel", args)
        MADE[-1].append(self.signature)
        given = [bare(x) for x in args]

        def compute() -> list[Any]:
            made = kernels.HostElementwise.__call__(self, *given)
            return list(made) if isinstance(made, tuple) else [made]

        made = [dressed(x, None, memory) for x, memory in streams.placed(compute(), compute)]
        return tuple(made) if len(made) > 1 else made[0]


def as_strided(x: Recorded, shape: Any, strides: Any) -> Any:
    host = x._host
    return write_down("as_strided", (x,), {}, lambda: np.lib.stride_tricks.as_strided(host, shape, strides))


def launched(stream: Any) -> None:
    assert not streams.capturing()
    CALLS.append(Call("graph", (), (), "", False))


@contextmanager
def recording(made: list[tuple[str, ...]] | None = None, number: int = 0) -> Iterator[CuPy]:
    """The CuPy backend, on arrays that write everything down in CALLS, which is emptied first.

    made : gets what each fused kernel takes, makes and does, or the source of one that is a launch of several groups.
    number : the GPU's; the current one is 0.
    """
    patched = SimpleNamespace(
        RawKernel=Kernel,
        ElementwiseKernel=Elementwise,
        ndarray=type("ndarray", (), {}),
        lib=SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=as_strided)),
        asnumpy=Recorded.get,
        empty=NAMESPACE.empty,
        cuda=SimpleNamespace(
            Device=Device,
            Event=streams.Event,
            MemoryPool=streams.MemoryPool,
            Stream=streams.Stream,
            get_current_stream=streams.current,
            runtime=SimpleNamespace(memGetInfo=lambda: MEMORY),
            using_allocator=streams.using_allocator,
        ),
        get_default_memory_pool=lambda: SimpleNamespace(free_bytes=lambda: 0),
    )
    missing, by_type = object(), registry.by_type
    before = sys.modules.get("cupy", missing)
    sys.modules["cupy"] = patched  # type: ignore[assignment]
    registry.by_type = lambda kind: "cupy" if kind is Recorded else by_type(kind)  # type: ignore[assignment]
    ours = streams.Cublas()
    replaced = {
        cublas: {"library": lambda: ours, "_compute_type": lambda dtype: 1},
        streams.Graph: {"launched": launched},
    }
    kept = {(place, name): getattr(place, name) for place, names in replaced.items() for name in names}
    for place, names in replaced.items():
        for name, value in names.items():
            setattr(place, name, staticmethod(value) if place is streams.Graph else value)
    cached = cupy_backend._kernel, launching._raw, cublas._handle
    for function in cached:
        function.cache_clear()
    CALLS.clear()
    probe.forget()  # what was found out of another CuPy, or of none
    MADE.append([] if made is None else made)
    compiled_step.cache_clear()  # a step keeps its programs, and they their kernels
    try:
        yield CuPy(NAMESPACE, Device(number), version="recorded", reason="a test")
    finally:
        MADE.pop()
        compiled_step.cache_clear()
        probe.forget()
        registry.by_type = by_type
        if before is missing:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = before  # type: ignore[assignment]
        for (place, name), value in kept.items():
            setattr(place, name, staticmethod(value) if place is streams.Graph else value)
        for function in cached:
            function.cache_clear()


@contextmanager
def importable() -> Iterator[None]:
    """Within `recording`: names find the stand-in, and the probe proves it."""
    cupy: Any = sys.modules["cupy"]
    cupy.__version__, cupy.asarray = "14.2.0", lambda x: Recorded(np.array(x))
    cupy.cuda.runtime.getDeviceCount = lambda: 2
    cupy.cuda.runtime.getDeviceProperties = lambda number: {"name": b"Recorded"}
    cupy.cuda.runtime.runtimeGetVersion = lambda: 13000
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "array_api_compat.cupy", NAMESPACE)
        patch.setattr(array_api_compat, "cupy", NAMESPACE, raising=False)
        yield
