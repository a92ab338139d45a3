"""Splits the rows of a table into training, validation and test rows, and the training rows into folds."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..encoding import forget
from ..errors import DataError

NAMES = ("training", "validation", "test")


def split(count: int, validation: float, test: float, seed: int, *, labels: Any, groups: Any, times: Any) -> Any:
    """Split row indices into {"training": indices, "validation": indices, "test": indices}, each sorted.

    An empty set is left out. test : share of all rows. validation : share of the remaining rows. labels : classes, (N,)
    integers or None; the split is stratified, to within one row. groups : (N,) codes or None; the rows of a group stay
    together. times : (N,) or None; validation rows come after training rows, test rows after both.
    Raises DataError where no training rows remain.
    """
    rng = np.random.default_rng(seed)
    if times is not None:
        order = np.argsort(times, kind="stable")
        sets = _by_time(np.asarray(times)[order], order, validation, test)
    elif groups is not None:
        sets = _by_group(np.asarray(groups), validation, test, rng)
    else:
        order = rng.permutation(np.arange(count, dtype=np.int32 if count < 2**31 else np.int64))
        if labels is not None:
            order = order[np.argsort(np.asarray(labels)[order], kind="stable")]
        held = _systematic_sample(count, test, rng)
        rest = order[~held]
        chosen = _systematic_sample(len(rest), validation, rng)
        sets = [rest[~chosen], rest[chosen], order[held]]
        if labels is not None:
            sets = _with_all_classes_in_training(sets, np.asarray(labels))
    if not len(sets[0]):
        raise DataError(f"{count} rows leave none to train on; hold out less, by --test-split and --validation-split")
    return {name: np.sort(indices) for name, indices in zip(NAMES, sets, strict=True) if len(indices)}


def folds_of(count: int, folds: int, seed: int, *, labels: Any, groups: Any) -> np.ndarray:
    """The fold of each row, (N,) integers from 0 to folds - 1; folds have about equal sizes.

    labels : classes, (N,) integers or None; the folds are stratified. groups : (N,) codes or None; the rows of a group
    are in one fold. Raises DataError where there are fewer rows, or groups, than folds.
    """
    rng = np.random.default_rng([seed, 1])
    found = np.empty(count, np.int64)
    if groups is not None:
        _, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        if len(sizes) < folds:
            raise DataError(f"--folds {folds}: there are {len(sizes)} groups to train on, at least {folds} are needed")
        full = np.zeros(folds, np.int64)
        own = np.empty(len(sizes), np.int64)
        for group in sorted(rng.permutation(len(sizes)), key=lambda group: -sizes[group]):
            own[group] = np.argmin(full)
            full[own[group]] += sizes[group]
        return own[inverse]
    if count < folds:
        raise DataError(f"--folds {folds}: there are {count} rows to train on, at least {folds} are needed")
    order = rng.permutation(count)
    if labels is not None:
        order = order[np.argsort(np.asarray(labels)[order], kind="stable")]
    found[order] = np.arange(count) % folds
    return found


def _systematic_sample(count: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Systematic sampling: a mask of `share` of the rows, evenly spaced from a random start.

    Of rows sorted by class, it selects the same share of each class.
    """
    mask, start = np.zeros(count, bool), rng.random()
    if share:  # the k-th selected row is the first at which row · share + start reaches k
        wanted = np.arange(1, int(count * share + start) + 1)
        mask[np.ceil((wanted - start) / share).astype(np.int64).clip(1, count) - 1] = True
    return mask


def _with_all_classes_in_training(sets: list[np.ndarray], labels: np.ndarray) -> list[np.ndarray]:
    """The sets, where one row of each class that the training rows lack is moved to them."""
    for label in np.setdiff1d(labels, labels[sets[0]]):
        for i in (1, 2):
            found = np.flatnonzero(labels[sets[i]] == label)
            if found.size:
                sets[0] = np.append(sets[0], sets[i][found[0]])
                sets[i] = np.delete(sets[i], found[0])
                break
    return sets


def _by_group(groups: np.ndarray, validation: float, test: float, rng: np.random.Generator) -> list[np.ndarray]:
    different, inverse = np.unique(groups, return_inverse=True)
    needed = 1 + (validation > 0) + (test > 0)
    if len(different) < needed:
        raise DataError(f"--group: there are {len(different)} groups, at least {needed} are needed to hold some out")
    sizes = np.bincount(inverse)
    order = rng.permutation(len(different))
    ends = np.cumsum(sizes[order]) / len(groups)
    kinds = np.zeros(len(different), int)
    wanted = test + validation * (1 - test)
    for rank, group in enumerate(order):
        start = ends[rank - 1] if rank else 0.0
        kinds[group] = 2 if start < test else 1 if start < wanted else 0
    if not (kinds == 0).any():
        kinds[order[-1]] = 0
    if validation and not (kinds == 1).any():
        kinds[order[-2]] = 1
    return [np.flatnonzero(kinds[inverse] == kind) for kind in range(3)]


def _by_time(times: np.ndarray, order: np.ndarray, validation: float, test: float) -> list[np.ndarray]:
    """Split by time: the latest rows are the test rows. Rows of equal time stay together, in the earlier set."""
    count = len(times)

    def boundary(row: int) -> int:
        while 0 < row < count and times[row] == times[row - 1]:
            row += 1
        return row

    test_start = boundary(round(count * (1 - test)))
    validation_start = boundary(min(round(count * (1 - test) * (1 - validation)), test_start))
    return [order[:validation_start], order[validation_start:test_start], order[test_start:]]


def duplicates(sets: dict[str, tuple[Any, Any]]) -> int:
    """The number of held-out rows that equal a training row in their encoded columns and their target."""
    keys = {name: _row_hashes(*arrays) for name, arrays in sets.items()}
    return sum(int(np.isin(own, keys["training"]).sum()) for name, own in keys.items() if name != "training")


def _row_hashes(x: Any, y: Any) -> np.ndarray:
    """A hash of each row, (N,) uint64. Equal rows have equal hashes; different rows have with probability 2^-64."""
    parts = [*(x if isinstance(x, tuple) else (x,)), np.asarray(y)]
    found = np.empty(len(y), np.uint64)
    for start in range(0, len(y), 2**14):
        rows = [np.ascontiguousarray(part[start : start + 2**14]) for part in parts]
        words = [part.reshape(len(part), -1).view(np.uint32) for part in rows]
        wide = np.concatenate(words, axis=1).astype(np.uint64)
        odd = np.random.default_rng(0).integers(2**63, size=wide.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(
            1
        )
        found[start : start + len(wide)] = (wide * odd).sum(axis=1, dtype=np.uint64)  # modulo 2^64
        for part in parts:
            forget(part)
    return found
