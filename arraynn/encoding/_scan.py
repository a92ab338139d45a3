"""Goes through the training rows of a table and fills a profile of each column."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import DataError
from ._profile import DateProfile, NumberProfile, Profile, TextProfile, first_look
from ._rules import RULES
from ._values import is_padded, number


def profiles_of(table: Any, rows: Any, forced: Mapping[str, str], skip: Collection[str]) -> dict[str, Profile]:
    """A profile of each column, from the training rows only.

    rows : a mask or the indices of the training rows, None for all. forced : "number" or "text" for columns whose kind
    is given. skip : names of columns to leave out. A column whose first rows suggest a kind that later rows do not have
    is read again, as text.
    """
    count = table.count
    if not count:
        raise DataError("the table is empty: it has 0 rows, at least 1 is needed")
    chosen, sampled = np.zeros(count, bool), np.zeros(count, bool)
    chosen[slice(None) if rows is None else rows] = True
    learnt_from = np.flatnonzero(chosen)
    if not learnt_from.size:
        raise DataError("no row is left to learn from")
    sampled[learnt_from[:: -(-learnt_from.size // RULES.sample)]] = True
    del learnt_from  # a number for each row
    decimal = getattr(table, "decimal", ".")
    names = [name for name in table.names if name not in skip]
    found = {name: _wished(name, forced.get(name), decimal) for name in names}
    for chunk in _chunks(table, [name for name, profile in found.items() if profile is None]):
        for name in names:  # the first rows decide how the rest is read
            if found[name] is None:
                found[name] = first_look(name, chunk.columns[name], decimal, chunk.where)
        break
    profiles: dict[str, Profile] = {name: profile or TextProfile(name) for name, profile in found.items()}
    _scan(table, profiles, chosen, sampled)
    again: dict[str, Profile] = {}
    for name, profile in profiles.items():
        if profile.failed:
            again[name] = TextProfile(name)
        elif isinstance(profile, TextProfile) and name not in forced and _all_numbers(profile, decimal):
            again[name] = NumberProfile(name, decimal)  # the first rows were empty
    _scan(table, again, chosen, sampled)
    return profiles | again


def as_texts(table: Any, rows: Any, names: Iterable[str]) -> dict[str, Profile]:
    """Profiles of these columns as texts."""
    names = list(names)
    return profiles_of(table, rows, dict.fromkeys(names, "text"), [n for n in table.names if n not in names])


def _wished(name: str, wish: str | None, decimal: str) -> Profile | None:
    return {None: None, "number": NumberProfile(name, decimal, forced=True), "text": TextProfile(name)}[wish]


def _chunks(table: Any, names: list[str]) -> Any:
    return table.chunks(names) if names else ()


def _scan(table: Any, profiles: Mapping[str, Profile], chosen: np.ndarray, sampled: np.ndarray) -> None:
    for chunk in _chunks(table, list(profiles)):
        span = slice(chunk.start, chunk.start + chunk.count)
        here = np.flatnonzero(chosen[span])
        if not here.size:
            continue
        whole = here.size == chunk.count
        picked = np.flatnonzero(sampled[span][here])

        def where(place: int, chunk: Any = chunk, here: np.ndarray = here) -> str:
            return str(chunk.where(int(here[place])))

        for name, profile in profiles.items():
            if not profile.failed:
                column = chunk.columns[name]
                profile.add(column if whole else column.take(here), picked, where)


def _all_numbers(profile: TextProfile, decimal: str) -> bool:
    """Whether all counted texts are numbers without a leading zero."""
    return (
        profile.kinds == {"text"}
        and bool(profile.counts)
        and all(number(text, decimal) is not None and not is_padded(text) for text in profile.counts)
    )


__all__ = ["DateProfile", "NumberProfile", "Profile", "TextProfile", "as_texts", "profiles_of"]
