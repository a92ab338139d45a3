"""What the text of a cell means: a missing value, a number, true or false, a date.

These functions are the reference. A faster reader, such as polars, must agree with them.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta

#: texts that mean a missing value: those that R, pandas, spreadsheets and the UCI repository write
MISSING = frozenset(
    ("", "?", "-", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None", "<NA>", "NaT")
)

#: words for true and false, in small letters
FLAGS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "t": 1.0, "f": 0.0, "y": 1.0, "n": 0.0}

_NUMBER = {
    mark: re.compile(rf"[+-]?([0-9]+({re.escape(mark)}[0-9]*)?|{re.escape(mark)}[0-9]+)([eE][+-]?[0-9]+)?")
    for mark in ".,"
}
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_PADDED = re.compile(r"[+-]?0[0-9]+")
_ISO = re.compile(
    r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})"
    r"(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?)?"
)
_OTHER = re.compile(r"(\d{1,2})([./])(\d{1,2})\2(\d{4})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?)?")
_EPOCH = datetime(1970, 1, 1)


def is_missing(text: str | None) -> bool:
    """Whether the text means a missing value. Spaces around it are ignored.

    >>> [is_missing(text) for text in (None, "", " NA ", "0", "none")]
    [True, True, True, False, False]
    """
    return text is None or text.strip() in MISSING


def number(text: str, decimal: str = ".") -> float | None:
    """The number in a text: decimal digits, with or without a sign and an exponent. None for any other text.

    decimal : "." or ",". Spaces around the number are ignored. Groups of thousands, underscores and digits of other
    scripts are not numbers. "inf" and "infinity" are infinite, and so is a number too large for float64.

    >>> number("1.5e3"), number("1,5", decimal=","), number("1,5"), number("-inf")
    (1500.0, 1.5, None, -inf)
    """
    text = text.strip()
    if _NUMBER[decimal].fullmatch(text):
        return float(text.replace(",", "."))
    if _INFINITE.fullmatch(text):
        return -math.inf if text[0] == "-" else math.inf
    return None


def is_padded(text: str) -> bool:
    """Whether the text is digits with a leading zero, which a number would lose, as in a zip code.

    >>> is_padded("02139"), is_padded("0"), is_padded("0.5"), is_padded("-07")
    (True, False, False, True)
    """
    return _PADDED.fullmatch(text.strip()) is not None


def date(text: str, day_first: bool = True) -> float | None:
    """Seconds since 1970 of a date, with or without a time of day. None for any other text.

    The forms are 2024-03-31 and 2024/3/31 (ISO 8601, with T or a space before hours:minutes[:seconds] and Z or an
    offset), 31.3.2024, and, by `day_first`, 31/3/2024 or 3/31/2024. A time without an offset counts as UTC.

    >>> date("1970-01-02"), date("2.1.1970 00:01"), date("1/2/1970", day_first=False), date("31.2.2024")
    (86400.0, 86460.0, 86400.0, None)
    """
    text, offset = text.strip(), None
    if found := _ISO.fullmatch(text):
        year, _, month, day, *clock, offset = found.groups()
    elif found := _OTHER.fullmatch(text):
        day, mark, month, year, *clock = found.groups()
        if mark == "/" and not day_first:
            day, month = month, day
    else:
        return None
    try:
        hour, minute, second = (int(part or 0) for part in clock)
        moment = datetime(int(year), int(month), int(day), hour, minute, second)
        if offset and offset != "Z":
            ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
            moment += ahead if offset[0] == "-" else -ahead
    except (ValueError, OverflowError):
        return None
    return (moment - _EPOCH).total_seconds()
