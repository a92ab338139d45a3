"""What a block computes, in a line, read off its docstring: there is no second table of formulas."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any


def formula(block: Any) -> str:
    """What a block computes, in a line: how its docstring begins. block : a function, a layer, loss, regularizer,
    schedule or optimizer, or its class. A layer or a loss that is "the layer of `relu`" has relu's.

    >>> from arraynn import ReLU, Dense
    >>> formula(ReLU()), formula(Dense)
    ('Rectified linear unit, y = max(x, 0), elementwise.', 'Affine map of each row, y = x w + b.')
    """
    own = block if inspect.isfunction(block) or isinstance(block, type) else type(block)
    if own.__name__ == "FunctionLoss" and not isinstance(block, type):
        own = block.function
    text = own.__dict__.get("__doc__") if isinstance(own, type) else own.__doc__
    paragraph = " ".join(inspect.cleandoc(text or "").partition("\n\n")[0].split())
    named = re.match(r"The (?:layer|loss) of `(\w+)`", paragraph)
    if named:
        function = vars(sys.modules[own.__module__]).get(named[1])
        return formula(function) if function is not None else paragraph
    found = re.match(r".*?\.(?= [A-Z]|$)", paragraph)  # up to the first full stop that ends a sentence
    return found[0] if found else paragraph
