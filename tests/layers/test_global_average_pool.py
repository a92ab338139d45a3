import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 3, 2, 4), (0, 3, 2), (1, 1, 1, 2)])
def test_backward_is_the_derivative(xp, rng, shape):
    check_backward(nn.GlobalAveragePool(), xp.asarray(rng.standard_normal(shape)))


def test_it_is_the_mean_over_all_positions(xp, rng):
    x = rng.standard_normal((3, 4, 5, 2))
    np.testing.assert_allclose(
        xp.to_numpy(nn.global_average_pool(xp.asarray(x))[0]), x.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6
    )
    assert nn.GlobalAveragePool().init(rng, (4, 5, 2))[1] == (2,)


@pytest.mark.parametrize("layer", [nn.GlobalAveragePool(), nn.GlobalMaxPool()])
@pytest.mark.parametrize("shape", [(3,), (0, 3)])
def test_inputs_that_do_not_fit_are_refused(rng, layer, shape):
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, …, C\), .* at least one place .*got \(N"):
        layer.init(rng, shape)
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, …, C\)"):
        layer({}, np.zeros((2, *shape)))
