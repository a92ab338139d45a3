import numpy as np
import pytest

import arraynn as nn
from arraynn.optimizers._moments import Moments

KIND = [nn.AdamW, nn.AMSGrad, nn.NAdam, nn.RAdam]


def test_sums_decay_and_add_gradients_and_squares_without_the_factor_1_minus_beta():
    slots = {"m": np.asarray([2.0, 0.0]), "v": np.asarray([4.0, 1.0])}
    m, v = Moments(beta1=0.5, beta2=0.75).sums(slots, np.asarray([4.0, -2.0]))
    assert m.tolist() == [5.0, -2.0]
    assert v.tolist() == [19.0, 4.75]


@pytest.mark.parametrize("kind", KIND)
@pytest.mark.parametrize("epsilon", [0.0, -1e-8, float("inf"), float("nan")])
def test_epsilon_must_be_above_0(kind, epsilon):
    with pytest.raises(ValueError, match="epsilon must be a finite number above 0"):
        kind(epsilon=epsilon)


@pytest.mark.parametrize("kind", KIND)
def test_a_weight_without_gradient_stays_where_it_is(kind):
    optimizer = kind(**({"weight_decay": 0.0} if kind is nn.AdamW else {}))
    params = {"w": np.asarray([1.0])}
    state = optimizer.init(params)
    for _ in range(10):  # RAdam's rule changes at the sixth
        params, state = optimizer.update(params, {"w": np.asarray([0.0])}, state)
    assert params["w"].tolist() == [1.0]
