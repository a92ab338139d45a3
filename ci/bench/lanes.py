"""Peers in processes of their own, that wait on a pipe: their thread pools cannot disturb one another, and only one
computes at a time."""

from __future__ import annotations

import multiprocessing
import os
import time
from contextlib import contextmanager
from typing import Any

from .load import Quota
from .networks import Network
from .workloads import Workload

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMBA_NUM_THREADS")
# what would make OpenBLAS choose other kernels than it does by itself, or arraynn other threads
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "ARRAYNN_NUM_THREADS", "ARRAYNN_BACKEND")
# and a GPU round the numbers of its products to 10 bits
UNSET += ("CUPY_TF32", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "JAX_DEFAULT_MATMUL_PRECISION")
PAUSE = 0.05  # seconds after which the idle threads of every pool have gone to sleep


class Lane:
    """One peer on one workload. Raises RuntimeError with what the process said where it cannot begin.

    quota : what its process is held to, beside the number of threads. wait : for it to be ready; else `answer` does.
    """

    def __init__(
        self, peer: str, work: Workload | Network, threads: int, quota: Quota | None = None, wait: bool = True
    ) -> None:
        self.peer = peer
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, peer, work, threads, quota), daemon=True)
        with _environment(threads):
            self.process.start()
        theirs.close()
        if wait:
            self.answer()

    def ask(self, what: str, *arguments: Any) -> Any:
        self.pipe.send((what, *arguments))
        return self.answer()

    def answer(self) -> Any:
        try:
            fine, value = self.pipe.recv()
        except EOFError:
            fine, value = False, "the process died"
        if not fine:
            self.close()
            raise RuntimeError(value)
        return value

    def close(self) -> None:
        self.pipe.close()  # the process reads the end of the pipe and leaves
        self.process.join(10)
        if self.process.is_alive():
            self.process.terminate()


def serve(pipe: Any, peer: str, work: Workload | Network, threads: int, quota: Quota | None = None) -> None:
    """Answer what is asked until the pipe ends: (True, value), or (False, what went wrong)."""
    if hasattr(os, "sched_setaffinity"):  # JAX takes as many threads as there are cores
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))
    if quota is not None:
        quota.enter()
    from .peers import make

    try:
        acting = Acting(make(peer, work, threads))
        pipe.send((True, None))
        while True:
            what, *arguments = pipe.recv()
            pipe.send((True, getattr(acting, what)(*arguments)))
    except EOFError:
        return
    except Exception as error:
        pipe.send((False, f"{type(error).__name__}: {error}".splitlines()[0][:300]))


class Acting:
    """What can be asked of a peer, beside the peer itself."""

    def __init__(self, peer: Any) -> None:
        self.peer = peer

    def losses(self, steps: int) -> list[float] | None:
        """At the workload's weights, and after so many steps; the second only where no dropout makes peers differ."""
        peer = self.peer
        if not peer.honest:
            return None
        peer.reset()
        found = [peer.loss()]
        if not peer.work.dropout:
            with peer.training():
                peer.steps(steps)
            peer.wait()
            found.append(peer.loss())
        return found

    def step(self, count: int) -> tuple[float, float]:
        """Seconds, by the clock and of processor time, for so many steps from the beginning; one more, untimed, brings
        weights and code into the caches."""
        peer = self.peer
        peer.reset()
        with peer.training():
            peer.steps(1)
            peer.wait()
            began, used = time.perf_counter(), time.process_time()
            peer.steps(count)
            peer.wait()
            return time.perf_counter() - began, time.process_time() - used

    def on_device(self, count: int) -> tuple[float, float]:
        """Seconds for so many steps, by the clock and by the device's own events (nan where there are none)."""
        peer = self.peer
        peer.reset()
        with peer.training():
            peer.steps(6)  # compiles, captures, fills the memory pool
            peer.wait()
            began = time.perf_counter()
            milliseconds = peer.elapsed(lambda: peer.steps(count))
            return time.perf_counter() - began, milliseconds / 1000

    def device_memory(self, count: int) -> int:
        """Peak bytes of the device after so many steps."""
        self.peer.reset()
        with self.peer.training():
            self.peer.steps(count)
            self.peer.wait()
        return int(self.peer.device_memory())

    def inference(self, count: int) -> tuple[float, float]:
        """The same for so many predictions of the batch."""
        self.peer.outputs()
        began, used = time.perf_counter(), time.process_time()
        for _ in range(count):
            self.peer.outputs()
        return time.perf_counter() - began, time.process_time() - used

    def epoch(self, seed: int) -> tuple[float, float]:
        """(seconds of an epoch of MNIST from the beginning, accuracy on its test rows)."""
        import numpy as np

        (x, y), (x_test, y_test) = self.mnist()
        order = np.random.default_rng(seed).permutation(len(x))
        self.peer.reset()
        began = time.perf_counter()
        self.peer.epoch(x, y, order)
        seconds = time.perf_counter() - began
        return seconds, float((self.peer.classes(x_test) == y_test).mean())

    def mnist(self) -> Any:
        from .mnist import read

        if not hasattr(self, "_mnist"):
            self._mnist = read()
        return self._mnist

    def memory(self, count: int) -> tuple[float, float]:
        """Peak megabytes of this process after so many steps and a prediction, and of that what it had before them."""
        before = peak()
        with self.peer.training():
            self.peer.steps(count)
            self.peer.wait()
        self.peer.outputs()
        return peak(), before


def peak() -> float:
    """The most memory that this process has had in use, in MB."""
    import resource

    try:
        with open("/proc/self/status", encoding="ascii") as file:  # rusage counts the parent's, from before exec, too
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1000
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


@contextmanager
def _environment(threads: int) -> Any:
    before = dict(os.environ)
    for name in UNSET:
        os.environ.pop(name, None)
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # JAX on a GPU would take most of its memory from the others
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
