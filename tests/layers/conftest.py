"""What the tests of layers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def twice() -> Callable[[Any], Any]:
    """A block of one array, used two times in one expression, f(f(x)) + f(x): x has its gradient from both uses."""

    def lift(block: Any) -> Any:
        def used_twice(x: Any) -> Any:
            inner, inner_backward = block(x)
            outer, outer_backward = block(inner)
            beside, beside_backward = block(x)

            def used_twice_backward(dy: Any) -> Any:
                return inner_backward(outer_backward(dy)) + beside_backward(dy)

            return outer + beside, used_twice_backward

        return used_twice

    return lift
