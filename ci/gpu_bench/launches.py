"""What a step asks of a GPU, as CUDA's own profiler interface saw it: it sees every library of the process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Asked:
    """Of one step. kernels : run on the GPU, by name, those inside of a library's call and of a CUDA graph too.

    copies : of memory, and fills. launches : calls that start kernels, or a graph of them. waits : calls in which the
    host waited for the GPU.
    """

    kernels: Counter[str]
    copies: Counter[str]
    launches: Counter[str]
    waits: Counter[str]

    def __sub__(self, other: Asked) -> Asked:
        return Asked(*(mine - theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))

    def __floordiv__(self, count: int) -> Asked:
        return Asked(*(Counter({n: c // count for n, c in each.items()}) for each in vars(self).values()))

    @property
    def row(self) -> list[str]:
        return [str(each.total()) for each in (self.kernels, self.copies, self.launches, self.waits)]


def of_a_step(lane: Any, profiled: Callable[[Callable[[], None]], Iterable[Any]] | None = None) -> Asked:
    """What a step of the lane asks: half of what three ask beyond one, so that what a profile begins and ends with
    does not count. The lane has warmed up: kernels are compiled, graphs captured, memory is in the pool."""
    profile = profiled or events
    lane.reset()
    with lane.training():
        lane.steps(6)
        lane.wait()
        once, thrice = (counted(profile(lambda n=n: lane.steps(n))) for n in (1, 3))
    return (thrice - once) // 2


def events(run: Callable[[], None]) -> Iterable[Any]:
    """The profile of run() and of what it leaves to be done."""
    import torch

    kinds = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=kinds) as profile:
        run()
        torch.cuda.synchronize()
    return list(profile.events())


def counted(found: Iterable[Any]) -> Asked:
    """The events of a profile, sorted. An event has a name, and a device_type, CUDA for what ran there.

    A copy to the host that the host then waits for is one of both; CUDA gives page-locked copies no wait of their own.
    """
    asked = Asked(Counter(), Counter(), Counter(), Counter())
    for event in found:
        name = event.name
        if str(event.device_type).endswith("CUDA"):
            (asked.copies if name.startswith(("Memcpy", "Memset")) else asked.kernels)[name] += 1
            if name.startswith("Memcpy DtoH"):
                asked.waits[name] += 1
        elif name.startswith(("cudaLaunch", "cuLaunch", "cudaGraphLaunch", "cuGraphLaunch")):
            asked.launches[name] += 1
        elif name.startswith(("cuda", "cu")) and "Synchronize" in name:
            asked.waits[name] += 1
    return asked
