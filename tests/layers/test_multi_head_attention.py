import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arraynn as nn
from arraynn import tree
from arraynn.testing import check_backward


def inputs(form, rng):
    """x of each form that the layer takes: queries (2, 3, 4), memory (2, 5, 6)."""
    x, memory = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 5, 6))
    some = np.asarray([[1, 1, 0], [1, 0, 0]]) > 0
    return {
        "self": x,
        "self, mask": (x, some),
        "self, lengths": (x, np.asarray([2, 1])),
        "cross": (x, memory),
        "cross, mask": (x, memory, rng.integers(0, 2, (2, 5)) > 0),
        "cross, full mask": (x, memory, rng.integers(0, 2, (2, 3, 5)) > 0),
    }[form]


FORMS = ["self", "self, mask", "self, lengths", "cross", "cross, mask", "cross, full mask"]


@pytest.mark.parametrize("form", FORMS)
def test_backward_is_the_derivative(xp, rng, form):
    layer = nn.MultiHeadAttention(2, causal=form == "self", weight_regularizer=nn.L2(0.1))
    check_backward(layer, tree.map(xp.asarray, inputs(form, rng)), limit=6)


def test_units_per_head_may_be_chosen(xp, rng):
    layer = nn.MultiHeadAttention(3, key_units=2, value_units=5, dropout=0.3)
    check_backward(layer, xp.asarray(rng.standard_normal((2, 3, 4))), key=nn.Key(1), limit=6)
    params, shape = layer.init(rng, (3, 4))
    shapes = {name: p.shape for name, p in params.items()}
    assert shapes == {
        "query_weight": (4, 6), "query_bias": (6,), "key_weight": (4, 6), "key_bias": (6,),
        "value_weight": (4, 15), "value_bias": (15,), "output_weight": (15, 4), "output_bias": (4,),
    }  # fmt: skip
    assert shape == (3, 4)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.tuples(*[st.integers(1, 3)] * 5), st.booleans(), st.booleans(), st.integers(0, 2**16))
def test_it_agrees_with_torch(sizes, causal, crossed, seed):
    torch = pytest.importorskip("torch")
    rows, steps, others, heads, units = sizes
    rng, width = np.random.default_rng(seed), heads * units
    layer = nn.MultiHeadAttention(heads, causal=causal and not crossed)
    module = torch.nn.MultiheadAttention(width, heads, batch_first=True, dtype=torch.float64)
    x = rng.standard_normal((rows, steps, width))
    memory = rng.standard_normal((rows, others, width)) if crossed else x
    lengths = rng.integers(1, memory.shape[1] + 1, rows)
    there = np.arange(memory.shape[1]) < lengths[:, None]
    params, _ = layer.init(rng, ((steps, width), memory.shape[1:]), "float64")
    with torch.no_grad():
        names = "query", "key", "value"
        module.in_proj_weight.copy_(torch.tensor(np.concatenate([params[f"{n}_weight"].T for n in names])))
        params |= {f"{n}_bias": rng.standard_normal(width) for n in names}
        module.in_proj_bias.copy_(torch.tensor(np.concatenate([params[f"{n}_bias"] for n in names])))
        module.out_proj.weight.copy_(torch.tensor(params["output_weight"].T.copy()))
    q, kv = (torch.tensor(a, requires_grad=True) for a in (x, memory))
    ahead = torch.ones((steps, steps), dtype=torch.bool).triu(1) if layer.causal else None
    expected, _ = module(q, kv, kv, key_padding_mask=torch.tensor(~there), attn_mask=ahead, need_weights=False)
    y, backward = layer(params, (x, memory, lengths) if crossed else (x, lengths))
    dy = rng.standard_normal(y.shape)
    expected.backward(torch.tensor(dy))
    (dquery, *rest), grads = backward(dy)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    wanted = [q.grad.numpy(), kv.grad.numpy()] if crossed else [q.grad.numpy() + kv.grad.numpy()]
    close = {"rtol": 1e-10, "atol": 1e-11}
    for found, exact in zip([dquery, *rest][: len(wanted)], wanted, strict=True):
        np.testing.assert_allclose(found, exact, **close)
    assert rest[-1] is None
    weights = np.split(module.in_proj_weight.grad.numpy(), 3)
    for name, weight, bias in zip(names, weights, np.split(module.in_proj_bias.grad.numpy(), 3), strict=True):
        np.testing.assert_allclose(grads[f"{name}_weight"], weight.T, **close)
        np.testing.assert_allclose(grads[f"{name}_bias"], bias, **close)
    np.testing.assert_allclose(grads["output_weight"], module.out_proj.weight.grad.numpy().T, **close)


def test_padding_does_not_change_the_output(xp, rng):
    x, layer = rng.standard_normal((2, 5, 4)), nn.MultiHeadAttention(2)
    params = tree.map(xp.asarray, layer.init(rng, (5, 4), "float64")[0])
    longer = np.concatenate((x, 100 * rng.standard_normal((2, 3, 4))), axis=1)
    y, _ = layer(params, xp.asarray(x))
    padded, _ = layer(params, (xp.asarray(longer), xp.asarray([5, 5])))
    np.testing.assert_allclose(xp.to_numpy(padded)[:, :5], xp.to_numpy(y), rtol=1e-4, atol=1e-5)


def test_with_causal_masking_no_output_depends_on_a_later_step(rng):
    layer = nn.MultiHeadAttention(2, causal=True)
    params, _ = layer.init(rng, (5, 4), "float64")
    x = rng.standard_normal((1, 5, 4))
    later = x.copy()
    later[:, 3:] += 1
    np.testing.assert_allclose(layer(params, x)[0][:, :3], layer(params, later)[0][:, :3], rtol=1e-14)


def test_a_row_without_keys_gives_the_bias(rng):
    layer = nn.MultiHeadAttention(2, bias_initializer=nn.initializers.constant(0.5))
    params, _ = layer.init(rng, (3, 4), "float64")
    y, _ = layer(params, (rng.standard_normal((2, 3, 4)), np.asarray([3, 0])))
    assert np.all(y[1] == 0.5)


def test_inputs_that_do_not_fit_are_refused(rng):
    with pytest.raises(
        nn.ShapeError, match=r"3 heads do not divide the 4 numbers of each place of the input .* say key_units"
    ):
        nn.MultiHeadAttention(3).init(rng, (5, 4))
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, T, D\), alone or .*got \(N, 4\)"):
        nn.MultiHeadAttention(2).init(rng, (4,))
    layer = nn.MultiHeadAttention(2)
    params, _ = layer.init(rng, (3, 4))
    with pytest.raises(nn.ShapeError, match=r"a mask of 3 keys must be \(2,\), the lengths, .*got \(2, 5\)"):
        layer(params, (np.zeros((2, 3, 4)), np.ones((2, 5))))
    for wrong in ({"heads": 0}, {"key_units": 0}, {"value_units": 1.5}):
        with pytest.raises(ValueError, match="must be an integer of at least 1"):
            nn.MultiHeadAttention(**{"heads": 2, **wrong})
    with pytest.raises(ValueError, match="dropout is the probability of dropping"):
        nn.MultiHeadAttention(2, dropout=1.0)
