import numpy as np
import pytest

import arraynn as nn


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3), (6, 2, 2)])
def test_it_follows_the_loss_contract(keeps_the_rules, rng, shape):
    keeps_the_rules(nn.mean_squared_error, rng.standard_normal(shape), rng.standard_normal(shape))


def test_the_numbers_worked_by_hand(xp):
    loss, backward = nn.mean_squared_error(xp.asarray([[1.0, 5.0], [2.0, 2.0]]), xp.asarray([[1.0, 2.0], [4.0, 2.0]]))
    assert float(loss) == (9 / 2 + 4 / 2) / 2
    assert xp.to_numpy(backward()).tolist() == [[0.0, 1.5], [-1.0, 0.0]]


def test_a_perfect_prediction_has_no_loss_and_no_gradient(xp, rng):
    y = xp.asarray(rng.standard_normal((4, 2)))
    loss, backward = nn.mean_squared_error(y, y)
    assert float(loss) == 0.0
    assert not np.any(xp.to_numpy(backward()))


def test_a_column_against_a_row_is_refused(xp):
    # it would broadcast to N × N and train on nonsense
    with pytest.raises(nn.ShapeError, match=r"targets has shape \(4,\), outputs has \(4, 1\)"):
        nn.mean_squared_error(xp.asarray(np.zeros((4, 1))), xp.asarray(np.zeros(4)))


def test_the_dataclass_is_its_block_and_predicts_values(keeps_the_rules, rng):
    keeps_the_rules(nn.MeanSquaredError(), rng.standard_normal((6, 2)), rng.standard_normal((6, 2)))
    y = rng.standard_normal((4, 2))
    assert nn.MeanSquaredError().prediction(y) is y
    assert nn.MeanSquaredError().targets == "values"
    with pytest.raises(nn.DataError, match="predicts values, not probabilities"):
        nn.MeanSquaredError().probabilities(y)
