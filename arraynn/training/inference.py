"""Inference: a network's outputs, in the library of x, and its loss and metrics on data with targets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from .. import tree
from .._array import namespace
from .._contract import called_loss
from .._contract_of_rules import sums_of, value_of
from .._coupling import batch_coupled, coupled_in_inference
from .._types import Nest
from ..backends import of
from ..distributed import Group
from .dataset import ArrayDataset, InputSpec, blocks
from .step import placed


def measure(model: Any, rows: ArrayDataset, group: Group | None = None) -> dict[str, float]:
    """The loss without penalty, and the metrics, over all rows, as Python floats.

    group : workers that share the blocks of rows; their sums are rounded once, so they have the bits of one worker's.
    """
    total = model.loss.total(rows.targets, rows.weight)
    # those of a training run are prepared already
    prepared = [metric.prepare(rows.targets) for metric in model.prepared_metrics]
    with model.backend.context():
        metrics = [metric.centered(rows.targets, rows.weight) for metric in prepared]
    forward, params = inference(model.backend, model.network), model.params

    whole = [metric for metric in metrics if metric.whole_set]
    metrics = [metric for metric in metrics if not metric.whole_set]

    def figures(part: slice, x: Nest = None) -> tuple[dict[str, Any], list[Any]]:
        targets, weight = rows.answers(part)
        x = rows.inputs(part) if x is None else x
        outputs = forward(params, x)
        kept = [outputs, targets, *([] if weight is None else [weight])] if whole else []
        loss = called_loss(model.loss, outputs, targets, weight, total)[0]
        return {"loss": loss, **{m.name: sums_of(m, outputs, targets, weight) for m in metrics}}, kept

    coupled = coupled_in_inference(model.network) or any(map(batch_coupled, (model.loss, *metrics)))
    cut = pieces(rows.count, model.backend, coupled)
    rank, size = (0, 1) if group is None else (group.rank, group.size)
    runs = [cut[len(cut) * i // size : len(cut) * (i + 1) // size] for i in range(size)]
    with model.backend.context():
        if rows.sharded:
            found = [figures(part, x) for part, x in _exchanged(rows, runs, rank)]
        else:
            found = model.backend.parallel_map(figures, runs[rank])
        parts = [sums for sums, _ in found]
        joined = _joined([kept for _, kept in found], group) if whole else []
        fetched = iter(model.backend.fetch(tree.leaves(parts)))
    host = tree.map(lambda _: next(fetched), parts)
    if group is not None:
        host = [part for parts in group.gather(host) for part in parts]
    summed = tree.map(lambda *values: math.fsum(values), *host)
    values = {m.name: value_of(m, summed[m.name]) for m in metrics} | {m.name: m.of_set(*joined) for m in whole}
    return {"loss": summed["loss"], **{m.name: values[m.name] for m in prepared}}


def _exchanged(rows: ArrayDataset, runs: list[list[slice]], rank: int) -> Iterator[tuple[slice, Nest]]:
    """(block, its x) of a worker's blocks of rows, as many exchanges as the worker with the most has blocks."""
    for turn in range(max(map(len, runs))):
        wanted = [run[turn] if turn < len(run) else slice(0, 0) for run in runs]
        x = rows.inputs(wanted[rank], everyone=wanted)
        if turn < len(runs[rank]):
            yield wanted[rank], x


def _joined(kept: list[list[Any]], group: Group | None) -> list[Any]:
    """The arrays of all blocks of rows, of which each worker took a run, joined, as NumPy's."""
    if group is not None:
        hands = group.gather(tree.map(lambda array: of(array).to_numpy(array), kept))
        kept = [one for hand in hands for one in hand]
    return [of(one[0]).to_numpy(namespace(one[0]).concat(one)) for one in zip(*kept, strict=True)]


def infer(model: Any, spec: InputSpec, x: Nest, function: Callable[[Nest], Nest]) -> Nest:
    """function(outputs) in inference, computed in blocks of rows and joined, in the library and on the device of x."""
    home, backend = of(tree.leaves(x)[0]), model.backend
    rows = ArrayDataset(spec, spec.inputs(x), tree.leaves(x)[0], None)
    forward, params = inference(backend, model.network), model.params
    # what a loss makes of a row's outputs may depend on other rows
    inside, after = (_same, function) if batch_coupled(model.loss) else (function, _same)
    with backend.context():
        parts = backend.parallel_map(
            lambda part: inside(forward(params, rows.inputs(part))),
            pieces(rows.count, backend, coupled_in_inference(model.network)),
        )
        joined = parts[0] if len(parts) == 1 else tree.map(lambda *leaves: backend.xp.concat(leaves, axis=0), *parts)
        joined = after(joined)
    # a copy where it came from elsewhere, so that an answer may be written to (NumPy's view of a JAX array may not)
    return tree.map(lambda leaf: home.asarray(leaf, copy=True if home.name != backend.name else None), joined)


def _same(nest: Nest) -> Nest:
    return nest


def pieces(count: int, backend: Any, coupled: bool) -> list[slice]:
    """The blocks of rows that inference takes together: all of them, where they depend on one another."""
    return blocks(count, max(count, 1) if coupled else backend.inference_rows)


def inference(backend: Any, network: Any) -> Callable[[Nest, Nest], Nest]:
    """outputs(params, x) of the network in inference, compiled where the library can; no backward is kept."""
    engine: Any = type(backend)
    return _compiled(engine, network)


@lru_cache(maxsize=64)
def _compiled(engine: Any, network: Any) -> Callable[[Nest, Nest], Nest]:
    return engine.compile(lambda params, x: placed(network, params, x, None)[0])
