import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn.testing import check_backward


@pytest.mark.parametrize("layer", [nn.RNN(2), nn.GRU(2, return_sequences=True)], ids=["last", "all"])
@pytest.mark.parametrize("masked", [False, True])
def test_backward_is_the_derivative(xp, rng, layer, masked):
    x = xp.asarray(rng.standard_normal((2, 3, 2)))
    check_backward(nn.Bidirectional(layer), (x, xp.asarray([3, 1])) if masked else x, limit=2)


def test_the_penalty_is_that_of_both_directions(rng):
    check_backward(nn.Bidirectional(nn.LSTM(2, weight_regularizer=nn.L2(0.1))), rng.standard_normal((2, 3, 2)))


@pytest.mark.parametrize("return_sequences", [False, True])
def test_it_agrees_with_torch_on_padded_sequences(rng, return_sequences):
    torch = pytest.importorskip("torch")
    layer = nn.Bidirectional(nn.LSTM(3, return_sequences))
    params, shape = layer.init(rng, (5, 2), "float64")
    assert shape == ((5, 6) if return_sequences else (6,))
    module = torch.nn.LSTM(2, 3, batch_first=True, bidirectional=True, dtype=torch.float64)
    with torch.no_grad():
        for own, end in ((params["forward"], ""), (params["backward"], "_reverse")):
            getattr(module, f"weight_ih_l0{end}").copy_(torch.tensor(own["weight"].T.copy()))
            getattr(module, f"weight_hh_l0{end}").copy_(torch.tensor(own["recurrent_weight"].T.copy()))
            getattr(module, f"bias_ih_l0{end}").copy_(torch.tensor(own["bias"]))
            getattr(module, f"bias_hh_l0{end}").zero_()
    x, lengths = rng.standard_normal((4, 5, 2)), np.asarray([5, 2, 1, 4])
    given = torch.tensor(x, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(given, torch.tensor(lengths), True, enforce_sorted=False)
    states, (last, _) = module(packed)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(states, batch_first=True)
    expected = expected if return_sequences else torch.cat((last[0], last[1]), dim=1)
    y, backward = layer(params, (x, lengths))
    dy = rng.standard_normal(y.shape)
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    (dx, _), grads = backward(dy)
    np.testing.assert_allclose(dx, given.grad.numpy(), rtol=1e-10, atol=1e-12)
    for own, end in ((grads["forward"], ""), (grads["backward"], "_reverse")):
        wanted = getattr(module, f"weight_hh_l0{end}").grad.numpy().T
        np.testing.assert_allclose(own["recurrent_weight"], wanted, rtol=1e-10, atol=1e-12)


def test_each_direction_has_its_own_weights(rng):
    params, _ = nn.Bidirectional(nn.GRU(2)).init(rng, (4, 3))
    assert set(params) == {"forward", "backward"}
    assert not np.array_equal(*(params[name]["weight"] for name in params))
    assert len(tree.leaves(params)) == 8


def test_a_layer_that_is_not_recurrent_is_refused():
    with pytest.raises(TypeError, match=r"Bidirectional takes a recurrent layer, such as LSTM\(64\), got Dense"):
        nn.Bidirectional(nn.Dense(3))
