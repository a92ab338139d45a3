"""Decisions that the workers of a fit take together: to fetch, to save, to stop, to leave on a signal."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import tree
from .._array import is_float, namespace
from .._types import Nest
from ..distributed import FLAGS, Team, everywhere
from .pending import PendingStep
from .signals import Interrupt

#: steps between two fetches of workers with a GPU each: all of them know this number, and none of them looks at a clock
TEAM_STEPS = 16

SIGNALS = {"interrupt": signal.SIGINT, "terminate": signal.SIGTERM}


class Decisions:
    """The decisions of one fit. A worker alone decides by itself.

    team : the workers, or None. batches : of the fit. on_device : each worker has a GPU, and the sums of a step stay
    there until the next fetch. All workers fetch after every `period` steps of an epoch and after its last, and only
    then act on the flags. Elsewhere all workers read the sums after each step.
    """

    def __init__(self, team: Team | None, batches: Any) -> None:
        self.team, self.on_device = team, False
        # an iterable may end on one worker, after any batch, so all look after each
        self.period = TEAM_STEPS if hasattr(batches, "count") else 1
        self.raised: dict[str, bool] = {}  # at the last fetch on GPUs: flags that were raised since the one before

    def begin(self, params: Nest) -> None:
        """Note where the parameters lie."""
        self.on_device = self.team is not None and self.team.group.keeps(tree.first(params))

    def fetch_due(self, position: int, last: bool) -> bool:
        """Whether workers with a GPU each fetch after so many steps of an epoch, or after its last one."""
        return last or position % self.period == 0

    def agree(
        self,
        interrupt: Interrupt,
        flags: dict[str, Any],
        fetch: Callable[[], None],
        taken: PendingStep | None = None,
        params: Nest = None,
    ) -> dict[str, Any]:
        """The flags, each true where any worker raised it; "signal" is the number of a received signal, 0 for none.

        taken : a step; its sums become those of the whole batch. fetch : reads all pending steps, by `read`.
        On GPUs nothing is read, and no flag is true, until a fetch is due; then a flag is true where it was raised in
        any of the steps since the last one.
        """
        if self.team is None:
            return flags | {"signal": interrupt.requested}
        flags |= {name: interrupt.requested == number for name, number in SIGNALS.items()}
        agreed: dict[str, Any] = flags
        if taken is not None and self.on_device:
            taken.agreed = self.team.agree(taken.logs, flags, tree.first(params))
            self.raised = dict.fromkeys(FLAGS, False)
            if flags["fetch"]:
                fetch()
            agreed = self.raised
        else:
            logs, agreed = self.team.agree({} if taken is None else taken.logs, flags).read()
            if taken is not None:
                taken.logs |= logs
        return agreed | {"signal": next((int(number) for name, number in SIGNALS.items() if agreed[name]), 0)}

    def read(self, taken: Sequence[PendingStep], backend: Any) -> None:
        """Read what all workers have summed up in these steps off their GPUs, in one transfer."""
        summed = [(one, one.agreed) for one in taken if one.agreed is not None]
        if not summed:
            return
        numbers = namespace(summed[0][1].numbers).stack([agreed.numbers for _, agreed in summed])
        for (one, agreed), row in zip(summed, backend.to_numpy(numbers), strict=True):
            logs, flags = agreed.read(row)
            one.logs |= logs
            self.raised = {name: value or self.raised.get(name, False) for name, value in flags.items()}

    def fetched(
        self, taken: Sequence[PendingStep], arrays: Nest, backend: Any, together: bool
    ) -> tuple[list[Any], bool]:
        """(the steps' reports as Python floats; whether they and the arrays are finite).

        together : on every worker; all of them call it now, and get the same answer.
        """
        self.read(taken, backend)
        reports = [one.logs for one in taken]
        health = [_all_finite(leaf) for leaf in tree.leaves(arrays) if is_float(leaf)]
        agree = together and self.team is not None
        if agree and self.on_device:
            assert self.team is not None
            penalties = [_all_finite(one["penalty"]) for one in reports if hasattr(one["penalty"], "shape")]
            health = [everywhere(self.team.group, [*health, *penalties], health[0])]
        numbers = iter(backend.fetch([*tree.leaves(reports), *health]))
        logs: list[Mapping[str, Any]] = tree.map(lambda _: next(numbers), reports)
        finite = all(numbers) and all(math.isfinite(one["data_loss"] + one["penalty"]) for one in logs)
        if agree and not self.on_device:
            assert self.team is not None
            finite = not self.team.agree({}, {"diverged": not finite}).read()[1]["diverged"]
        return logs, finite


def _all_finite(leaf: Any) -> Any:
    xp = namespace(leaf)
    return xp.astype(xp.all(xp.isfinite(leaf)), leaf.dtype)
