"""Rounds: every lane in turn, A B C A B C …, so that what slows the machine for a while slows all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .lanes import PAUSE, Lane
from .load import Quota
from .networks import Network
from .workloads import Workload

TOLERANCE = 1e-4
# after so many steps losses are compared once more, by the first of them, which a wide network leaves a thousandfold
# below it; Adam's epsilon stands in three places
STEPS, LATER = 3, 1e-3

Say = Callable[[str], None]


@dataclass(frozen=True)
class Times:
    """Milliseconds a step, one number a round: by the clock, and of processor time, summed over the threads."""

    rounds: list[float]
    processor: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def quartiles(self) -> tuple[float, float]:
        if len(self.rounds) == 1:
            return self.rounds[0], self.rounds[0]
        low, _, high = statistics.quantiles(self.rounds, n=4, method="inclusive")
        return low, high

    def json(self) -> dict[str, Any]:
        low, high = self.quartiles
        return {
            "median": self.median,
            "lower_quartile": low,
            "upper_quartile": high,
            "rounds": self.rounds,
            "processor": self.processor,
        }

    def by(self, clock: str) -> Times:
        """These times, or with processor time in the place of the clock's."""
        return self if clock == "wall" else Times(self.processor, self.processor)


def open_lanes(
    peers: list[str],
    work: Workload | Network,
    threads: int,
    say: Say,
    quota: Quota | None = None,
    at_once: bool = False,
) -> dict[str, Lane]:
    """A lane for each peer that can do this; why the others cannot is said. at_once : they begin side by side."""
    lanes = {}
    begun = {peer: Lane(peer, work, threads, quota, wait=False) for peer in peers} if at_once else {}
    for peer in peers:
        try:
            if at_once:
                begun[peer].answer()
            lanes[peer] = begun[peer] if at_once else Lane(peer, work, threads, quota)
        except RuntimeError as error:
            say(f"{work.name}: without {peer}: {error}")
    return lanes


def same_loss(lanes: dict[str, Lane], work: Workload | Network, say: Say) -> dict[str, list[float]]:
    """Each peer's losses. SystemExit unless they agree, at first to 1e-4: whoever computes something else is not
    compared."""
    losses = {}
    for peer in list(lanes):
        try:
            found = lanes[peer].ask("losses", STEPS)
        except RuntimeError as error:
            say(f"{work.name}: without {peer}: {error}")
            del lanes[peer]
            continue
        if found is not None:
            losses[peer] = found
    if losses:
        reference = next(iter(losses.values()))
        for peer, found in losses.items():
            for a, b, most in zip(found, reference, (TOLERANCE, LATER), strict=False):
                if not abs(a - b) <= most * abs(reference[0]):
                    raise SystemExit(f"{work.name}: losses differ by more than {most:g}: {losses} ({peer})")
    return losses


def interleave(lanes: dict[str, Lane], what: str, rounds: int, seconds: float) -> dict[str, Times]:
    """Times of `what` ("step", "inference"): in each round, every lane does as many as take it about so long."""
    counts = {}
    for peer, lane in lanes.items():
        once = min(lane.ask(what, 1))
        few = max(1, min(20, int(seconds / 4 / max(once, 1e-6))))
        each = min(lane.ask(what, few)) / few  # the first one compiled
        counts[peer] = max(1, min(100_000, round(seconds / max(each, 1e-7))))
    found: dict[str, list[tuple[float, float]]] = {peer: [] for peer in lanes}
    for _ in range(rounds):
        for peer, lane in lanes.items():
            time.sleep(PAUSE)
            found[peer].append(lane.ask(what, counts[peer]))
    return {
        peer: Times(*([1000 * t / counts[peer] for t in times] for times in zip(*pairs, strict=True)))
        for peer, pairs in found.items()
    }


def close(lanes: dict[str, Lane]) -> None:
    for lane in lanes.values():
        lane.close()
