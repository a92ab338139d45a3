"""One training step of a network in full: every value forward and backward, with formulas, shapes and numbers.

`explain(model, x, y)` takes the step on copies, in one pass and with the very dropout masks that the next step will
have, and changes nothing. What it finds is plain data, `stages`, and as text what a person reads.
"""

from ._formula import backward_formula, formula
from ._step import Explanation, explain

__all__ = ["Explanation", "backward_formula", "explain", "formula"]
