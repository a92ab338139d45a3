"""Chooses the encoding of each column from training rows, with reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._text import brief, counted, table
from ..errors import DataError
from ._columns import (
    CategoryColumn,
    DateColumn,
    EmbeddedColumn,
    Encoded,
    FlagColumn,
    LeftOut,
    NumberColumn,
    numbers,
    seconds,
)
from ._frame import as_table
from ._rules import RULES
from ._scan import DateProfile, NumberProfile, Profile, TextProfile, as_texts, profiles_of
from ._table import TableEncoding
from ._targets import ClassTarget, ValueTarget, as_classes

TASKS = ("classification", "regression")


@dataclass(frozen=True)
class Learnt:
    """The result of `learn`.

    why : for each column and target, the values that its encoding is based on. notes : warnings, one sentence each:
    texts among numbers, columns that nearly equal the target.
    """

    encoding: TableEncoding
    why: dict[str, str]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        columns = (*self.encoding.columns, *self.encoding.targets)
        return table(
            [
                ("column", "becomes", "training rows hold"),
                *((one.name, one.description(), self.why[one.name]) for one in columns),
            ]
        )


def learn(
    frame: Any,
    target: str | Sequence[str],
    *,
    numeric: Sequence[str] = (),
    text: Sequence[str] = (),
    categories: Sequence[str] = (),
    drop: Sequence[str] | Mapping[str, str] = (),
    task: str | None = None,
    rows: Any = None,
) -> Learnt:
    """Choose the encoding of each column of a table from its training rows.

    frame : a pandas or polars frame, a file that `datasets.read_table` opened, or a mapping from names to columns.
    target : the name of a column, or the names of several columns of numbers.
    numeric : columns to read as numbers; texts in them count as missing. text : columns to read as text, one-hot or
        embedded by the number of values. categories : columns to make one-hot. drop : columns to leave out, or
        {column: the reason}.
    task : "classification" or "regression"; None decides by the target's values.
    rows : a mask or the indices of the training rows, None for all.

    Numbers are standardized. Text of few values is one-hot, of more values embedded. Words for true and false become 1
    and 0. Dates become a time and sines and cosines of its periods. Constant columns, ids (nearly consecutive integers,
    text that differs in nearly all rows) and columns without values are left out. The thresholds are `RULES`.
    Raises DataError for a column that is not in the table, and for a target that cannot be learnt.
    """
    table = as_table(frame)
    targets = [target] if isinstance(target, str) else list(target)
    requested: dict[str, Iterable[str]] = {"numeric": numeric, "text": text, "categories": categories, "drop": drop}
    _check_names(table, targets, requested)
    if task not in (None, *TASKS):
        raise DataError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
    forced = dict.fromkeys(numeric, "number") | dict.fromkeys([*text, *categories], "text")
    profiles = profiles_of(table, rows, forced, set(drop))
    why: dict[str, str] = {}
    found_targets = tuple(_target(name, profiles, table, rows, task, len(targets) > 1, why) for name in targets)
    columns: list[Encoded] = []
    for name in table.names:
        if name in targets:
            continue
        if name in drop:
            columns.append(LeftOut(name, drop[name] if isinstance(drop, Mapping) else "as asked"))
            why[name] = ""
            continue
        columns.append(_column(profiles[name], table.count, name in numeric, name in categories, name in text, why))
    encoding = TableEncoding(tuple(columns), found_targets)
    if not encoding.used:
        reasons = "; ".join(f"{c.name!r}, {c.description()}" for c in columns) or "the table has only the target"
        raise DataError(f"no column is left as an input: {reasons}")
    notes = [
        f"column {p.name!r}: {counted(p.stray, 'text')} among its numbers, counted as missing: {p.first_stray}"
        for p in profiles.values()
        if isinstance(p, NumberProfile) and p.stray and p.name not in targets
    ]
    return Learnt(encoding, why, (*notes, *_leaks(encoding, profiles)))


def learn_target(table: Any, name: str, task: str | None = None, rows: Any = None) -> ValueTarget | ClassTarget:
    """The encoding of a column as a target, chosen from the training rows. The arguments are those of `learn`."""
    profiles = profiles_of(table, rows, {}, [other for other in table.names if other != name])
    return _target(name, profiles, table, rows, task, False, {})


def order_of(table: Any, name: str) -> np.ndarray:
    """The values of a column of dates or numbers, (N,) float64. Raises DataError where a row has none."""
    profile = profiles_of(table, None, {}, [other for other in table.names if other != name])[name]
    if isinstance(profile, TextProfile):
        raise DataError(f"column {name!r} holds neither dates nor numbers, so it cannot order the rows in time")
    found = []
    for chunk in table.chunks([name]):
        column = chunk.columns[name]
        if isinstance(profile, DateProfile):
            values = seconds(name, column, chunk.where, profile.day_first)
        else:
            values = numbers(name, column, chunk.where, getattr(table, "decimal", "."))
        gaps = np.flatnonzero(np.isnan(values))
        if gaps.size:
            raise DataError(
                f"column {name!r} is empty in {chunk.where(int(gaps[0]))}; to order rows, each needs a time"
            )
        found.append(values)
    return np.concatenate(found)


def _check_names(table: Any, targets: list[str], requested: dict[str, Iterable[str]]) -> None:
    asked: dict[str, str] = {}
    all_requests: dict[str, Iterable[str]] = {"target": targets, **requested}
    for what, names in all_requests.items():
        for name in names:
            if name not in table.names:
                raise DataError(f"{what}: there is no column {name!r}; there are {', '.join(table.names[:30])}")
            if name in asked:
                raise DataError(f"column {name!r} is given as {asked[name]} and as {what}; give one of them")
            asked[name] = what
    if not targets:
        raise DataError("a target is needed: the name of the column to predict")


# Targets.


def _target(
    name: str, profiles: dict[str, Profile], table: Any, rows: Any, task: str | None, several: bool, why: dict[str, str]
) -> ValueTarget | ClassTarget:
    profile = profiles[name]
    if not profile.given:
        raise DataError(f"the target {name!r} has no values in the training rows")
    numeric = isinstance(profile, NumberProfile) and profile.kinds != {"flag"}
    if numeric and task != "classification" and (task or several or not _classes(profile)):
        return _value_target(profile, why)
    if several or task == "regression":
        raise DataError(f"the target {name!r} is not numeric; a regression, and several targets, need numbers")
    if isinstance(profile, DateProfile) and task is None:
        raise DataError(f"the target {name!r} holds dates; give the task, or a target of numbers or classes")
    why[name] = "as asked" if task else "text"
    if isinstance(profile, NumberProfile):
        why[name] = "as asked" if task else "few whole numbers; --task regression treats them as numbers"
        if profile.kinds == {"flag"}:
            why[name] = "true or false"
    text = profile if isinstance(profile, TextProfile) else as_texts(table, rows, [name])[name]
    assert isinstance(text, TextProfile)
    if text.more or len(text.counts) > RULES.classes:
        raise DataError(f"the target {name!r} has more than {RULES.classes:,} classes, too many to learn")
    if len(text.counts) < 2:
        raise DataError(f"the target {name!r} is {next(iter(text.counts))!r} in all training rows; there is no choice")
    profiles[name] = text
    return ClassTarget(name, as_classes(list(text.counts), text.kinds))


def _classes(profile: Any) -> bool:
    """Whether numbers look like classes: few distinct integers, each in several rows."""
    distinct = len(np.unique(profile.sample[~np.isnan(profile.sample)]))
    return bool(profile.moments.whole) and distinct <= min(RULES.task_values, profile.given // 5)


def _value_target(profile: Any, why: dict[str, str]) -> ValueTarget:
    if profile.stray:
        raise DataError(f"the target {profile.name!r} holds {profile.first_stray}, where its other values are numbers")
    moments = profile.moments
    if moments.low == moments.high:
        raise DataError(
            f"the target {profile.name!r} is {brief(moments.low)} in all training rows; there is nothing to learn"
        )
    why[profile.name] = f"{brief(moments.low)} to {brief(moments.high)}"
    return ValueTarget(profile.name, moments.mean, moments.scale, profile.decimal)


# Columns.


def _column(profile: Profile, count: int, numeric: bool, one_hot: bool, text: bool, why: dict[str, str]) -> Encoded:
    name, asked = profile.name, numeric or one_hot or text
    gaps = f"; {counted(profile.missing, 'gap')}" if profile.missing else ""
    why[name] = ("as asked" if asked else "") + gaps.removeprefix("" if asked else "; ")

    def left_out(reason: str) -> LeftOut:
        why[name] = ""
        return LeftOut(name, reason)

    if not profile.given:
        return left_out("no values")
    if isinstance(profile, NumberProfile):
        moments = profile.moments
        if not moments.count:
            return left_out("no numbers")
        if moments.low == moments.high and not profile.missing and not profile.stray:
            return left_out(f"constant, {brief(moments.low)}")
        if profile.kinds == {"flag"}:
            return FlagColumn(name, bool(profile.missing))
        if not numeric and _is_id(profile, count):
            return left_out("an id: different whole numbers, nearly consecutive")
        why[name] = f"{brief(moments.low)} to {brief(moments.high)}" + ("; as asked" if asked else "") + gaps
        sample = profile.sample[~np.isnan(profile.sample)]
        fill = float(np.median(sample)) if sample.size else moments.mean
        marked = bool(profile.missing or profile.stray)
        return NumberColumn(name, moments.mean, moments.scale, fill, marked, bool(profile.stray), profile.decimal)
    if isinstance(profile, DateProfile):
        return _date(profile, left_out, why)
    assert isinstance(profile, TextProfile)
    return _text(profile, one_hot, text, left_out, why)


def _date(profile: DateProfile, left_out: Any, why: dict[str, str]) -> Encoded:
    moments = profile.moments
    if moments.low == moments.high and not profile.missing:
        return left_out("constant")
    span = (moments.high - moments.low) / 86400
    first, last = (str(np.datetime64(int(end), "D" if not profile.clock else "m")) for end in _rounded_range(profile))
    periods = (
        *(("year",) if span > 60 else ()),
        *(("week",) if span > 7 else ()),
        *(("day",) if profile.clock else ()),
    )
    why[profile.name] = f"{first} to {last}" + (f"; {counted(profile.missing, 'gap')}" if profile.missing else "")
    return DateColumn(profile.name, moments.mean, moments.scale, periods, bool(profile.missing), profile.day_first)


def _rounded_range(profile: DateProfile) -> tuple[float, float]:
    unit = 60 if profile.clock else 86400
    return profile.moments.low // unit, profile.moments.high // unit


def _text(profile: TextProfile, one_hot: bool, asked: bool, left_out: Any, why: dict[str, str]) -> Encoded:
    name, counts = profile.name, profile.counts
    if len(counts) == 1 and not profile.missing:
        return left_out(f"constant, {next(iter(counts))[:40]!r}")
    if profile.flags and len(counts) == 2 and not (one_hot or asked) and _one_pair(counts):
        return FlagColumn(name, bool(profile.missing))
    given = [text for text in profile.sample if text is not None]
    unique = len(set(given)) > RULES.id_texts * len(given)
    if not (one_hot or asked) and unique and len(counts) > RULES.one_hot:
        return left_out("an id or free text: nearly all values differ")
    if len(counts) <= RULES.one_hot or (one_hot and not profile.more):
        return CategoryColumn(name, tuple(sorted(counts)), bool(profile.missing))
    kept = sorted(text for text, count in counts.items() if count >= RULES.rare)
    others = len(counts) - len(kept)
    if others or profile.more:
        rare = f"{'more than ' * profile.more}{counted(others, 'rare value')} as 'other'"
        why[name] = "; ".join(part for part in (why[name], rare) if part)
    if not kept:
        return left_out(f"no value is in {RULES.rare} rows or more")
    return EmbeddedColumn(name, tuple(kept), min(RULES.units, max(2, round(1.6 * len(kept) ** 0.56))))


def _one_pair(counts: dict[str, int]) -> bool:
    """Whether the two words are a pair, such as true and false; true and no are not."""
    pairs = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"})
    return {text.lower() for text in counts} in pairs


def _is_id(profile: NumberProfile, count: int) -> bool:
    moments, sample = profile.moments, profile.sample
    if not moments.whole or profile.missing or profile.stray or moments.count < RULES.id_rows:
        return False
    return len(np.unique(sample)) == len(sample) and moments.high - moments.low < RULES.id_range * count


# Columns that leak the target.


def _leaks(encoding: TableEncoding, profiles: dict[str, Profile]) -> list[str]:
    """A sentence for each column that nearly equals a target."""
    notes = []
    for target in encoding.targets:
        target_values = profiles[target.name]
        for one in encoding.used:
            share = _agreement(profiles[one.name].sample, target_values.sample, isinstance(target, ClassTarget))
            if share > RULES.duplicate:
                notes.append(
                    f"column {one.name!r} nearly equals the target {target.name!r}; if it is not known when you "
                    f"predict, leave it out with --drop {one.name}"
                )
    return notes


def _agreement(values: np.ndarray, target_values: np.ndarray, classes: bool) -> float:
    """How well a column predicts the target by itself, from 0 to 1.

    For a target of numbers: |correlation|. For classes: the share of rows whose class is the most frequent one among
    the rows of equal value, or 0 if there are more than twice as many values as classes.
    """
    if len(values) != len(target_values):
        return 0.0
    given = ~(_missing(values) | _missing(target_values))
    values, target_values = values[given], target_values[given]
    if len(values) < 10:
        return 0.0
    if not classes:
        if values.dtype == object or target_values.dtype == object:
            return 0.0
        spread = float(values.std() * target_values.std())
        return (
            abs(float(((values - values.mean()) * (target_values - target_values.mean())).mean())) / spread
            if spread
            else 0.0
        )
    kinds, own = np.unique(values, return_inverse=True)
    labels, label_indices = np.unique(target_values, return_inverse=True)
    if len(kinds) > 2 * len(labels):
        return 0.0
    counts = np.zeros((len(kinds), len(labels)), np.int64)
    np.add.at(counts, (own, label_indices), 1)
    return float(counts.max(axis=1).sum() / len(values))


def _missing(values: np.ndarray) -> np.ndarray:
    if values.dtype == object:
        return np.asarray([value is None for value in values], bool)
    return np.asarray(np.isnan(values))
