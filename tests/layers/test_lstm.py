import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arraynn as nn
from arraynn import tree
from arraynn.testing import check_backward

KINDS = [nn.RNN, nn.LSTM, nn.GRU]
MASK = np.asarray([[1, 1, 0], [0, 1, 1]]) > 0
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
@pytest.mark.parametrize("options", [{}, {"return_sequences": True, "reverse": True}], ids=["last", "all, back"])
def test_backward_is_the_derivative(xp, rng, kind, options):
    layer = kind(2, weight_regularizer=nn.L2(0.1), **options)
    check_backward(layer, xp.asarray(rng.standard_normal((2, 3, 4))), limit=4)


@every_kind
@pytest.mark.parametrize("return_sequences", [False, True])
def test_backward_is_the_derivative_with_a_mask(xp, rng, kind, return_sequences):
    x, layer = xp.asarray(rng.standard_normal((2, 3, 4))), kind(2, return_sequences)
    check_backward(layer, (x, xp.asarray(MASK)), limit=4)
    if return_sequences:
        check_backward(layer, (x, xp.asarray([3, 1])), limit=4)


@pytest.mark.parametrize(("block", "gates"), [(nn.rnn, 1), (nn.lstm, 4), (nn.gru, 3)])
@pytest.mark.parametrize("reverse", [False, True])
def test_every_element_of_every_gradient_is_the_derivative(rng, block, gates, reverse):
    shapes = [(2, 4, 3), (3, 2 * gates), (2, 2 * gates), (2 * gates,), *[(2,)] * (gates == 3)]
    arrays = [rng.standard_normal(shape) for shape in shapes]
    mask = np.asarray([[1, 1, 0, 1], [1, 0, 0, 0]])
    check_backward(block, *arrays, reverse=reverse)
    check_backward(block, *arrays, reverse=reverse, mask=mask)


@every_kind
def test_one_step_one_row_and_an_empty_batch_are_fine(xp, rng, kind):
    for shape in ((2, 1, 3), (1, 2, 3), (0, 2, 3)):
        check_backward(kind(2), xp.asarray(rng.standard_normal(shape)), limit=2)


def torchs(layer, params, x, lengths, dy):
    """y, dx and the gradients by our names, of PyTorch's module with the same weights, on packed sequences."""
    torch = pytest.importorskip("torch")
    modules = {nn.RNN: torch.nn.RNN, nn.LSTM: torch.nn.LSTM, nn.GRU: torch.nn.GRU}
    module = modules[type(layer)](x.shape[2], layer.units, batch_first=True, dtype=torch.float64)
    inner = np.zeros_like(params["bias"])
    if isinstance(layer, nn.GRU):
        inner[2 * layer.units :] = params["recurrent_bias"]
    with torch.no_grad():
        for name, value in (
            ("weight_ih_l0", params["weight"].T), ("weight_hh_l0", params["recurrent_weight"].T),
            ("bias_ih_l0", params["bias"]), ("bias_hh_l0", inner),
        ):  # fmt: skip
            getattr(module, name).copy_(torch.tensor(value.copy()))
    given_ = torch.tensor(x, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(given_, torch.tensor(lengths), True, enforce_sorted=False)
    states, last = module(packed)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])
    if not layer.return_sequences:
        y = (last[0] if isinstance(layer, nn.LSTM) else last)[0]
    y.backward(torch.tensor(dy))
    grads = {
        "weight": module.weight_ih_l0.grad.numpy().T,
        "recurrent_weight": module.weight_hh_l0.grad.numpy().T,
        "bias": module.bias_ih_l0.grad.numpy(),
    }
    if isinstance(layer, nn.GRU):
        grads["recurrent_bias"] = module.bias_hh_l0.grad.numpy()[2 * layer.units :]
    return y.detach().numpy(), given_.grad.numpy(), grads


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.sampled_from(KINDS), st.tuples(*[st.integers(1, 5)] * 4), st.booleans(), st.integers(0, 2**16))
def test_it_agrees_with_torch(kind, sizes, return_sequences, seed):
    rows, steps, width, units = sizes
    rng, layer = np.random.default_rng(seed), kind(units, return_sequences)
    params = tree.map(lambda p: p + rng.standard_normal(p.shape), layer.init(rng, (steps, width), "float64")[0])
    x, lengths = rng.standard_normal((rows, steps, width)), rng.integers(1, steps + 1, rows)
    y, backward = layer(params, (x, lengths))
    dy = rng.standard_normal(y.shape)
    (dx, none), grads = backward(dy)
    expected, dx_expected, grads_expected = torchs(layer, params, x, lengths, dy)
    close = {"rtol": 1e-10, "atol": 1e-11}
    np.testing.assert_allclose(y, expected, **close)
    np.testing.assert_allclose(dx, dx_expected, **close)
    assert none is None
    for name, wanted in grads_expected.items():
        np.testing.assert_allclose(grads[name], wanted, **close)


@every_kind
def test_masked_steps_leave_the_state(xp, rng, kind):
    x, layer = rng.standard_normal((2, 5, 3)), kind(4)
    params = tree.map(xp.asarray, layer.init(rng, (5, 3), "float64")[0])
    short, _ = layer(params, xp.asarray(x[:, [0, 2, 3]]))
    x[:, [1, 4]] = 1e3
    masked, _ = layer(params, (xp.asarray(x), xp.asarray([[1, 0, 1, 1, 0]] * 2)))
    np.testing.assert_allclose(xp.to_numpy(masked), xp.to_numpy(short), rtol=1e-5, atol=1e-6)
    nothing, backward = layer(params, (xp.asarray(x), xp.asarray([0, 0])))
    assert not np.any(xp.to_numpy(nothing))
    assert not any(np.any(xp.to_numpy(g)) for g in tree.leaves(backward(nothing)[1]))


@every_kind
def test_the_last_of_all_states_is_the_final_state(rng, kind):
    x, one, every = rng.standard_normal((2, 5, 3)), kind(4), kind(4, return_sequences=True)
    params, shape = one.init(rng, (5, 3), "float64")
    assert (shape, every.init(rng, (5, 3))[1]) == ((4,), (5, 4))
    assert np.array_equal(one(params, x)[0], every(params, x)[0][:, -1])
    back = kind(4, return_sequences=True, reverse=True)
    turned, _ = every(params, x[:, ::-1])
    np.testing.assert_allclose(back(params, x)[0], turned[:, ::-1], rtol=1e-14)


def test_it_equals_the_recurrence_in_its_docstring(rng):
    x, w, u, b = (rng.standard_normal(shape) for shape in ((2, 4, 3), (3, 8), (2, 8), (8,)))
    h = c = np.zeros((2, 2))
    for t, state in enumerate(np.moveaxis(nn.lstm(x, w, u, b)[0], 1, 0)):
        i, f, g, o = np.split(x[:, t] @ w + h @ u + b, 4, axis=1)
        i, f, o = (1 / (1 + np.exp(-a)) for a in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        np.testing.assert_allclose(state, h, rtol=1e-12)


def test_the_bias_of_the_forget_gate_starts_at_1(rng):
    bias = nn.LSTM(3).init(rng, (5, 2))[0]["bias"]
    assert bias.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert bias.dtype == np.float32
    assert not np.any(nn.LSTM(3, forget_bias=0.0).init(rng, (5, 2))[0]["bias"])


def test_recurrent_weights_start_orthogonal(rng):
    u = nn.RNN(6).init(rng, (5, 2), "float64")[0]["recurrent_weight"]
    np.testing.assert_allclose(u @ u.T, np.eye(6), atol=1e-12)


@every_kind
def test_inputs_that_do_not_fit_are_refused(rng, kind):
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, T, D\) with at least one step.*got \(N, 3\)"):
        kind(2).init(rng, (3,))
    with pytest.raises(nn.ShapeError, match=r"with at least one step.*got \(N, 0, 3\)"):
        kind(2).init(rng, (0, 3))
    layer = kind(2)
    params, _ = layer.init(rng, (4, 3))
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, T, 3\) with at least one step, got \(N, 4, 5\)"):
        layer(params, np.zeros((2, 4, 5)))
    with pytest.raises(nn.ShapeError, match=r"a mask \(N, T\) or lengths \(N,\), got \(N, 4, 3\) and \(N, 3\)"):
        layer(params, (np.zeros((2, 4, 3)), np.ones((2, 3))))
    with pytest.raises(ValueError, match="units must be an integer of at least 1, got 0"):
        kind(0)
    with pytest.raises(nn.ShapeError, match=r"w must be \(D, 4 H\) and u \(H, 4 H\), got"):
        nn.lstm(np.zeros((2, 4, 3)), np.zeros((3, 6)), np.zeros((2, 6)), np.zeros(6))
