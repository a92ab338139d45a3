"""Checks for tests: a backward against finite differences, against another library's autodiff, and between backends.

They are thorough rather than fast. `check_backward` and `check_against` raise AssertionError, `check_backends` returns
a report.
"""

from ._check_against import check_against
from ._check_backends import Parity, ParityRow, check_backends
from ._check_backward import check_backward

__all__ = ["Parity", "ParityRow", "check_against", "check_backends", "check_backward"]
