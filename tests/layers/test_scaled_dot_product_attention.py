import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arraynn as nn
from arraynn.testing import check_backward

SHAPES = [((2, 3, 4), (2, 5, 4), (2, 5, 3)), ((2, 2, 3, 1), (2, 2, 3, 1), (2, 2, 3, 2)), ((3, 2), (4, 2), (4, 1))]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("causal", [False, True])
def test_backward_is_the_derivative(xp, rng, shapes, causal):
    q, k, v = (xp.asarray(rng.standard_normal(shape)) for shape in shapes)
    mask = rng.integers(0, 2, (shapes[0][-2], shapes[1][-2])) > 0
    check_backward(nn.scaled_dot_product_attention, q, k, v, causal=causal, limit=20)
    check_backward(nn.scaled_dot_product_attention, q, k, v, causal=causal, mask=xp.asarray(mask), limit=20)


@pytest.mark.parametrize("shapes", [((0, 3, 4), (0, 5, 4), (0, 5, 3)), ((2, 0, 4), (2, 5, 4), (2, 5, 3))])
def test_an_empty_batch_and_no_queries_are_fine(xp, rng, shapes):
    check_backward(nn.scaled_dot_product_attention, *(xp.asarray(rng.standard_normal(shape)) for shape in shapes))


def test_no_keys_give_0(xp):
    y, backward = nn.scaled_dot_product_attention(*(xp.asarray(np.ones(s)) for s in ((2, 3, 4), (2, 0, 4), (2, 0, 5))))
    assert xp.to_numpy(y).tolist() == np.zeros((2, 3, 5)).tolist()
    assert not np.any(xp.to_numpy(backward(y)[0]))


def reference(q, k, v, mask, causal):
    """Row by row, from the formula."""
    y = np.zeros((*q.shape[:-1], v.shape[-1]))
    mask = np.broadcast_to(True if mask is None else mask, (*q.shape[:-1], k.shape[-2]))
    for place in np.ndindex(q.shape[:-1]):
        *outer, t = place
        keys = [s for s in range(k.shape[-2]) if mask[(*place, s)] and not (causal and s > t)]
        if keys:
            scores = np.asarray([k[(*outer, s)] @ q[place] / math.sqrt(q.shape[-1]) for s in keys])
            weights = np.exp(scores - scores.max())
            y[place] = sum(w * v[(*outer, s)] for w, s in zip(weights / weights.sum(), keys, strict=True))
    return y


@pytest.mark.parametrize("causal", [False, True])
def test_it_equals_the_weighted_mean_in_its_docstring(rng, causal):
    for shapes in SHAPES:
        q, k, v = (rng.standard_normal(shape) for shape in shapes)
        mask = rng.integers(0, 2, (*q.shape[:-1], k.shape[-2]))
        for one in (None, mask, mask[..., :1, :]):
            y, _ = nn.scaled_dot_product_attention(q, k, v, mask=one, causal=causal)
            np.testing.assert_allclose(y, reference(q, k, v, one, causal), rtol=1e-12, atol=1e-13)


@st.composite
def attentions(draw):
    some = st.integers(1, 4)
    outer = draw(st.lists(some, max_size=2))
    queries, keys, width, out = (draw(some) for _ in range(4))
    shapes = (*outer, queries, width), (*outer, keys, width), (*outer, keys, out)
    return shapes, draw(st.booleans()), draw(st.booleans()), draw(st.integers(0, 2**16))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(attentions())
def test_it_agrees_with_torch(case):
    torch = pytest.importorskip("torch")
    shapes, masked, causal, seed = case
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    allowed = np.ones((*shapes[0][:-1], shapes[1][-2]), bool)
    mask = None
    if masked:  # at least one key for each query: torch gives nan where there is none
        mask = rng.integers(0, 2, allowed.shape) > 0
        mask[..., 0] = True
        allowed &= mask
    allowed &= np.tri(*allowed.shape[-2:], dtype=bool) if causal else True
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    expected = torch.nn.functional.scaled_dot_product_attention(*tensors, attn_mask=torch.tensor(allowed))
    y, backward = nn.scaled_dot_product_attention(*arrays, mask=mask, causal=causal)
    dy = rng.standard_normal(y.shape)
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    for found, tensor in zip(backward(dy), tensors, strict=True):
        np.testing.assert_allclose(found, tensor.grad.numpy(), rtol=1e-10, atol=1e-11)


def test_a_fully_masked_query_gives_0_and_has_no_gradient(xp, rng):
    q, k, v = (xp.asarray(rng.standard_normal((1, 2, 3))) for _ in range(3))
    y, backward = nn.scaled_dot_product_attention(q, k, v, mask=xp.asarray([[True, True], [False, False]]))
    dq, dk, dv = (xp.to_numpy(d) for d in backward(xp.asarray(np.ones((1, 2, 3)))))
    y = xp.to_numpy(y)
    assert not np.any(y[0, 1])
    assert np.all(y[0, 0] != 0)
    assert not np.any(dq[0, 1])
    assert np.all(np.isfinite([dq, dk, dv]))
    np.testing.assert_allclose(dv.sum(axis=1), 1, rtol=1e-6)  # the one query's weights


def test_masked_keys_do_not_change_the_output(xp, rng):
    q, k, v = (rng.standard_normal((2, 3, 4)) for _ in range(3))
    mask = xp.asarray([[True, True, False]])
    one, _ = nn.scaled_dot_product_attention(*map(xp.asarray, (q, k, v)), mask=mask)
    k[:, 2], v[:, 2] = 1e10, -1e10
    other, _ = nn.scaled_dot_product_attention(*map(xp.asarray, (q, k, v)), mask=mask)
    assert np.array_equal(xp.to_numpy(one), xp.to_numpy(other))


def test_large_scores_do_not_overflow(xp):
    q = xp.asarray([[1e3], [-1e3]])
    y, backward = nn.scaled_dot_product_attention(q, q, xp.asarray([[1.0], [2.0]]))
    assert xp.to_numpy(y).ravel().tolist() == [1.0, 2.0]
    assert all(np.all(np.isfinite(xp.to_numpy(d))) for d in backward(y))


def test_dropout_drops_attention_weights_and_backward_uses_the_same_mask(xp, rng):
    q, k, v = (xp.asarray(rng.standard_normal((2, 3, 4))) for _ in range(3))

    def dropped(q, k, v):
        return nn.scaled_dot_product_attention(q, k, v, dropout=0.4, key=nn.Key(3))

    check_backward(dropped, q, k, v, limit=20)
    y, one = xp.to_numpy(dropped(q, k, v)[0]), xp.asarray(np.ones((2, 3, 4)))
    assert not np.allclose(y, xp.to_numpy(nn.scaled_dot_product_attention(q, k, v)[0]))
    assert not np.allclose(xp.to_numpy(dropped(q, k, one)[0]), 1)  # weights no longer sum to 1
    many = [nn.scaled_dot_product_attention(q, k, one, dropout=0.4, key=nn.Key(i))[0] for i in range(200)]
    assert np.mean([xp.to_numpy(y) for y in many]) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    ("shapes", "mask", "said"),
    [
        (((2, 3, 4), (2, 5, 3), (2, 5, 4)), None, r"q \(…, T, D\).* got \(2, 3, 4\), \(2, 5, 3\) and \(2, 5, 4\)"),
        (((2, 3, 4), (2, 5, 4), (2, 4, 4)), None, r"with the same leading axes"),
        (((2, 3, 4), (1, 5, 4), (1, 5, 4)), None, r"with the same leading axes"),
        (((4,), (5, 4), (5, 4)), None, r"with the same leading axes"),
        (((2, 3, 4), (2, 5, 4), (2, 5, 4)), (3, 4), r"mask must broadcast to .* \(2, 3, 5\), got \(3, 4\)"),
        (((2, 3, 4), (2, 5, 4), (2, 5, 4)), (1, 2, 3, 5), r"mask must broadcast to .* got \(1, 2, 3, 5\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(shapes, mask, said):
    with pytest.raises(nn.ShapeError, match=said):
        nn.scaled_dot_product_attention(*map(np.zeros, shapes), mask=None if mask is None else np.ones(mask))
