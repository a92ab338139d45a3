"""CuPy: NumPy's interface on an NVIDIA GPU. Taken only where the probe has proved that it works."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from .. import tree
from .._array import namespace
from ..errors import BackendUnavailable
from . import _cuda, _cupy_errors, _fuse, _lazy, _operations
from ._arguments import signature
from ._base import Backend, Status
from ._cupy_probe import probe

PROGRAMS = 64  #: kept for a step, one for each shape of batch
log = logging.getLogger("arraynn")


class CuPy(Backend):
    name = "cupy"
    traces_rules = True

    @classmethod
    def open(cls, device: str | None = None) -> Backend:
        if device is not None and not device.isdecimal():
            raise BackendUnavailable(cls.name, f"device {device!r} is not a number", 'Say "cupy:0" for the first GPU')
        number = int(device or 0)
        status = cls._proved(number)
        import cupy
        from array_api_compat import cupy as xp

        if device is None and cupy.cuda.Device().id != number:  # the caller made another GPU the current one
            number = cupy.cuda.Device().id
            status = cls._proved(number)
        return cls(xp, cupy.cuda.Device(number), version=status.version, reason=status.reason)

    @staticmethod
    def _proved(number: int) -> Status:
        status = probe(number, again=True)
        if not status.usable:
            raise BackendUnavailable("cupy", status.reason, status.remedy)
        return status

    @classmethod
    def status(cls) -> Status:
        found = probe(again=True)
        return replace(found, reason=f"{found.reason}; {_cupy_errors.told(0)}") if found.usable else found

    def devices(self) -> tuple[str, ...]:
        return probe(self.device.id).devices

    def device_name(self) -> str:
        return str(self.device.id)

    def _put(self, x: Any, dtype: Any, copy: bool | None) -> Any:
        with self.context():  # most of CuPy allocates on the current GPU, whatever `device=` says
            return self.xp.asarray(x, dtype=dtype, copy=copy)

    def to_numpy(self, x: Any) -> np.ndarray:
        import cupy

        array: np.ndarray = cupy.asnumpy(x)
        return array

    def synchronize(self) -> None:
        self.device.synchronize()

    def room(self) -> float:
        free, total, _ = _cupy_errors.memory(self.device.id)
        return free if total else math.inf

    def context(self) -> AbstractContextManager[Any]:
        """This GPU made the current one. The stream stays the caller's: what they queued before comes first."""
        return _cupy_errors.Entered(self.device.id)

    @classmethod
    def elementwise(cls, rule: Callable[..., Any]) -> Callable[[Sequence[tuple[Any, ...]], Any], list[Any]]:
        """As the portable default, in one kernel for all leaves that it can go through, on their GPU.

        A leaf is an array to write to, one to read, and a dict of arrays to write to; scalars are numbers.
        """

        def run(leaves: Sequence[tuple[Any, ...]], scalars: Any) -> list[Any]:
            import cupy

            results: list[Any] = [None] * len(leaves)
            groups: dict[tuple[str, int], list[int]] = {}
            signature: Any = _cuda.signature(rule, leaves[0][2], scalars) if leaves else None
            loop = _cuda.traced(*signature) if signature else None
            for i, leaf in enumerate(leaves):
                if loop is not None and _cuda.fits(leaf):
                    groups.setdefault((leaf[0].dtype.name, leaf[0].device.id), []).append(i)
                    results[i] = leaf[0], leaf[2]
            for (dtype, device), places in groups.items():
                assert loop is not None
                constants = [np.dtype(dtype).type(number) for number in loop.constants(scalars)]
                with cupy.cuda.Device(device):
                    for start in range(0, len(places), _cuda.LEAVES):
                        part = [leaves[i] for i in places[start : start + _cuda.LEAVES]]
                        _cuda.launch(_kernel(*signature, dtype, len(part)), loop, part, constants)
            for i, leaf in enumerate(leaves):
                if results[i] is None:
                    number = getattr(leaf[0].device, "id", None)
                    with nullcontext() if number is None else cupy.cuda.Device(number):
                        results[i] = rule(*leaf, scalars)
            return results

        return run

    @classmethod
    def halves(cls, words: Any) -> Any:
        return words.view("int16")

    @classmethod
    def compile(cls, step: Callable[..., Any], donate: tuple[int, ...] = ()) -> Callable[..., Any]:
        """The step as products and reductions with one kernel for all that is elementwise between two of them.

        Written down once for equal shapes. A step that cannot be runs as it is: the same results, in more kernels.
        """
        programs: dict[Any, Any] = {}

        def run(*arguments: Any) -> Any:
            kinds = [type(argument) if hasattr(argument, "words") else None for argument in arguments]
            arguments = tuple(a if kind is None else a.words for kind, a in zip(kinds, arguments, strict=True))

            def of_words(*arguments: Any) -> Any:
                return step(*(a if kind is None else kind.of(a) for kind, a in zip(kinds, arguments, strict=True)))

            leaves = tree.leaves(arguments)
            arrays = [leaf for leaf in leaves if hasattr(leaf, "shape")]
            number = arrays[0].device.id
            key = signature(arguments), number
            with _cupy_errors.Entered(number):
                if key not in programs:
                    if len(programs) >= PROGRAMS:
                        programs.clear()
                    keys = {i for i, kind in enumerate(kinds) if kind is not None}
                    programs[key] = _program(of_words, arguments, keys, donate)
                program = programs[key]
                return of_words(*arguments) if program is None else program(namespace(arrays[0]), leaves, _update)

        return run


def _program(step: Callable[..., Any], arguments: Any, keys: set[int], donate: tuple[int, ...]) -> Any:
    """The step's program for such arguments; None where there is none. keys : the places of a key's words."""
    import cupy

    def make(kernel: _fuse.Kernel) -> Any:
        return cupy.ElementwiseKernel(kernel.takes, kernel.makes, kernel.operation, "fused", options=_cuda.OPTIONS)

    places = iter(range(len(tree.leaves(arguments))))

    def written(i: int, leaf: Any) -> Any:
        place = next(places)
        if hasattr(leaf, "shape"):
            array = _lazy.Lazy("input", (place,), leaf.shape, leaf.dtype)
            array.owned = i in donate
            return array
        if i in keys:
            return _lazy.Lazy("number", (place,), (), "int32", scalar=True)
        return leaf if leaf is None else _Place(place)

    first = next((leaf for leaf in tree.leaves(arguments) if hasattr(leaf, "shape")), None)
    try:
        before = _operations.refusals()
        outputs = step(*(tree.map(partial(written, i), argument) for i, argument in enumerate(arguments)))
        if _operations.refusals() != before:
            raise _operations.TraceError("the function went on after an operation that cannot be traced")
        program = _fuse.Program(_lazy.values(outputs), make)
        program.prepare(namespace(first))
    except Exception as error:  # whatever the step raises of arrays without values; it runs as it is, and raises again
        log.info("this step is not fused on CuPy, and runs as it is: %s: %s", type(error).__name__, error)
        return None
    return program


class _Place:
    """A Python number among a step's arguments: it goes to an optimizer's update, and nowhere else."""

    def __init__(self, place: int) -> None:
        self.place = place


def _update(node: _lazy.Lazy, arrays: Sequence[Any], arguments: list[Any]) -> list[Any]:
    """An optimizer's update, from where `_lazy.update` wrote it down."""
    rest, leaves = iter(arrays), []
    for names in node.kwargs["names"]:
        p, g = next(rest), next(rest)
        leaves.append((p, g, {name: next(rest) for name in names}))
    scalars = tree.map(lambda x: arguments[x.place] if isinstance(x, _Place) else x, node.kwargs["scalars"])
    return CuPy.elementwise(node.kwargs["rule"])(leaves, scalars)


@lru_cache(maxsize=256)
def _kernel(*options: Any) -> Any:
    """The kernel `update` of a rule: _cuda.traced's arguments, the dtype, the number of leaves.

    CuPy compiles it when it is first launched on a GPU, and keeps it on disk.
    """
    import cupy

    *signature, dtype, leaves = options
    loop = _cuda.traced(*signature)
    assert loop is not None
    return cupy.RawKernel(_cuda.source(loop, dtype, leaves), "update", options=_cuda.OPTIONS)


BACKEND = CuPy
