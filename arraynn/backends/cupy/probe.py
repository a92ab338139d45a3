"""Whether CuPy works here, found out by letting it work: memory, a kernel, a product, a sum, and their numbers.

CuPy imports on a machine without a GPU, and `cupy.cuda.is_available()` says yes where no kernel can be compiled, so
only a run is proof. What goes wrong in it becomes a reason and a remedy (`reasons`), never a traceback. And a
proof holds for that moment: a GPU can break, or be taken by another process, so each opening proves it anew.
"""

from __future__ import annotations

import os
import threading
import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from ..base import Status, installed
from . import reasons


class _Unusable(Exception):
    """(reason, remedy): the proof found this out by itself, not from an error of CuPy's."""


_found: dict[int, Status] = {}  #: what the first proof on each GPU gave


def probe(device: int | None = None, again: bool = False) -> Status:
    """Whether CuPy can be used on that GPU (None is 0), proved by a small calculation and remembered.

    again : prove once more what was proved before, which takes about a millisecond. A failure at that is remembered
        only where it was a hang, as each call would wait for it again; memory, say, may be free again.
    Raises nothing. The proof gives up after ARRAYNN_PROBE_TIMEOUT seconds (20), because a sick driver can hang in
    the first call; it then stays behind in a daemon thread, as a thread that waits inside the driver cannot be ended.
    `forget()` forgets, and a fork does it, because CUDA does not survive one.
    """
    number = device or 0
    if number not in _found:
        _found[number] = _prove(_Proof(number))
    elif again and _found[number].usable:
        proof = _Proof(number, first=False)
        now = _prove(proof)
        if not now.usable:
            now = replace(now, reason=f"it has worked in this process, and does no more: {now.reason}")
        if proof.hung:
            _found[number] = now
        return now
    return _found[number]


forget = _found.clear
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)


def _prove(proof: _Proof) -> Status:
    if not installed("cupy"):
        reason, remedy = reasons.absent()
        return Status("cupy", False, False, reason=reason, remedy=remedy)
    try:
        seconds = _time_limit()
        proof.prepare()
        proof.run_within(seconds)
    except _Unusable as found:
        reason, remedy = found.args
    except Exception as error:
        reason, remedy = proof.explain(error)
    else:
        return Status("cupy", True, True, proof.version, proof.devices, proof.passed)
    return Status("cupy", True, False, proof.version, proof.devices, reason, remedy)


class _Proof:
    """One run of the proof. `stage` says how far it came, also to the one who stopped waiting for it."""

    def __init__(self, device: int, first: bool = True) -> None:
        self.device, self.stage, self.version, self.passed = device, "a look for its packages", "", ""
        self.first, self.hung = first, False
        self.devices: tuple[str, ...] = ()
        self.cupy: Any = None
        self.error: BaseException | None = None

    def prepare(self) -> None:
        """Import CuPy, in the caller's thread: an import that hangs in another one would hold the import lock."""
        wheels = reasons.wheels_installed() if self.first else []
        if len(wheels) > 1:
            raise _Unusable(
                f"{len(wheels)} CuPy packages are installed over each other: {', '.join(wheels)}",
                f"pip uninstall {' '.join(wheels)}, then {reasons.install(reasons.driver_cuda())}",
            )
        self.stage = "the import"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of missing parts: the run finds out which of them matter
            import cupy

            self.version = str(cupy.__version__)
        self.cupy = cupy

    def run_within(self, seconds: float) -> None:
        thread = threading.Thread(target=self._run, name="arraynn-cupy-probe", daemon=True)
        thread.start()
        thread.join(seconds)
        self.hung = thread.is_alive()
        if self.hung:
            raise _Unusable(
                f"no answer from CUDA within {seconds:g} s, at {self.stage}",
                "If nvidia-smi hangs too, restart the driver; if the machine is only slow, set ARRAYNN_PROBE_TIMEOUT "
                "to more seconds",
            )
        if self.error is not None:
            raise self.error if isinstance(self.error, Exception) else RuntimeError(repr(self.error))

    def _run(self) -> None:
        try:
            self._steps()
        except BaseException as error:  # one that left the thread would be printed with its traceback
            self.error = error

    def _steps(self) -> None:
        cupy, here = self.cupy, self.device
        self.stage = "the device count"  # the first call that reaches the driver
        count = cupy.cuda.runtime.getDeviceCount()
        if not count:
            raise RuntimeError("cudaErrorNoDevice: the device count is 0")
        self.devices = tuple(str(i) for i in range(count))
        if here >= count:
            raise _Unusable(f"there is no GPU {here}, only {', '.join(self.devices)}", 'Say "cupy:0" for the first')
        with cupy.cuda.Device(here):
            host = np.arange(6, dtype="float32").reshape(2, 3)  # small whole numbers: exact in any order, TF32 too
            self.stage = "an allocation"
            x = cupy.asarray(host)
            self.stage = "an elementwise kernel"
            y = x * 2 + 1
            self._check(y, host * 2 + 1)
            self.stage = "a matrix product"
            z = y @ x.T
            self._check(z, (host * 2 + 1) @ host.T)
            self.stage = "a reduction"
            self._check(z.sum(), np.sum((host * 2 + 1) @ host.T))
        name = cupy.cuda.runtime.getDeviceProperties(here)["name"]
        name = name.decode(errors="replace") if isinstance(name, bytes) else name
        self.passed = f"GPU {here} ({name}) passed: an allocation, an elementwise kernel, a matrix product, a reduction"

    def _check(self, got: Any, expected: Any) -> None:
        numbers = self.cupy.asnumpy(got)
        if not np.array_equal(numbers, expected):
            raise _Unusable(
                f"{self.stage} gave wrong numbers: {numbers.tolist()} instead of {expected.tolist()}",
                "Update the driver and CuPy; if the numbers stay wrong, the GPU itself is suspect",
            )

    def explain(self, error: Exception) -> tuple[str, str]:
        cuda = getattr(self.cupy, "cuda", None)
        return reasons.explain(error, self.stage, cuda, self.device if self.devices else None)


def _time_limit() -> float:
    text = os.environ.get("ARRAYNN_PROBE_TIMEOUT") or "20"
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        problem = f"ARRAYNN_PROBE_TIMEOUT is {text!r}, not a number of seconds above 0 and up to 3600"
        raise _Unusable(problem, "Unset it, or set it to 20")
    return seconds
