"""The training step of workers, or of shards on one: gradients of parts of a batch, their exchange, the update."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from .. import tree
from .._types import Nest
from ..backends import Backend, for_type
from ..distributed import Share, Team, joined, parted
from ..losses import Loss
from ..random import Key


def sharded(
    engine: type[Backend], team: Team, gradient: Callable[..., Any], finish: Callable[..., Any], coupled: bool
) -> Callable[..., Any]:
    """The step of a team: the gradient of each shard, compiled; the exchange; the update, compiled.

    gradient, finish : the two halves of a step. coupled : whether the network exchanges numbers within the first.
    """
    # a layer that exchanges numbers in the middle is compiled where an exchange can be a node that is only called
    compiles = engine.opaque_calls or not coupled

    def numbers(params: Nest, rows: Any, key: Key, total: Any) -> Any:
        """The first half, with the gradients end to end, as they are exchanged."""
        sums, grads = gradient(params, rows, key, total)
        return sums, joined(tree.trained(grads)), tree.statistics(grads)

    def update(params: Nest, slots: Nest, whole: Any, statistics: Nest, scalars: Mapping[str, Any]) -> Any:
        """The second half, from the whole batch's gradients, end to end."""
        trained = tree.trained(params)
        grads = trained if whole is None else parted(whole, trained)
        return finish(params, slots, tree.with_statistics(grads, statistics), scalars)

    compiled = engine.compile(numbers) if compiles else numbers
    updated = engine.compile(update, donate=(0, 1))

    @lru_cache(maxsize=4)
    def fixed(total: float) -> Callable[..., Any]:
        """The gradient where the total is a number: a constant of the compiled function."""
        inner = engine.compile(lambda params, rows, key: numbers(params, rows, key, total))
        return lambda params, rows, key, _: inner(params, rows, key)

    def core(params: Nest, slots: Nest, share: Share, key: Key, scalars: Mapping[str, Any]) -> Any:
        total = share.total if team.local is None else share.own_total
        taken = fixed(total) if isinstance(total, (int, float)) and compiles else compiled
        logs, whole, statistics = team.accumulate(taken, params, share, key, coupled)
        params, slots, logs["penalty"] = updated(params, slots, whole, statistics, scalars)
        logs["total"] = share.total
        return params, slots, logs

    return core


def agreeing(step: Callable[..., Any], team: Team, loss: Loss) -> Callable[..., Any]:
    """The step of a team that takes whole batches, and whose logs are those of the whole batch."""

    def agreeing_step(params: Nest, state: Mapping[str, Any], batch: Any, key: Key) -> Any:
        params, state, logs = step(params, state, team.share(loss, batch), key)
        leaf = tree.first(params)
        with for_type(type(leaf)).current(leaf):
            agreed = team.agree(logs, like=leaf)
            summed = agreed.logs if team.group.keeps(leaf) else agreed.read()[0]
            summed = {**logs, **summed}
            return params, state, {"loss": summed["data_loss"] + summed["penalty"], **summed}

    return agreeing_step
