"""A backend: an array library on one device, and the three hooks through which it may run a step faster."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pickle import PicklingError
from typing import Any

import array_api_compat
import numpy as np

from .._array import namespace
from ..errors import BackendUnavailable
from . import recurrence, registry
from . import windows as sliding
from .windows import Windows


@dataclass(frozen=True)
class Status:
    """What a look at a library found: one row of `backends.report()`.

    reason : why it can be used, or why it cannot; remedy : what would make it usable, or "".
    """

    name: str
    installed: bool
    usable: bool
    version: str = ""
    devices: tuple[str, ...] = ()
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Plan:
    """How a batch's gradient is taken: in these blocks of rows, or, where there are none, in one pass; and why."""

    blocks: tuple[slice, ...]
    why: str


class Backend:
    """An array library on one of its devices. This class works for every array-API library; the files beside it,
    one for each library, say what theirs does differently.

    name, version : of the library; device : the library's own device object; xp : its namespace.
    reason : why this backend was taken, and why each better one was passed over.

    A subclass says `name`, which is also the package it comes from, and overrides what differs.
    """

    name: str = "array API"
    #: rows that inference takes together: many on a device, on a CPU so few that they stay in the cache
    inference_rows: int = 65536
    #: whether `elementwise` takes rules from outside the library. It may then call one once, with stand-ins
    #: for arrays, and run what it has seen; else such a rule is called for one parameter after another
    traces_rules: bool = False
    #: whether a compiled function may call what is not traced, such as an exchange with other workers
    opaque_calls: bool = True

    def __init__(self, xp: Any, device: Any = None, *, name: str = "", version: str = "", reason: str = "") -> None:
        self.xp, self.device, self.reason = xp, device, reason
        self.name, self.version = name or type(self).name, version

    # Opening: from a name, from an array, and the look that `report` and `auto` take.

    @classmethod
    def open(cls, device: str | None = None) -> Backend:
        """The backend on the named device, or on the library's default one; BackendUnavailable says why not."""
        raise BackendUnavailable(cls.name, f"it opens from an array or a module only, not from device {device!r}")

    @classmethod
    def of(cls, x: Any) -> Backend:
        """The backend that x lives on."""
        xp = array_api_compat.array_namespace(x)
        return cls(xp, array_api_compat.device(x), version=version_of(xp), reason="the arrays given live there")

    @classmethod
    def status(cls) -> Status:
        """Whether the library can be used here, found without leaving anything behind."""
        try:
            opened = cls.open()
        except BackendUnavailable as error:
            return Status(cls.name, installed(cls.name), False, reason=error.reason, remedy=error.remedy)
        return Status(cls.name, True, True, opened.version, opened.devices(), f"opens on {opened.device}")

    def devices(self) -> tuple[str, ...]:
        """The names of the library's devices, as `arraynn.backend` takes them behind a colon."""
        return tuple(str(d) for d in self.xp.__array_namespace_info__().devices())

    def device_name(self) -> str:
        """The device as `open` takes it, and `arraynn.backend` behind a colon."""
        return "" if self.device is None else str(self.device)

    def __reduce__(self) -> Any:  # a module cannot be pickled: whoever reads this opens the library anew
        return reopened, (type(self).name, self.device_name(), self.reason)

    def __deepcopy__(self, memo: Any) -> Backend:  # within a process copies share it, as nothing writes to it
        return self

    # Arrays in and out.

    def asarray(self, x: Any, dtype: Any = None, *, copy: bool | None = None) -> Any:
        """x (any library's array, or nested lists) as an array here; dtype a name ("float32") or the library's own.

        copy : True always copies, None only where it must.
        Python floats have no dtype of their own: without `dtype` they get this library's default one.
        """
        if not self.owns(x):
            if array_api_compat.is_array_api_obj(x):
                x = of(x).to_numpy(x)
            elif dtype is None and isinstance(x, (float, list, tuple)):
                x = np.asarray(x)
                dtype = self._default_dtypes()["real floating"] if x.dtype == np.float64 else None
            else:
                x = np.asarray(x)
            if not x.dtype.isnative:  # as files have them; few libraries take such bytes
                x = x.astype(x.dtype.newbyteorder("="))
        return self._put(x, self.dtype(dtype), copy)

    def _put(self, x: Any, dtype: Any, copy: bool | None) -> Any:
        """x, a NumPy array or an array of this library on any device, as an array here."""
        if isinstance(x, np.ndarray):
            return self.xp.asarray(x, dtype=dtype, device=self.device, copy=copy)
        moved = array_api_compat.to_device(x, self.device)
        return self.xp.asarray(moved, dtype=dtype, copy=copy if moved is x else None)

    def to_numpy(self, x: Any) -> np.ndarray:
        """x, one of this library's arrays, as a NumPy array; it may share memory with x."""
        return np.asarray(x)

    def fetch(self, numbers: list[Any]) -> list[float]:
        """0-d arrays and Python numbers as Python floats, in one transfer a dtype."""
        result = [float(n) if isinstance(n, (int, float)) else 0.0 for n in numbers]
        by_dtype: dict[Any, list[int]] = {}
        for i, n in enumerate(numbers):
            if not isinstance(n, (int, float)):
                by_dtype.setdefault(str(n.dtype), []).append(i)
        for places in by_dtype.values():
            for i, value in zip(places, self.to_numpy(self.xp.stack([numbers[i] for i in places])), strict=True):
                result[i] = float(value)
        return result

    def owns(self, x: Any) -> bool:
        """Whether x is an array of this library, on whatever device."""
        return registry.by_type(type(x)) == type(self).name  # type: ignore[arg-type]  # a type is hashable

    def dtype(self, dtype: Any) -> Any:
        """The library's dtype of that name; anything that is not a name is passed through."""
        if not isinstance(dtype, str):
            return dtype
        found = self.xp.__array_namespace_info__().dtypes(device=self.device).get(dtype)
        if found is None:
            raise BackendUnavailable(self.name, f"it has no dtype {dtype!r} on {self.device}")
        return found

    @property
    def index_dtype(self) -> Any:
        """The library's dtype for labels and positions."""
        return self._default_dtypes()["indexing"]

    def _default_dtypes(self) -> dict[str, Any]:
        found: dict[str, Any] = self.xp.__array_namespace_info__().default_dtypes(device=self.device)
        return found

    def synchronize(self) -> None:
        """Wait until all work of the device is done. Most libraries compute at once."""

    def room(self) -> float:
        """Bytes that further arrays may take on the device; infinite where that is not known."""
        return math.inf

    def context(self) -> AbstractContextManager[Any]:
        """What a training run is wrapped in: the current device, no gradient tape, no warnings on overflow."""
        return np.errstate(all="ignore")  # NumPy is inside of many: array-api-strict, JAX where it takes scalars

    @classmethod
    def current(cls, x: Any) -> AbstractContextManager[Any]:
        """Within it, the device of the array x is the library's current one; few libraries have such a thing."""
        return nullcontext()

    def parallel_map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """[function(item) for item in items], within `context`: blocks of rows that have nothing to do with each other,
        on a CPU by several threads."""
        return list(map(function, items))

    @classmethod
    def single_threaded_products(cls) -> AbstractContextManager[Any]:
        """Within it, matrix products have the bits that they have on one thread, where the library has that choice."""
        return nullcontext()

    @classmethod
    def view_int16(cls, words: Any) -> Any:
        """int32 words (N, h) as their halves, read as signed numbers, (N, 2 h), the lower half of each first: how they
        lie in most machines' memory, so that libraries which can read that anew need not copy it."""
        xp = namespace(words)
        halves = xp.stack([(words << 16) >> 16, words >> 16], axis=-1)
        return xp.reshape(halves, (words.shape[0], 2 * words.shape[1]))

    @classmethod
    def scan(
        cls, body: Callable[..., Any], carry: Any, xs: Any, reverse: bool = False, constants: Any = None
    ) -> tuple[Any, Any]:
        """Recurrence over the first axis of the arrays in xs: (the last carry, the y's stacked), as of
        `recurrence.scan`, which is the portable default."""
        return recurrence.scan(body, carry, xs, reverse, constants)

    # What a convolution and a pooling ask for. x : (N, *spatial, C), channels last; `Windows` says which windows.

    #: numbers that a matrix of patches may have; a convolution makes it anew for so many rows of its batch
    patch_numbers: int = 2**22

    @classmethod
    def pad(cls, x: Any, windows: Windows, value: float = 0.0) -> Any:
        """x with `value` around it, as far as the windows ask: (N, *padded, C); x itself where there is no padding."""
        return sliding.pad(x, windows, value)

    @classmethod
    def patches(cls, x: Any, windows: Windows) -> Any:
        """The windows of a padded x as the rows of a matrix, (N · windows, elements of a window · C), in C order."""
        return sliding.patches(x, windows)

    @classmethod
    def fold(cls, dp: Any, windows: Windows) -> Any:
        """The adjoint of `pad` and `patches`: dp (N, *out, elements of a window, C), added up where each element was
        read, (N, *shape, C). Sums go in the order of a window's elements."""
        return sliding.fold(dp, windows)

    # The three hooks, and the plan of the second. They belong to the class, as a raw array knows its library, not its
    # Backend. These are the portable defaults, the reference that every replacement is tested against.

    @classmethod
    def elementwise(cls, rule: Callable[..., Any]) -> Callable[[Sequence[tuple[Any, ...]], Any], list[Any]]:
        """rule(*leaf, scalars), elementwise, lifted to a list of leaves: `run(leaves, scalars) -> results`."""
        return lambda leaves, scalars: [rule(*leaf, scalars) for leaf in leaves]

    @classmethod
    def plan(cls, params: Any, batch: Any, batch_coupled: bool) -> Plan:
        """How `accumulate` splits this batch (x, targets, weights), and why: from shapes alone."""
        return Plan((), f"{cls.name} takes a batch in one pass")

    @classmethod
    def accumulate(cls, gradient: Callable[..., Any], params: Any, batch: Any, key: Any, total: Any, plan: Plan) -> Any:
        """(sums, gradients) of a batch, from `gradient(params, rows, key, total)`, which gives them for some rows."""
        return gradient(params, batch, key, total)

    @classmethod
    def compile(cls, step: Callable[..., Any], donate: tuple[int, ...] = ()) -> Callable[..., Any]:
        """A function of nests, scalars and keys, compiled; `donate` tells which arguments' memory it may reuse.

        A key has `words`, two integers which are hashed when they are asked for, `row0`, and is made `of` the two.
        """
        return step

    def __repr__(self) -> str:
        return f"<backend {self.name} {self.version} on {self.device}: {self.reason}>"


class Module(Backend):
    """Any other module that array_api_compat takes for an array-API namespace."""

    @classmethod
    def of(cls, x: Any) -> Backend:
        opened = super().of(x)
        opened.name = root(opened.xp)  # one class stands for many libraries
        return opened

    def __reduce__(self) -> Any:
        name = getattr(self.xp, "__name__", None)
        if name not in sys.modules:
            raise PicklingError(f"backend {self.name!r} cannot be pickled: its namespace is no module")
        return of_module, (name, self.device_name(), self.reason)

    def owns(self, x: Any) -> bool:
        return array_api_compat.is_array_api_obj(x) and array_api_compat.array_namespace(x) is self.xp


def for_type(array_type: type) -> type[Backend]:
    """The backend class for arrays of this type; a library without one of its own gets the portable class."""
    name = registry.by_type(array_type)
    return registry.load(name) if name else Module


def of(x: Any) -> Backend:
    """The backend that the array x lives on."""
    return for_type(type(x)).of(x)


def reopened(name: str, device: str, reason: str) -> Backend:
    """What a pickled backend becomes: the library of that name on that device, or BackendUnavailable."""
    from .resolve import backend  # which stands above this module

    opened = backend(f"{name}:{device}")
    opened.reason = reason
    return opened


def of_module(name: str, device: str, reason: str) -> Backend:
    """What a pickled backend of a module without a class of its own becomes; ImportError where it is not there."""
    xp = importlib.import_module(name)
    there = [place for place in xp.__array_namespace_info__().devices() if str(place) == device]
    opened = of(xp.asarray([0.0], device=there[0] if there else None))
    opened.reason = reason
    return opened


def root(namespace: Any) -> str:
    """The library behind a namespace: "torch" for array_api_compat.torch, a vendored copy of it, and torch itself."""
    path = str(getattr(namespace, "__name__", type(namespace).__module__))
    return path.rpartition("array_api_compat.")[2].partition(".")[0]


def number(x: Any) -> float:
    """A 0-d array of any library, or a number, as a Python float: one trip to the device."""
    return float(x) if isinstance(x, (int, float)) else float(of(x).to_numpy(x))


def version_of(namespace: Any) -> str:
    """The version of the library behind a namespace."""
    return str(getattr(sys.modules.get(root(namespace)), "__version__", "?"))


def installed(package: str) -> bool:
    """Whether a package of that name is there to import, found without importing it."""
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # it is in sys.modules without a spec, as a stand-in may be
        return True
