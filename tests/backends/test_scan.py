"""Recurrence: each library's `scan` against the loop that it stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from arraynn import tree
from arraynn.backends import for_type


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [1, 4])
def test_a_scan_is_the_loop(xp: Any, rng: np.random.Generator, reverse: bool, steps: int) -> None:
    x, m = rng.standard_normal((steps, 2, 3)), rng.standard_normal((steps, 2, 1))

    def body(carry: Any, given: Any) -> Any:
        (h, c), (x, (m, nothing)) = carry, given
        assert nothing is None
        h, c = h * m + x, c + h
        return (h, c), (h, {"c": c})

    h, c, expected = np.zeros((2, 3)), np.ones((2, 3)), {}
    for t in reversed(range(steps)) if reverse else range(steps):
        h, c = h * m[t] + x[t], c + h
        expected[t] = h, c
    start = tree.map(xp.asarray, (np.zeros((2, 3)), np.ones((2, 3))))
    scan = for_type(type(xp.asarray(x))).scan
    last, (states, rest) = scan(body, start, (xp.asarray(x), (xp.asarray(m), None)), reverse)
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(xp.to_numpy(last[0]), h, **close)
    np.testing.assert_allclose(xp.to_numpy(last[1]), c, **close)
    for t, (h, c) in expected.items():
        np.testing.assert_allclose(xp.to_numpy(states)[t], h, **close)
        np.testing.assert_allclose(xp.to_numpy(rest["c"])[t], c, **close)
