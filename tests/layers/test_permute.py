import itertools

import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


@pytest.mark.parametrize("axes", [(), (1,), (2, 1), *itertools.permutations((1, 2, 3))])
def test_backward_is_the_derivative(xp, rng, axes):
    x = rng.standard_normal((2, *(3, 4, 5)[: len(axes)]))
    layer = nn.Permute(axes)
    check_backward(layer, xp.asarray(x), limit=20)
    y = xp.to_numpy(layer({}, xp.asarray(x))[0])
    np.testing.assert_allclose(y, np.transpose(x, (0, *axes)), rtol=1e-6)
    assert layer.init(rng, x.shape[1:])[1] == y.shape[1:]


def test_inputs_that_do_not_fit_are_refused(rng):
    with pytest.raises(nn.ShapeError, match=r"axes \(2, 1\) are an order of 2 axes .*, got input \(N, 3\)"):
        nn.permute(np.zeros((2, 3)), (2, 1))
    for wrong in ((0, 1), (1, 3), (1, 1), [2, 1], 2):
        with pytest.raises(ValueError, match=r"axes must be a tuple of 1, 2, … in some order"):
            nn.Permute(wrong)
