"""What the tests of losses share: the rules that every loss keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from arraynn.testing import check_backward


@pytest.fixture
def keeps_the_rules(xp: Any) -> Any:
    """check(loss, outputs, targets): gradients, weights, totals, parts that add, empty and weightless batches.

    outputs, targets : NumPy arrays of six rows.
    """

    def check(loss: Any, outputs: np.ndarray, targets: np.ndarray) -> None:
        def on(rows: slice, with_weights: bool, total: Any = None) -> tuple[float, np.ndarray]:
            weight = xp.asarray(weights[rows]) if with_weights else None
            value, backward = loss(
                xp.asarray(outputs[rows]), xp.asarray(targets[rows]), sample_weight=weight, total=total
            )
            return float(value), xp.to_numpy(backward())

        weights = np.asarray([1.0, 0.5, 0.0, 2.0, 1.5, 3.0])
        everything, precise = slice(None), 1e-12 if xp.has_float64 else 1e-5
        x, t, w = xp.asarray(outputs), xp.asarray(targets), xp.asarray(weights)
        check_backward(loss, x, t)
        check_backward(loss, x, t, sample_weight=w)
        check_backward(loss, x, t, sample_weight=w, total=16.0)
        check_backward(loss, x, t, total=xp.asarray(3.0))

        # weights divide by their sum: equal ones change nothing, whole ones count rows
        plain, gradient = on(everything, False)
        ones, _ = loss(x, t, sample_weight=xp.asarray(np.full(6, 0.25)))
        assert float(ones) == pytest.approx(plain, rel=precise)
        rows = [on(slice(i, i + 1), False)[0] for i in range(6)]
        assert plain == pytest.approx(np.mean(rows), rel=precise)
        assert on(everything, True)[0] == pytest.approx(np.average(rows, weights=weights), rel=precise)
        assert not np.any(on(everything, True)[1][2])

        # what does not count may be anything: the row of weight 0 has no part in the loss, nor in its gradient
        for filled in (np.nan, -np.inf, np.inf):
            broken, wrong = outputs.copy(), targets.copy()
            broken[2] = filled
            if wrong.dtype.kind == "f":
                wrong[2] = np.nan
            value, backward = loss(xp.asarray(broken), xp.asarray(wrong), sample_weight=w)
            assert float(value) == on(everything, True)[0]
            assert np.array_equal(xp.to_numpy(backward()), on(everything, True)[1])

        # parts that know the whole's total simply add
        for with_weights, total in ((False, 6), (True, float(weights.sum()))):
            value, gradient = on(everything, with_weights)
            parts = [on(part, with_weights, total) for part in (slice(0, 1), slice(1, 4), slice(4, 4), slice(4, 6))]
            assert sum(part for part, _ in parts) == pytest.approx(value, rel=precise)
            assert np.concatenate([part for _, part in parts]) == pytest.approx(gradient, rel=precise)

        # no rows, or no weight: nothing
        assert on(slice(0, 0), False)[0] == 0.0
        assert on(slice(0, 0), True)[1].shape == (0, *outputs.shape[1:])
        for total in (None, 0, xp.asarray(0.0)):
            value, backward = loss(x, t, sample_weight=w * 0, total=total)
            assert float(value) == 0.0
            assert not np.any(xp.to_numpy(backward()))

        with pytest.raises(ValueError, match=r"sample_weight must have shape \(6,\), got \(5,\)"):
            loss(x, t, sample_weight=xp.asarray(weights[:5]))
        with pytest.raises(ValueError, match="shape"):
            loss(x, xp.asarray(targets[:5]))

    return check
