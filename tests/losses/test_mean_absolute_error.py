import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3)])
def test_it_follows_the_loss_contract(keeps_the_rules, rng, shape):
    keeps_the_rules(nn.mean_absolute_error, rng.standard_normal(shape), rng.standard_normal(shape) * 2)


def test_the_gradient_pushes_an_output_down_where_it_is_too_large(xp):
    # the book's code has the opposite sign
    loss, backward = nn.mean_absolute_error(xp.asarray([[3.0, 0.0]]), xp.asarray([[1.0, 4.0]]))
    assert float(loss) == 3.0
    assert xp.to_numpy(backward()).tolist() == [[0.5, -0.5]]


def test_the_slope_at_the_kink_is_zero(xp):
    loss, backward = nn.mean_absolute_error(xp.asarray([1.0, 4.0]), xp.asarray([1.0, 2.0]))
    assert float(loss) == 1.0
    assert xp.to_numpy(backward()).tolist() == [0.0, 0.5]


def test_a_column_against_a_row_is_refused(xp):
    with pytest.raises(nn.ShapeError, match=r"targets has shape \(4,\), outputs has \(4, 1\)"):
        nn.mean_absolute_error(xp.asarray(np.zeros((4, 1))), xp.asarray(np.zeros(4)))


def test_the_dataclass_is_its_block_and_predicts_values(xp, rng):
    y, t = rng.standard_normal((2, 4, 2))
    check_backward(nn.MeanAbsoluteError(), xp.asarray(y), xp.asarray(t))
    assert nn.MeanAbsoluteError().prediction(y) is y
    assert nn.MeanAbsoluteError().targets == "values"
