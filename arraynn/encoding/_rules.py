"""The thresholds by which a column's encoding is chosen, in one table, which --help prints."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Rules:
    """The thresholds. `RULES` holds their values; `MEANING` explains each."""

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
    "one_hot": "a text column of at most this many values is one-hot, of more is embedded",
    "rare": "an embedded value in fewer training rows than this counts as 'other'",
    "units": "most numbers of an embedding: min(this, round(1.6 values^0.56))",
    "embedded": "most values of an embedded column; later ones count as 'other'",
    "strays": "largest share of texts in a column of numbers; they become gaps, with a note",
    "id_rows": "least rows of a table in which columns may be ids",
    "id_range": "different whole numbers are ids where their range is below this many times the rows",
    "id_texts": "text with a larger share of different values is an id or free text",
    "task_values": "a target of at most this many whole numbers, each in 5 rows on average, is of classes",
    "classes": "most classes of a target",
    "duplicate": "a column that correlates with the target by more than this is kept, with a note",
    "sample": "most training rows, evenly spaced, from which medians and ids are found",
}
RULES = Rules()


def rules_table() -> str:
    """The thresholds with their meaning, one on each line.

    >>> print(rules_table().splitlines()[0])
    one_hot          20  a text column of at most this many values is one-hot, of more is embedded
    """
    return "\n".join(f"{f.name:<10} {getattr(RULES, f.name):>8}  {MEANING[f.name]}" for f in fields(Rules))
