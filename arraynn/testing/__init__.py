"""Trust: is a backward the derivative of its forward, does another library's autodiff agree, do the backends agree?

Slow on purpose, and for tests: `check_backward` and `check_against` raise AssertionError, `check_backends` reports.
"""

from ._check_against import check_against
from ._check_backends import Parity, ParityRow, check_backends
from ._check_backward import check_backward

__all__ = ["Parity", "ParityRow", "check_against", "check_backends", "check_backward"]
