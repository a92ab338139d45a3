"""The training step: forward, loss, backward, penalty, clipping, update, in this order, on any library's arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from .. import tree
from .._array import is_float
from .._contract import called, called_loss, named
from .._contract_of_rules import sums_of
from .._coupling import batch_coupled
from .._hyperparameters import is_integer, python_number, python_numbers
from .._types import Array, LayerLike, Nest
from ..backends import Backend, for_type, of
from ..distributed import Team, team_of
from ..errors import DataError
from ..layers.combinator import check_network, penalty_of
from ..losses import ClassLoss, Loss, as_loss
from ..losses.labels import are_host_labels, check_host_labels
from ..metrics import Metric, as_metric
from ..optimizers import Optimizer, as_optimizer
from ..random import Key, checked_key
from .clipping import clip
from .link_check import warn_of_the_link
from .sharded_step import agreeing, sharded

Batch = tuple[Nest, Array, Array | None]  #: x, targets, sample weights
Step = Callable[[Nest, Mapping[str, Any], Any, Key], tuple[Nest, dict[str, Any], dict[str, Any]]]


class _InScalars:
    """Placeholder of the learning rate in a compiled rule. Reading it raises an error that says where it is."""

    __array_ufunc__ = None  # NumPy leaves the operation to this class

    def _refuse(self, *_: Any) -> Any:
        raise TypeError(
            "a rule cannot read self.learning_rate in update_one: a step is compiled once for all learning rates. Take "
            "the rate from its scalars, c['lr'], and what else is made of it from your own `scalars(self, step)`"
        )

    __call__ = __float__ = __int__ = __bool__ = __neg__ = __abs__ = __round__ = _refuse
    __add__ = __sub__ = __mul__ = __truediv__ = __pow__ = __radd__ = __rsub__ = __rmul__ = __rtruediv__ = _refuse
    __rpow__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse


IN_SCALARS: Any = _InScalars()


def make_train_step(
    network: LayerLike,
    loss: Any,
    optimizer: Optimizer,
    *,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    metrics: Iterable[Any] = (),
    micro_batch: int | None = None,
    workers: Any = None,
    shards: int | None = None,
    reduction: str = "exact",
) -> Step:
    """step(params, state, (x, targets, sample_weight), key) -> params, state, logs: one update.

    network : a layer. loss : a loss block, a Loss, or the name of a block. optimizer : an Optimizer, which gives
        `state` by `optimizer.init(params)`, or its name, with its defaults.
    clip_value : gradients are cut to [-clip_value, clip_value] first; clip_norm : then scaled down, together, so
        that their norm over all leaves is at most this. Both positive, or None for no clipping.
    metrics : Metrics, or names that mean the loss's; their sums over the batch, taken before the update, go into logs
        under their names. ValueError for one of a whole set of rows, such as ROC AUC.
    micro_batch : at most so many rows go through the network at a time, and their gradients are added, for batches that
        outgrow a device's memory; at least 1, None for all. The update is that of the whole batch, up to rounding: each
        part is divided by the whole batch's total and draws the dropout masks of its own rows. Where the engine takes a
        batch in smaller row blocks anyway, as NumPy does with large ones, they are left as they are, and so are the
        bits. A network whose layers couple rows (BatchNorm) cannot be split. It does not go with workers or shards.
    workers : of `nn.workers`: each gives the same whole batch, takes its own rows of it, and gets the same results.
    shards : into how many pieces a batch is then cut, at least as many as there are workers; 8 by default. On NumPy
        the bits are those of one worker with as many shards, where the number of workers is a power of two that
        divides them. Without workers, shards alone does the same on one. reduction : "fast" takes the engine's own sum
        of gradients, in whatever order it adds.

    The step runs where its arrays are, takes no number off the device, and is compiled where the library can.
    Order: gradients summed over the parts of the batch, penalty, clipping, update. It consumes params and state.
    key : `Key` of the run; the step's own is folded in from state["step"].
    logs : {"loss", "data_loss", "penalty", …} as 0-d arrays (or numbers), where loss = data_loss + penalty; "total",
        what the batch's loss was divided by.
    Raises DataError, before anything is updated, for NumPy's class labels outside [0, K). To read those of other
    libraries is a trip to the device: ask `nn.check_labels(labels, K)` once, before the loop.
    """
    team = team_of(workers, shards, reduction)
    if team is not None and team.local is not None:
        raise DataError("LocalSGD takes several steps between exchanges, so it is for Model.fit, not for one step")
    metrics = tuple(as_metric(metric, as_loss(loss)) for metric in metrics)
    options: dict[str, Any] = {"clip_norm": clip_norm, "clip_value": clip_value, "micro_batch": micro_batch}
    step = make_unchecked_step(network, loss, optimizer, metrics=metrics, team=team, with_loss=True, **options)
    if isinstance(loss, str):  # a name says less than what it names
        warn_of_the_link(network, as_loss(loss))
    loss = as_loss(loss)
    if team is not None:
        step = agreeing(step, team, loss)
    check_labels = isinstance(loss, ClassLoss)
    ignored = getattr(loss, "ignore_label", None)
    classes: list[int] = []  # K, once it is known

    def checked_step(params: Nest, state: Mapping[str, Any], batch: Batch, key: Key) -> Any:
        x, targets, weight = batch = _parts(batch)
        if check_labels and are_host_labels(targets):
            if not classes:
                classes.append(_outputs(network, params, x))
            check_host_labels(targets, classes[0], ignored, weight)
        return step(params, state, batch, checked_key(key))

    return checked_step


def _parts(batch: Any) -> Batch:
    """(x, targets, sample weights or None) of a batch, which may lack the last."""
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
        form = f"{len(batch)} items" if isinstance(batch, (tuple, list)) else type(batch).__name__
        raise DataError(f"a batch is (x, targets) or (x, targets, sample_weight), got {form}")
    x, targets, weight = batch if len(batch) == 3 else (*batch, None)
    no_array = (list, int, float)
    if isinstance(x, no_array) or isinstance(targets, no_array) or isinstance(weight, no_array):
        for name, value in (("x", x), ("targets", targets), ("sample_weight", weight)):
            if isinstance(value, no_array):
                raise DataError(
                    f"{name} of a batch must be an array, got a {type(value).__name__}; give np.asarray({name})"
                )
    return x, targets, weight


def _outputs(network: LayerLike, params: Nest, x: Nest) -> int:
    """How many outputs the network has, seen on one row, or none where there is none."""
    row = tree.map(lambda part: part[(slice(0, 1), *[slice(None)] * (len(part.shape) - 1))], x)
    return int(placed(network, params, row, None)[0].shape[-1])


def make_unchecked_step(
    network: LayerLike,
    loss: Any,
    optimizer: Optimizer,
    *,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    metrics: tuple[Metric, ...] = (),
    micro_batch: int | None = None,
    team: Team | None = None,
    with_loss: bool = False,
) -> Step:
    """The step of `make_train_step`, for data that are checked already, as `Model.fit`'s are.

    team : its batches are then Shares, and its logs hold this worker's sums. with_loss : whether a step without a team
    reports data_loss + penalty, too, as "loss".
    """
    clip_norm, clip_value = python_number(clip_norm), python_number(clip_value)
    for name, limit in (("clip_norm", clip_norm), ("clip_value", clip_value)):
        if limit is not None and (not isinstance(limit, (int, float)) or not 0 < limit < math.inf):
            raise ValueError(f"{name} must be a finite number above 0, or None, got {limit!r}")
    loss, optimizer = as_loss(loss), as_optimizer(optimizer)
    for metric in metrics:
        if metric.whole_set:
            raise ValueError(
                f"{metric.name} is a metric of a whole set of rows, no sum over batches, so a step cannot report it: "
                f"Model.evaluate and validation_data do"
            )
    check_network(network)
    if micro_batch is not None:
        if not is_integer(micro_batch, 1):
            raise ValueError(f"micro_batch must be an integer of at least 1, or None, got {micro_batch!r}")
        if team is not None:
            raise ValueError(
                "micro_batch does not go with workers or shards, which cut a batch into parts too: more shards are "
                "smaller parts"
            )
        if any(map(batch_coupled, (network, loss, *metrics))):
            raise ValueError(
                "micro_batch splits a batch, but a layer of this network couples its rows (BatchNorm does): each part "
                "would be another computation. Take GroupNorm or LayerNorm, or Freeze the layer"
            )
    # The learning rate reaches the rule through its scalars only, so steps that differ in it share one compilation.
    rule = replace(optimizer, learning_rate=IN_SCALARS)
    options: tuple[Any, ...] = (network, loss, rule, clip_norm, clip_value, metrics)
    try:
        hash(options)
    except TypeError as error:
        said = f"layers, losses and optimizers are frozen dataclasses of hashable values: {error}"
        raise TypeError(f"{said}; put @dataclass(frozen=True) above a class, and give tuples for lists") from None
    cores: dict[type, Callable[..., Any]] = {}  # by the arrays' type; hashing the options at every step would show

    def train_step(params: Nest, state: Mapping[str, Any], batch: Batch, key: Key) -> Any:
        step = state["step"]
        kind = type(tree.first(params))
        if kind not in cores:
            engine: Any = for_type(kind)
            if team is None:
                cores[kind] = compiled_step(engine, *options, micro_batch, with_loss)
            else:
                cores[kind] = _team_step(engine, team, *options)
        scalars = python_numbers(optimizer.scalars(step))
        params, slots, logs = cores[kind](params, state["slots"], batch, key.fold_in(step), scalars)
        return params, {"step": step + 1, "slots": slots}, logs

    return train_step


@lru_cache(maxsize=64)
def compiled_step(
    engine: type[Backend],
    network: LayerLike,
    loss: Loss,
    rule: Optimizer,
    clip_norm: float | None,
    clip_value: float | None,
    metrics: tuple[Metric, ...],
    micro_batch: int | None = None,
    with_loss: bool = False,
) -> Callable[..., Any]:
    """The step as a function of nests, a key and scalars, compiled by the engine, once for equal arguments."""
    gradient = gradient_of(network, loss, metrics)
    finish = finish_of(network, rule, clip_norm, clip_value)
    coupled = any(map(batch_coupled, (network, loss, *metrics)))

    def summed(params: Nest, batch: Batch, key: Key, total: Any) -> tuple[dict[str, Any], Nest]:
        """Sums and gradients of the batch, at most micro_batch rows at a time."""
        rows = batch[1].shape[0]
        plan = engine.plan(params, batch, coupled)
        largest = max((block.stop - block.start for block in plan.blocks), default=rows)
        if micro_batch is None or largest <= micro_batch:
            return engine.accumulate(gradient, params, batch, key, total, plan)
        result: Any = None
        for start in range(0, rows, micro_batch):
            rows_at = slice(start, min(start + micro_batch, rows))
            part = tree.map(lambda leaf, s=rows_at: None if leaf is None else leaf[s, ...], batch)
            own = engine.plan(params, part, coupled)
            sums = engine.accumulate(gradient, params, part, key.rows(start), total, own)
            # statistics of a layer whose rows may be parted stay what they are in each part
            added = sums if result is None else tree.map(lambda a, b: a + b, *map(tree.trained, (result, sums)))
            result = tree.with_statistics(added, sums)
        return result

    def core(params: Nest, slots: Nest, batch: Batch, key: Key, scalars: Mapping[str, Any]) -> Any:
        _, targets, weight = batch
        total = loss.total(targets, weight)
        logs, grads = summed(params, batch, key, total)
        params, slots, logs["penalty"] = finish(params, slots, grads, scalars)
        logs["total"] = total
        if with_loss:
            logs = {"loss": logs["data_loss"] + logs["penalty"], **logs}
        return params, slots, logs

    return engine.compile(core, donate=(0, 1))


@lru_cache(maxsize=64)
def _team_step(
    engine: type[Backend],
    team: Team,
    network: LayerLike,
    loss: Loss,
    rule: Optimizer,
    clip_norm: float | None,
    clip_value: float | None,
    metrics: tuple[Metric, ...],
) -> Callable[..., Any]:
    """The same function of a worker's Share of a batch, in two compiled halves with the exchange between them."""
    team.check(network, loss, metrics)
    gradient, finish = gradient_of(network, loss, metrics), finish_of(network, rule, clip_norm, clip_value)
    return sharded(engine, team, gradient, finish, batch_coupled(network))


def gradient_of(network: LayerLike, loss: Loss, metrics: tuple[Metric, ...]) -> Callable[..., Any]:
    """gradient(params, rows, key, total) -> (sums, gradients): the first half of a step, for some rows of a batch."""

    def gradient(params: Nest, rows: Batch, key: Key, total: Any) -> tuple[dict[str, Any], Nest]:
        x, targets, weight = rows
        outputs, backward = placed(network, params, x, key)
        value, loss_backward = called_loss(loss, outputs, targets, weight, total)
        sums = {"data_loss": value}
        for metric in metrics:
            sums[metric.name] = sums_of(metric, outputs, targets, weight)
        with named(network):
            return sums, backward(loss_backward(), need_dx=False)[1]

    return gradient


def finish_of(
    network: LayerLike, rule: Optimizer, clip_norm: float | None, clip_value: float | None
) -> Callable[..., Any]:
    """finish(params, slots, gradients, scalars) -> (params, slots, penalty): the second half, for the whole batch."""

    def finish(params: Nest, slots: Nest, grads: Nest, scalars: Mapping[str, Any]) -> Any:
        with named(network):
            penalty, penalty_backward = penalty_of(network, params)
            gradients = penalty_backward()
        grads = clip(tree.add(grads, gradients), clip_norm, clip_value)
        params, slots = rule.apply(params, grads, slots, scalars)
        return params, slots, penalty

    return finish


def placed(network: LayerLike, params: Nest, x: Nest, key: Key | None) -> tuple[Nest, Any]:
    """(outputs, backward) of a network; one that breaks the contract of a layer is named."""
    with named(network):
        return called(network, params, x, key)


def put(nest: Nest, like: Array) -> Nest:
    """A copy of the nest in the library and on the device of `like`; float leaves take its dtype too.

    like : an array of any library, with a float dtype. The copy shares no memory with the nest, so an optimizer may
    consume it.
    """
    if not is_float(like):
        raise DataError(f"put takes the dtype of a float array, got {like.dtype}; pass like=xp.asarray(x, dtype=…)")
    backend = of(like)
    return tree.map(lambda leaf: backend.asarray(leaf, like.dtype if is_float(leaf) else None, copy=True), nest)
