"""The contract carries more than chains: shortcuts, branches, tables, statistics and masks in one network."""

import numpy as np
import pytest

import arraynn as nn
from arraynn.backends import for_type
from arraynn.testing import check_backward

WORDS, LENGTH, CLASSES, ROWS = 11, 4, 3, 24


def network(norm):
    return nn.Sequential(
        nn.Embedding(WORDS, 5, weight_regularizer=nn.L2(1e-3)),
        nn.Flatten(),
        nn.Dense(12),
        nn.Residual(norm, nn.GELU(), nn.Dropout(0.25), nn.Dense(12, weight_regularizer=nn.L2(1e-3))),
        nn.Concatenate(nn.Identity(), nn.Sequential(nn.Dense(6), nn.SiLU())),
        nn.Residual(norm, nn.Dense(18), nn.Dropout(0.25)),
        nn.Dense(CLASSES),
    )


NORMS = [nn.BatchNorm(), nn.LayerNorm()]
LOSS = nn.SoftmaxCrossEntropy(label_smoothing=0.1, ignore_label=-1)


def data(rng):
    words, labels = rng.integers(0, WORDS, (ROWS, LENGTH)), rng.integers(0, CLASSES, ROWS)
    labels[5] = -1
    return words, labels, rng.uniform(0.5, 2.0, ROWS)


@pytest.mark.parametrize("norm", NORMS)
def test_backward_is_the_derivative(xp, rng, norm):
    words = xp.asarray(data(rng)[0][:7])
    check_backward(network(norm), words, key=nn.Key(3), limit=6)


@pytest.mark.parametrize("norm", NORMS)
def test_losses_gradients_and_statistics_are_those_of_numpy(xp, rng, norm):
    words, labels, weight = data(rng)
    host, _ = network(norm).init(rng, (LENGTH,), xp.float_dtype)
    found = []
    for put, to_numpy in ((xp.asarray, xp.to_numpy), (np.array, np.asarray)):
        w = put(weight.astype(xp.float_dtype))
        params = nn.tree.map(put, host)
        outputs, backward = network(norm)(params, put(words), nn.Key(1))
        loss, loss_backward = LOSS(outputs, put(labels), sample_weight=w)
        found.append((float(loss), nn.tree.map(to_numpy, backward(loss_backward(), need_dx=False)[1])))
    (loss, grads), (want, want_grads) = found
    precise = 1e-12 if xp.has_float64 else 1e-5
    assert loss == pytest.approx(want, rel=precise)
    for (path, g), (_, e) in zip(nn.tree.items(grads), nn.tree.items(want_grads), strict=True):
        np.testing.assert_allclose(g, e, rtol=0, atol=10 * precise * max(np.max(np.abs(e)), 0.1), err_msg=path)


@pytest.mark.parametrize("norm", NORMS)
def test_a_residual_network_trains_on_every_backend_as_on_numpy(backend, rng, norm):
    words, labels, weight = data(rng)
    host, _ = network(norm).init(rng, (LENGTH,))
    curves = []
    for here in (nn.backend(backend), nn.backend("numpy")):
        params = nn.put(host, like=here.asarray(np.zeros(1, np.float32)))
        batch = here.asarray(words), here.asarray(labels), here.asarray(weight, "float32")
        optimizer = nn.Groups(nn.EMA(nn.AdamW(0.01), 0.9), {"*.bias": nn.SGD(0.01, momentum=0.9)})
        step, state = nn.make_train_step(network(norm), LOSS, optimizer, clip_norm=5.0), optimizer.init(params)
        losses = []
        for _ in range(20):
            params, state, logs = step(params, state, batch, nn.Key(7))
            losses.append(float(here.to_numpy(logs["data_loss"])))
        curves.append((losses, nn.tree.map(here.to_numpy, params)))
    (losses, params), (want, want_params) = curves
    assert losses == pytest.approx(want, rel=1e-4)
    assert losses[:3] == pytest.approx(want[:3], rel=1e-6)
    assert losses[-1] < 0.8 * losses[0]
    if norm.couples_rows:
        got, expected = (p[3][0]["statistics"]["mean"] for p in (params, want_params))
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)
        assert np.any(got)


def gradient(net, params, rows, key, total):
    words, labels, weight = rows
    outputs, backward = net(params, words, key)
    loss, loss_backward = LOSS(outputs, labels, sample_weight=weight, total=total)
    return loss, backward(loss_backward(), need_dx=False)[1]


def test_without_coupling_splitting_the_rows_is_exact(xp, rng):
    net = network(nn.LayerNorm())
    words, labels, weight = (xp.asarray(a) for a in data(rng))
    params = nn.tree.map(xp.asarray, net.init(rng, (LENGTH,), xp.float_dtype)[0])
    total = LOSS.total(labels, weight)
    whole, grads = gradient(net, params, (words, labels, weight), nn.Key(1), total)
    cuts = [slice(0, 7), slice(7, 8), slice(8, ROWS)]
    parts = [
        gradient(net, params, (words[cut, :], labels[cut], weight[cut]), nn.Key(1).rows(cut.start), total)
        for cut in cuts
    ]
    assert not net.couples_rows
    precise = 1e-12 if xp.has_float64 else 1e-5
    assert sum(float(loss) for loss, _ in parts) == pytest.approx(float(whole), rel=precise)
    summed = nn.tree.map(lambda *g: sum(xp.to_numpy(one) for one in g), *(g for _, g in parts))
    for (path, g), (_, e) in zip(nn.tree.items(summed), nn.tree.items(grads), strict=True):
        e = xp.to_numpy(e)
        np.testing.assert_allclose(g, e, rtol=0, atol=10 * precise * max(np.max(np.abs(e)), 0.1), err_msg=path)


def test_where_rows_are_coupled_no_backend_splits_them(rng):
    words = rng.integers(0, WORDS, (200_000, LENGTH))
    batch = words, rng.integers(0, CLASSES, len(words)), None
    engine = for_type(np.ndarray)
    for norm in NORMS:
        net, seen = network(norm), []
        params, _ = net.init(rng, (LENGTH,))
        assert net.couples_rows == (norm == nn.BatchNorm())

        def gradient(params, rows, key, total, seen=seen):
            seen.append(len(rows[0]))
            return {"loss": np.zeros(())}, []

        plan = engine.plan(params, batch, net.couples_rows)
        engine.accumulate(gradient, params, batch, nn.Key(0), len(words), plan)
        assert sum(seen) == len(words)
        assert (len(seen) == 1) == net.couples_rows  # so many rows are worth splitting, where it may be done


def test_splitting_coupled_rows_by_hand_would_be_another_gradient(rng):
    net = network(nn.BatchNorm())
    words, labels, weight = data(rng)
    params, _ = net.init(rng, (LENGTH,), "float64")
    total = LOSS.total(labels, weight)
    whole, _ = gradient(net, params, (words, labels, weight), nn.Key(1), total)
    parts = [
        gradient(net, params, (words[c], labels[c], weight[c]), nn.Key(1).rows(c.start), total)[0]
        for c in (slice(0, 12), slice(12, ROWS))
    ]
    assert abs(float(sum(parts)) - float(whole)) > 1e-3


def test_a_model_fits_saves_and_loads_it(rng, tmp_path):
    words, labels, _ = data(rng)
    labels = np.abs(labels)
    optimizer = nn.Groups(nn.EMA(nn.NAdam(nn.OneCycle(0.02, steps=30)), 0.9), {"*.bias": nn.Lion(0.001)})
    model = nn.Model(network(nn.BatchNorm()), nn.SoftmaxCrossEntropy(label_smoothing=0.1), optimizer, backend="numpy")
    history = model.fit(words, labels, epochs=30, batch_size=None, verbose=0)
    assert history["loss"][-1] < history["loss"][0]
    model.save(tmp_path / "model.safetensors")
    again = nn.Model.load(tmp_path / "model.safetensors", backend="numpy")
    assert again.network == model.network
    assert again.optimizer == optimizer
    assert np.array_equal(again(words), model(words))
    assert "Residual" in model.summary()
