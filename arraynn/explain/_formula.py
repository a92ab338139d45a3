"""One-line formulas of a block's forward and backward pass, read from its docstring, so no second table is kept."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any


def formula(block: Any) -> str:
    """The first sentence of a block's docstring, which says what the block computes.

    block : a function, a layer, loss, regularizer, schedule or optimizer, or its class. A docstring that begins
        "The layer of `relu`" stands for relu's docstring.

    >>> from arraynn import ReLU, Dense
    >>> formula(ReLU()), formula(Dense)
    ('Rectified linear unit, y = max(x, 0), elementwise.', 'Affine map of each row, y = x w + b.')
    """
    found = re.match(r".*?\.(?= [A-Z]|$)", _paragraphs(block)[0])  # up to the first full stop that ends a sentence
    return found[0] if found else _paragraphs(block)[0]


def backward_formula(block: Any) -> str:
    """The formula of a block's backward: the text after "backward(dy) ->" in its docstring.

    A user's own block may have no such text. The result is then "backward of: " and the block's formula.

    >>> from arraynn import ReLU, Dense
    >>> backward_formula(ReLU()), backward_formula(Dense)
    ('dx = dy where x > 0, else 0', 'dx = dy wᵀ, dw = xᵀ dy, db = Σ_i dy_i')
    """
    for paragraph in _paragraphs(block):
        found = re.search(r"backward\([^)]*\) -> (.*?)(?:; dx is None|\.(?= [A-Z]|$))", paragraph)
        if found:
            return found[1]
    return f"backward of: {formula(block)}"


def _paragraphs(block: Any) -> list[str]:
    """The paragraphs of the docstring that holds the formula, each joined to one line. There is at least one."""
    own = block if inspect.isfunction(block) or isinstance(block, type) else type(block)
    if own.__name__ == "FunctionLoss" and not isinstance(block, type):
        own = block.function
    text = own.__dict__.get("__doc__") if isinstance(own, type) else own.__doc__
    paragraphs = [" ".join(part.split()) for part in inspect.cleandoc(text or "").split("\n\n")]
    named = re.match(r"The (?:layer|loss) of `(\w+)`", paragraphs[0])
    function = vars(sys.modules[own.__module__]).get(named[1]) if named else None
    return paragraphs if function is None else _paragraphs(function)
