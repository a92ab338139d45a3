"""Checks that the `Shard`s of all workers make whole arrays, and notes which worker holds which rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import is_array
from ..backends import of
from ..distributed import Group, Shard, Team, told_by
from ..encoding import is_table
from ..errors import ArraynnError, DataError, WorkerError
from .sharded_array import ShardedArray
from .validation import as_array, unmasked


def assembled(team: Team | None, x: Any, y: Any, sample_weight: Any, validation_data: Any) -> list[Any]:
    """The arguments of `fit`, with a whole array in place of each `Shard`: a `ShardedArray` for x and for the x of
    validation_data, a gathered array for the others. All workers call it.

    Raises WorkerError, on every worker, where the workers' rows of an array do not make a whole.
    """
    group = Group() if team is None else team.group
    given = {"x": x, "y": y, "sample_weight": sample_weight}
    held = isinstance(validation_data, (tuple, list)) and any(_shards("", part) for part in validation_data)
    for name, part in zip(given.copy(), validation_data if held else (), strict=False):
        given[f"{name} of validation_data"] = part
    arrays: dict[str, np.ndarray] = {}
    forms: dict[str, Any] = {}
    for name, shard in [found for what, value in given.items() for found in _shards(what, value)]:
        try:
            arrays[name] = _array(name, shard)
            forms[name] = shard.start, shard.stop, shard.total, arrays[name].shape[1:], _kind(arrays[name].dtype)
        except ArraynnError as error:
            forms[name] = str(error)
    runs = _runs(group.gather(forms))

    def whole(name: str, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(whole(f"{name}[{i}]", part) for i, part in enumerate(value))
        if not isinstance(value, Shard):
            return value
        if group.size == 1:
            return arrays[name]
        if name.startswith("x"):
            return ShardedArray(arrays[name], group, runs[name])
        parts = group.gather(arrays[name])
        return np.concatenate([parts[rank] for _, _, rank in runs[name]])

    found = [whole(name, value) for name, value in given.items()]
    return [*found[:3], tuple(found[3:]) if held else validation_data]


def _shards(name: str, value: Any) -> list[tuple[str, Shard]]:
    """(name, shard) of the value, or of each part of a tuple."""
    if isinstance(value, tuple):
        return [found for i, part in enumerate(value) for found in _shards(f"{name}[{i}]", part)]
    return [(name, value)] if isinstance(value, Shard) else []


def _array(name: str, shard: Shard) -> np.ndarray:
    """The rows of a shard, as an array on the host."""
    if is_table(shard.rows):
        raise DataError(
            f"{name} is an nn.Shard of a table; give its numbers, as by encoding.encode(table) or table.to_numpy()"
        )
    rows = as_array(name, shard.rows) if name.startswith("x") else shard.rows  # targets may be labels of any type
    unmasked(name, rows)
    try:
        array = rows if isinstance(rows, np.memmap) else np.asarray(of(rows).to_numpy(rows) if is_array(rows) else rows)
    except ValueError as error:
        raise DataError(
            f"{name} is an nn.Shard of rows that make no array ({error}); give rows of one length"
        ) from None
    if not array.shape:
        raise DataError(f"{name} is an nn.Shard without rows along a first axis; give an array (rows, …)")
    return array


def _kind(dtype: np.dtype) -> str:
    """The name by which the workers' dtypes are compared. A text dtype has the length of its longest word, which may
    differ between workers, so all text is one kind."""
    return "text" if dtype.kind == "U" else str(dtype)


def _runs(everyone: list[dict[str, Any]]) -> dict[str, tuple[tuple[int, int, int], ...]]:
    """By name, (start, stop, rank) of each worker that holds rows of the array, in the order of the rows.

    everyone : by rank and name, (start, stop, total, shape of a row, dtype) of the shard, or the error in words.
    """
    runs = {}
    for name in dict.fromkeys(name for forms in everyone for name in forms):
        held = []
        for rank, form in enumerate(forms.get(name) for forms in everyone):
            if form is None:
                raise _refused(f"worker {rank} gives {name} whole, others an nn.Shard of it; give one on every worker")
            if isinstance(form, str):
                raise _refused(f"worker {rank} of {len(everyone)} failed: {form}")
            (start, stop, *own), (*_, total, shape, dtype) = form, everyone[0][name]
            for what, one, other in zip(("total", "rows of shape", "dtype"), own, (total, shape, dtype), strict=True):
                if one != other:
                    raise _refused(f"worker {rank} has an nn.Shard of {name} with {what} {one}, worker 0 with {other}")
            held += [(start, stop, rank)] if stop > start else []
        end, text = 0, "nobody"
        for start, stop, rank in sorted(held):
            if start < end:
                raise _refused(f"rows {start} to {min(stop, end)} of {name} are held by {text} and by worker {rank}")
            if start > end:
                raise _refused(f"rows {end} to {start} of {name} are held by no worker")
            end, text = stop, f"worker {rank}"
        if end < total:
            raise _refused(f"rows {end} to {total} of {name} are held by no worker")
        runs[name] = tuple(sorted(held))
    return runs


def _refused(text: str) -> Any:
    remedy = "" if "failed:" in text else "; the shards of all workers cover each array once: see nn.Shard"
    return told_by(WorkerError(f"{text}{remedy}"), 0)
