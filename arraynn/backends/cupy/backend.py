"""CuPy: NumPy's interface on an NVIDIA GPU. Taken only where the probe has proved that it works."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from ... import tree
from ..._array import namespace
from ...compiler import cuda_codegen, program, tuning
from ...compiler.cuda_codegen import DeviceProgram
from ...compiler.cuda_launch import BlockKernel
from ...compiler.graph import Graph
from ...compiler.rules import rule_of
from ...compiler.signature import Signature
from ...errors import BackendUnavailable
from .. import windows as sliding
from ..base import Backend, Status
from ..windows import Windows
from . import errors as cupy_errors
from . import update_kernel
from .block_launch import BlockLaunch
from .capture import Captured
from .launching import NotCaptured
from .probe import probe


class CuPy(Backend):
    """CuPy on one GPU: elementwise chains as fused kernels, an update of all leaves in one launch."""

    name = "cupy"
    traces_rules = True
    patch_numbers = 2**26  # 256 MB of float32: few launches, and little beside what a GPU has

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
        return replace(found, reason=f"{found.reason}; {cupy_errors.told(0)}") if found.usable else found

    def devices(self) -> tuple[str, ...]:
        return probe(self.device.id).devices

    def device_name(self) -> str:
        return str(self.device.id)

    def _put(self, x: Any, dtype: Any, copy: bool | None) -> Any:
        if isinstance(x, np.ndarray):
            x = np.asarray(x, order="C")  # CuPy keeps the order of axes, and kernels go through memory row by row
        with self.context():  # most of CuPy allocates on the current GPU, whatever `device=` says
            return self.xp.asarray(x, dtype=dtype, copy=copy)

    def to_numpy(self, x: Any) -> np.ndarray:
        import cupy

        array: np.ndarray = cupy.asnumpy(x)
        return array

    def synchronize(self) -> None:
        self.device.synchronize()

    def room(self) -> float:
        free, total, _ = cupy_errors.memory(self.device.id)
        return free if total else math.inf

    def context(self) -> AbstractContextManager[Any]:
        """This GPU made the current one. The stream stays the caller's: what they queued before comes first."""
        return cupy_errors.Entered(self.device.id)

    @classmethod
    def current(cls, x: Any) -> AbstractContextManager[Any]:
        return cupy_errors.Entered(x.device.id)

    @classmethod
    def elementwise(cls, rule: Callable[..., Any]) -> Callable[[Sequence[tuple[Any, ...]], Any], list[Any]]:
        """As the portable default, in one kernel for all leaves that it can go through, on their GPU.

        A leaf is an array to write to, one to read, and a dict of arrays to write to; scalars are numbers.
        """

        return lambda leaves, scalars: _updated(rule, leaves, scalars)

    @classmethod
    def view_int16(cls, words: Any) -> Any:
        return words.view("int16")

    @classmethod
    def patches(cls, x: Any, windows: Windows) -> Any:
        """One copy of a strided view: one kernel, and no addresses sent from the host, as `stack` needs."""
        import cupy

        if windows.count == 1:
            return sliding.patches(x, windows)
        batch, *axes, channel = x.strides
        windows_at = [stride * step for stride, step in zip(axes, windows.strides, strict=True)]
        elements_at = [stride * step for stride, step in zip(axes, windows.dilation, strict=True)]
        rows, columns = (x.shape[0], *windows.out), (*windows.size, x.shape[-1])
        view = cupy.lib.stride_tricks.as_strided(x, (*rows, *columns), (batch, *windows_at, *elements_at, channel))
        xp = namespace(x)
        return xp.reshape(xp.ascontiguousarray(view), (math.prod(rows), math.prod(columns)))

    @classmethod
    def fold(cls, dp: Any, windows: Windows) -> Any:
        return sliding.fold_in_place(dp, windows)

    @classmethod
    def compile(cls, step: Callable[..., Any], donate: tuple[int, ...] = ()) -> Callable[..., Any]:
        """The step as products and reductions with one kernel for all that is elementwise between two of them.

        Compiled once for equal shapes. A step that cannot be runs as it is: the same results, in more kernels.
        Where the same parameters come back, the whole is launched as a CUDA graph (`capture`).
        """
        return _entered(program.specialized(step, lambda arguments: _program(step, arguments, donate), _form))


def _updated(
    rule: Callable[..., Any],
    leaves: Sequence[tuple[Any, ...]],
    scalars: Any,
    numbers: Callable[[Any], list[Any]] | None = None,
) -> list[Any]:
    """The results of rule(*leaf, scalars) for all leaves.

    numbers : in a CUDA graph, gives the numbers of a loop (`compiler.rules.Rule`) on the device.
    """
    import cupy

    results: list[Any] = [None] * len(leaves)
    groups: dict[Any, list[int]] = {}
    leaves = [(p, update_kernel.contiguous(g), slots) for p, g, slots in leaves]
    for i, leaf in enumerate(leaves):
        if update_kernel.fits(leaf) and rule_of(rule, tuple(leaf[2]), scalars, leaf[0].dtype) is not None:
            groups.setdefault((tuple(leaf[2]), leaf[0].dtype.name, leaf[0].device.id), []).append(i)
            results[i] = leaf[0], leaf[2]
    if numbers is not None and any(result is None for result in results):
        raise NotCaptured("an optimizer's rule takes numbers of the host, leaf by leaf")
    for (slots, dtype, device), places in groups.items():
        found = rule_of(rule, slots, scalars, dtype)
        assert found is not None
        constants = found.constants(scalars) if numbers is None else numbers(found)
        with cupy.cuda.Device(device):
            for start in range(0, len(places), update_kernel.LEAVES):
                part = [leaves[i] for i in places[start : start + update_kernel.LEAVES]]
                update_kernel.launch(_kernel(found, len(part), numbers is not None), part, constants)
    for i, leaf in enumerate(leaves):
        if results[i] is None:
            number = getattr(leaf[0].device, "id", None)
            with nullcontext() if number is None else cupy.cuda.Device(number):
                results[i] = rule(*leaf, scalars)
    return results


def _entered(run: Callable[..., Any]) -> Callable[..., Any]:
    def entered(*arguments: Any) -> Any:
        with cupy_errors.Entered(_first(arguments).device.id):
            return run(*arguments)

    return entered


def _first(arguments: Any) -> Any:
    return next(leaf for leaf in tree.leaves(arguments) if hasattr(leaf, "shape"))


def _form(arguments: Any) -> Any:
    return program.form_of(arguments), _first(arguments).device.id


def _program(step: Callable[..., Any], arguments: Any, donate: tuple[int, ...]) -> program.Program | None:
    """The step's program for such arguments; None where there is none."""
    import cupy

    def kernel(made: cuda_codegen.Kernel | BlockKernel) -> Any:
        if isinstance(made, BlockKernel):
            return BlockLaunch(made)
        return cupy.ElementwiseKernel(made.takes, made.makes, made.operation, "fused", options=update_kernel.OPTIONS)

    first = _first(arguments)
    xp = namespace(first)

    def lower(traced: program.Traced) -> program.Program:
        name = next(name for name in traced.signature.checks)
        guard = f"if {name}.device.id != {first.device.id}: raise GuardFailed"
        return cuda_codegen.lower(traced, xp, kernel, _updated, guard)

    def signature(graph: Graph) -> Signature:
        graph.unrolled = tuning.UNROLLED_ON_GPU
        return Signature(graph, arguments, donate, _is_array)

    made = program.make(step, signature, lower)
    return replace(made, run=Captured(made, xp, _updated).run) if isinstance(made, DeviceProgram) else None


def _is_array(x: Any) -> bool:
    return hasattr(x, "shape") and hasattr(x, "device")


@lru_cache(maxsize=256)
def _kernel(rule: Any, leaves: int, pointers: bool) -> Any:
    """The kernel `update` of a rule, for that many leaves. pointers : its numbers lie on the device.

    CuPy compiles it when it is first launched on a GPU, and keeps it on disk.
    """
    import cupy

    return cupy.RawKernel(rule.cuda(leaves, pointers), "update", options=update_kernel.OPTIONS)


BACKEND = CuPy
