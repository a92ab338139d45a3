import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import arraynn as nn
from arraynn.testing import check_backward


@pytest.mark.parametrize(("shape", "groups"), [((4, 6), 2), ((2, 3, 4), 4), ((2, 2, 3, 4), 1), ((0, 3, 4), 2)])
def test_backward_is_the_derivative(xp, rng, shape, groups):
    x = xp.asarray(rng.standard_normal(shape))
    scale, bias = (xp.asarray(rng.standard_normal(shape[-1])) for _ in range(2))
    check_backward(nn.group_norm, x, scale, bias, groups, limit=30)
    check_backward(nn.GroupNorm(groups), x, limit=30)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(*[st.integers(1, 4), st.lists(st.integers(1, 4), max_size=2), *[st.integers(1, 3)] * 2, st.integers(0, 999)])
def test_it_agrees_with_torch(rows, spatial, groups, width, seed):
    torch = pytest.importorskip("torch")
    assume(rows * width * np.prod(spatial) > 1)  # which PyTorch refuses
    rng, shape = np.random.default_rng(seed), (rows, *spatial, groups * width)
    x, dy = rng.standard_normal(shape), rng.standard_normal(shape)
    scale, bias = (rng.standard_normal(shape[-1]) for _ in range(2))
    first = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    rest = [torch.tensor(a, requires_grad=True) for a in (scale, bias)]
    expected = torch.nn.functional.group_norm(first, groups, *rest, eps=1e-3)
    expected.backward(torch.tensor(np.moveaxis(dy, -1, 1).copy()))
    y, backward = nn.group_norm(x, scale, bias, groups, 1e-3)
    np.testing.assert_allclose(y, np.moveaxis(expected.detach().numpy(), 1, -1), rtol=1e-9, atol=1e-11)
    wanted = [np.moveaxis(first.grad.numpy(), 1, -1), *(tensor.grad.numpy() for tensor in rest)]
    for found, exact in zip(backward(dy), wanted, strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-10, atol=1e-10 * np.max(np.abs(dy)) / 1e-3**0.5)


def test_one_group_is_a_layer_norm_of_the_row_and_c_groups_normalize_each_channel(xp, rng):
    x, one, zero = rng.standard_normal((3, 4, 6)), np.ones(6), np.zeros(6)
    y = xp.to_numpy(nn.group_norm(*map(xp.asarray, (x, one, zero)), 1)[0])
    flat = nn.layer_norm(x.reshape(3, 24), np.ones(24), np.zeros(24))[0]
    np.testing.assert_allclose(y.reshape(3, 24), flat, rtol=1e-4, atol=1e-5)
    y = xp.to_numpy(nn.group_norm(*map(xp.asarray, (x, one, zero)), 6)[0])
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-6)


def test_inputs_that_do_not_fit_are_refused(rng):
    with pytest.raises(nn.ShapeError, match=r"groups must divide the channels, got 4 groups of 6 channels"):
        nn.GroupNorm(4).init(rng, (5, 6))
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, …, 5\), got \(N, 4\)"):
        nn.group_norm(np.zeros((3, 4)), np.ones(5), np.zeros(5), 1)
    with pytest.raises(nn.ShapeError, match=r"got \(N,\)"):
        nn.GroupNorm(2).init(rng, ())
    with pytest.raises(ValueError, match="groups must be an integer of at least 1, got 0"):
        nn.GroupNorm(0)
    with pytest.raises(ValueError, match="epsilon must be a finite number above 0"):
        nn.GroupNorm(2, 0.0)
