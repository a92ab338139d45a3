"""Checks the ranges of hyperparameters; a block and the dataclass of its hyperparameters share each rule.

Every check returns the value as a Python number. It raises TypeError if it is not a number, ValueError if it is out of
range. An array is returned unchecked: reading its value would wait for a device, or fail while a step is traced.
"""

from __future__ import annotations

import math
import sys
from typing import Any

from ._hyperparameters import PLAIN, held_number, is_integer, python_number

BELOW_ONE = math.nextafter(1.0, 0.0)  #: the largest float64 below 1
ABOVE_ZERO = math.nextafter(0.0, 1.0)  #: the smallest float64 above 0
FINITE = sys.float_info.max  #: the largest finite float64


def within(name: str, value: Any, low: float, high: float, allowed: str) -> Any:
    """Return value as a Python number if it lies in [low, high]. allowed : the rule as text, which follows the name.

    >>> within("slope", 2, 0, 1, "must lie in [0, 1]")
    Traceback (most recent call last):
    ValueError: slope must lie in [0, 1], got 2
    """
    value = python_number(value)
    if type(value) in PLAIN:
        if low <= value <= high:
            return value
        raise ValueError(f"{name} {allowed}, got {value!r}")
    if hasattr(value, "shape"):
        return value
    raise TypeError(f"{name} {allowed}, got {value!r:.80}{meant(value, low, high)}")


def meant(value: Any, low: float, high: float = FINITE) -> str:
    """The end of an error message, "; give 3", if a text or a float stands for a number in [low, high]; else "".

    >>> meant("3", 1), meant(3.0, 1), meant("0.5", 0), meant("0", 1), meant("x", 0), meant(0.5, 0)
    ('; give 3', '; give 3', '; give 0.5', '', '', '')
    """
    try:
        number = float(value) if isinstance(value, (str, float)) else math.nan
    except ValueError:
        return ""
    if not low <= number <= high or not (isinstance(value, str) or number.is_integer()):
        return ""
    return f"; give {int(number) if number.is_integer() else number}"


def above_zero(name: str, value: Any) -> Any:
    """Check for a finite number above 0."""
    return within(name, value, ABOVE_ZERO, FINITE, "must be a finite number above 0")


def at_least_zero(name: str, value: Any) -> Any:
    """Check for a finite number of at least 0."""
    return within(name, value, 0, FINITE, "must be a finite number of at least 0")


def dropping(name: str, value: Any) -> Any:
    """Check a dropout rate: it must lie in [0, 1), as at 1 nothing would remain to be scaled."""
    return within(name, value, 0, BELOW_ONE, "is the probability of dropping and must lie in [0, 1)")


def keeping(name: str, value: Any) -> Any:
    """Check the momentum of running statistics: it must lie in [0, 1), as at 1 they would never change."""
    return within(name, value, 0, BELOW_ONE, "is what running statistics keep and must lie in [0, 1)")


def at_least_one(name: str, value: Any, unit: str = "") -> int:
    """Check for an integer of at least 1, not True. unit : what is counted, such as " epoch"."""
    value = held_number(value)
    if not is_integer(value, 1):
        raise ValueError(f"{name} must be an integer of at least 1{unit}, got {value!r:.80}{meant(value, 1)}")
    return int(value)


def flag(name: str, value: Any, remedy: str = "") -> bool:
    """Check for True or False, not 0, 1, "yes" or None. remedy : text added to the error."""
    value = held_number(value)
    if type(value) is not bool:
        raise TypeError(f"{name} must be True or False, got {value!r:.80}{remedy}")
    return value
