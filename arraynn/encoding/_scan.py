"""Reads the training rows of a table and gathers a profile of each column."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import DataError
from ._profile import DateProfile, NumberProfile, Profile, TextProfile, initial_profile
from ._rules import RULES
from ._values import is_padded, number


def profiles_of(table: Any, rows: Any, forced: Mapping[str, str], skip: Collection[str]) -> dict[str, Profile]:
    """A profile of each column, from the training rows only.

    rows : a mask or the indices of the training rows, None for all. forced : "number" or "text" for columns whose kind
    is given. skip : names of columns to leave out. A column whose later rows do not have the kind that its first rows
    suggest is read again, as text.
    """
    count = table.count
    if not count:
        raise DataError("the table is empty: it has 0 rows, at least 1 is needed")
    chosen, sampled = np.zeros(count, bool), np.zeros(count, bool)
    chosen[slice(None) if rows is None else rows] = True
    training_rows = np.flatnonzero(chosen)
    if not training_rows.size:
        raise DataError("there are no training rows")
    sampled[training_rows[:: -(-training_rows.size // RULES.sample)]] = True
    del training_rows  # free the memory of one index per row
    decimal = getattr(table, "decimal", ".")
    names = [name for name in table.names if name not in skip]
    found = {name: _forced_profile(name, forced.get(name), decimal) for name in names}
    for chunk in _chunks(table, [name for name, profile in found.items() if profile is None]):
        for name in names:  # the first rows decide the kind of the column
            if found[name] is None:
                found[name] = initial_profile(name, chunk.columns[name], decimal, chunk.where)
        break
    profiles: dict[str, Profile] = {name: profile or TextProfile(name) for name, profile in found.items()}
    _scan(table, profiles, chosen, sampled)
    reread: dict[str, Profile] = {}
    for name, profile in profiles.items():
        if profile.failed:
            reread[name] = TextProfile(name)
        elif isinstance(profile, TextProfile) and name not in forced and _all_numbers(profile, decimal):
            reread[name] = NumberProfile(name, decimal)  # the first rows had no values
    _scan(table, reread, chosen, sampled)
    return profiles | reread


def as_texts(table: Any, rows: Any, names: Iterable[str]) -> dict[str, Profile]:
    """Profiles of these columns as texts."""
    names = list(names)
    return profiles_of(table, rows, dict.fromkeys(names, "text"), [n for n in table.names if n not in names])


def _forced_profile(name: str, wish: str | None, decimal: str) -> Profile | None:
    return {None: None, "number": NumberProfile(name, decimal, forced=True), "text": TextProfile(name)}[wish]


def _chunks(table: Any, names: list[str]) -> Any:
    return table.chunks(names) if names else ()


def _scan(table: Any, profiles: Mapping[str, Profile], chosen: np.ndarray, sampled: np.ndarray) -> None:
    for chunk in _chunks(table, list(profiles)):
        span = slice(chunk.start, chunk.start + chunk.count)
        chunk_rows = np.flatnonzero(chosen[span])
        if not chunk_rows.size:
            continue
        all_rows = chunk_rows.size == chunk.count
        sampled_rows = np.flatnonzero(sampled[span][chunk_rows])

        def where(row: int, chunk: Any = chunk, chunk_rows: np.ndarray = chunk_rows) -> str:
            return str(chunk.where(int(chunk_rows[row])))

        for name, profile in profiles.items():
            if not profile.failed:
                column = chunk.columns[name]
                profile.add(column if all_rows else column.take(chunk_rows), sampled_rows, where)


def _all_numbers(profile: TextProfile, decimal: str) -> bool:
    """Whether all counted texts are numbers without a leading zero."""
    return (
        profile.kinds == {"text"}
        and bool(profile.counts)
        and all(number(text, decimal) is not None and not is_padded(text) for text in profile.counts)
    )


__all__ = ["DateProfile", "NumberProfile", "Profile", "TextProfile", "as_texts", "profiles_of"]
