"""One training step of a network in full: every value forward and backward, with formulas, shapes and numbers.

`explain(model, x, y)` takes the step on copies of the weights, in one pass, with the dropout masks of the model's next
step. It changes nothing in the model. The result has `stages`, plain data, and prints as readable text.
"""

from ._formula import backward_formula, formula
from ._step import Explanation, explain

__all__ = ["Explanation", "backward_formula", "explain", "formula"]
