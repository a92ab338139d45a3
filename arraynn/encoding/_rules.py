"""Every threshold by which a column is judged, in one place: the decisions read it, and so does --help."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Rules:
    """The thresholds. `RULES` holds those that are used; `MEANING` says in words what each does."""

    one_hot: int = 20
    rare: int = 3
    units: int = 32
    embedded: int = 10_000
    strays: float = 0.05
    id_rows: int = 20
    id_range: float = 1.5
    id_texts: float = 0.95
    task_values: int = 20
    classes: int = 1_000
    duplicate: float = 0.999
    sample: int = 65_536


MEANING = {
    "one_hot": "text of at most so many values is one-hot, of more embedded",
    "rare": "an embedded value in fewer training rows than this counts as 'other'",
    "units": "numbers of an embedding, at most: min(this, round(1.6 values^0.56))",
    "embedded": "values that are told apart, at most; those that come later count as 'other'",
    "strays": "share of texts in a column of numbers, at most; they are taken as gaps, and told",
    "id_rows": "rows from which on a column is looked at for ids",
    "id_range": "whole numbers, all different, within so many times the table's rows are ids",
    "id_texts": "text of which more than this share of the rows is different is an id, or free text",
    "task_values": "a target of at most so many whole numbers, each in 5 rows on average, is a classification",
    "classes": "classes of a target, at most",
    "duplicate": "a column that correlates with the target by more than this is told, and kept",
    "sample": "training rows, evenly taken, at most, from which medians and ids are told",
}
RULES = Rules()


def rules_table() -> str:
    """The thresholds with their meaning, a line each.

    >>> print(rules_table().splitlines()[0])
    one_hot          20  text of at most so many values is one-hot, of more embedded
    """
    return "\n".join(f"{f.name:<10} {getattr(RULES, f.name):>8}  {MEANING[f.name]}" for f in fields(Rules))
