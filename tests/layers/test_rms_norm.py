import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arraynn as nn
from arraynn.testing import check_backward


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 5), (1, 5), (0, 5), (3, 1)])
def test_backward_is_the_derivative(xp, rng, shape):
    x, scale = xp.asarray(rng.standard_normal(shape)), xp.asarray(rng.standard_normal(shape[-1]))
    check_backward(nn.rms_norm, x, scale, limit=30)
    check_backward(nn.RMSNorm(), x, limit=30)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=4), st.sampled_from([1e-6, 1e-3]), st.integers(0, 2**16))
def test_it_agrees_with_torch(shape, epsilon, seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    x, dy, scale = rng.standard_normal(shape), rng.standard_normal(shape), rng.standard_normal(shape[-1])
    given_ = [torch.tensor(a, requires_grad=True) for a in (x, scale)]
    expected = torch.nn.functional.rms_norm(given_[0], shape[-1:], given_[1], epsilon)
    expected.backward(torch.tensor(dy))
    y, backward = nn.rms_norm(x, scale, epsilon)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    for found, tensor in zip(backward(dy), given_, strict=True):
        wanted = tensor.grad.numpy()
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10 * np.max(np.abs(dy)) + 1e-12)


def test_rows_have_a_root_mean_square_of_1_and_zeros_stay_0(xp, rng):
    x = np.concatenate((100 * rng.standard_normal((3, 50)), np.zeros((1, 50))))
    y = xp.to_numpy(nn.rms_norm(xp.asarray(x), xp.asarray(np.ones(50)))[0])
    np.testing.assert_allclose(np.sqrt(np.mean(y**2, axis=1)), [1, 1, 1, 0], rtol=1e-5)


def test_inputs_that_do_not_fit_are_refused(rng):
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, …, 5\), got \(N, 4\)"):
        nn.rms_norm(np.zeros((3, 4)), np.ones(5))
    with pytest.raises(nn.ShapeError, match=r"got \(N,\)"):
        nn.RMSNorm().init(rng, ())
    with pytest.raises(ValueError, match="epsilon must be a finite number above 0"):
        nn.RMSNorm(0.0)
