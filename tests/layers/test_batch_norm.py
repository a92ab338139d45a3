import numpy as np
import pytest

import arraynn as nn
from arraynn.distributed import Group, Parts
from arraynn.testing import check_backward


def numbers(rng, shape):
    """x, scale, bias, mean, variance."""
    d = shape[-1]
    return rng.standard_normal(shape) + 2, *(rng.standard_normal(d) for _ in range(3)), rng.uniform(0.5, 2, d)


@pytest.mark.parametrize("shape", [(6, 3), (2, 4, 3), (1, 3), (0, 3)])
def test_backward_is_the_derivative(xp, rng, shape):
    arrays = [xp.asarray(a) for a in numbers(rng, shape)]

    def training(x, scale, bias):
        y, backward = nn.batch_norm(x, scale, bias, *arrays[3:], training=True)
        return y, lambda dy, need_dx=True: backward(dy, need_dx)[:3]

    check_backward(nn.BatchNorm(), arrays[0])
    if shape[0] > 1:  # of one row y is the bias, whatever x; rounding is all that differences see
        check_backward(nn.BatchNorm(), arrays[0], key=nn.Key(0))
        check_backward(training, *arrays[:3])
    else:
        assert np.array_equal(*(xp.to_numpy(a) for a in (training(*arrays[:3])[0], arrays[2] + 0 * arrays[0])))


def test_masked_rows_do_not_count(xp, rng):
    x, scale, bias, mean, variance = numbers(rng, (6, 3))
    keep = np.asarray([True, False, True, True, False, True])
    a = [xp.asarray(v) for v in (x, scale, bias, mean, variance)]
    dy = rng.standard_normal((6, 3)) * keep[:, None]
    y, backward = nn.batch_norm(*a, training=True, mask=xp.asarray(keep))
    alone, alone_backward = nn.batch_norm(xp.asarray(x[keep]), *a[1:], training=True)
    np.testing.assert_allclose(xp.to_numpy(y)[keep], xp.to_numpy(alone), rtol=1e-5, atol=1e-6)
    found, expected = backward(xp.asarray(dy)), alone_backward(xp.asarray(dy[keep]))
    np.testing.assert_allclose(xp.to_numpy(found[0])[keep], xp.to_numpy(expected[0]), rtol=1e-4, atol=1e-5)
    assert not np.any(xp.to_numpy(found[0])[~keep])
    for one, other in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_allclose(xp.to_numpy(one), xp.to_numpy(other), rtol=1e-5, atol=1e-6)


def test_with_a_mask_backward_is_the_derivative(xp, rng):
    x = xp.asarray(rng.standard_normal((5, 3)))
    mask = xp.asarray(np.asarray([1, 0, 1, 1, 0]))
    check_backward(nn.BatchNorm(), (x, mask), key=nn.Key(0))
    check_backward(nn.BatchNorm(), (x, mask))
    grid = xp.asarray(rng.standard_normal((5, 2, 3)))
    check_backward(nn.BatchNorm(), (grid, mask), key=nn.Key(0))


def test_without_counting_rows_no_statistics_are_learnt(xp, rng):
    a = [xp.asarray(v) for v in numbers(rng, (4, 3))]
    empty = [xp.asarray(v) for v in numbers(rng, (0, 3))]
    cases = [
        nn.batch_norm(*a, training=True, mask=xp.asarray(np.zeros(4, bool))),
        nn.batch_norm(empty[0], *a[1:], training=True),
    ]
    for y, backward in cases:
        found = backward(y)
        assert all(np.all(np.isfinite(xp.to_numpy(g))) for g in (y, *found))
        assert np.array_equal(xp.to_numpy(found[3]), xp.to_numpy(a[3]))
        assert np.array_equal(xp.to_numpy(found[4]), xp.to_numpy(a[4]))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(8, 3), (4, 5, 3)])
def test_it_agrees_with_torch_statistics_too(rng, training, shape):
    torch = pytest.importorskip("torch")
    x, scale, bias, mean, variance = numbers(rng, shape)
    dy = rng.standard_normal(shape)
    given = [torch.tensor(a, requires_grad=True) for a in (x, scale, bias)]
    running = torch.tensor(mean), torch.tensor(variance)
    moved = torch.movedim(given[0], -1, 1)  # torch has channels second
    expected = torch.nn.functional.batch_norm(moved, *running, given[1], given[2], training, 0.2, 1e-5)
    expected = torch.movedim(expected, 1, -1)
    expected.backward(torch.tensor(dy))
    y, backward = nn.batch_norm(x, scale, bias, mean, variance, training=training, momentum=0.8)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    for found, e in zip(backward(dy), [*(g.grad for g in given), *running], strict=True):
        np.testing.assert_allclose(found, e.numpy(), rtol=1e-9, atol=1e-12)


def test_with_a_key_it_trains_and_without_one_it_infers(xp, rng):
    layer = nn.BatchNorm(momentum=0.75)
    x = xp.asarray([[1.0, 10.0], [3.0, 30.0]], np.float32)
    params = nn.put(layer.init(rng, (2,))[0], like=x)
    y, backward = layer(params, x, nn.Key(0))
    _, grads = backward(y)
    assert np.max(np.abs(xp.to_numpy(y))) == pytest.approx(1.0, rel=1e-4)
    assert xp.to_numpy(grads["statistics"]["mean"]) == pytest.approx([0.25 * 2, 0.25 * 20])
    assert xp.to_numpy(grads["statistics"]["variance"]) == pytest.approx([0.75 + 0.25 * 2, 0.75 + 0.25 * 200])
    assert xp.to_numpy(params["statistics"]["mean"]).tolist() == [0.0, 0.0]  # the argument is as it was
    y, backward = layer(params, x)
    assert xp.to_numpy(y) == pytest.approx(xp.to_numpy(x), rel=1e-4)
    assert xp.to_numpy(backward(y)[1]["statistics"]["variance"]).tolist() == [1.0, 1.0]


def test_the_optimizer_takes_the_new_statistics(rng):
    layer, optimizer = nn.BatchNorm(), nn.SGD(0.0, momentum=0.9)
    params, _ = layer.init(rng, (3,), "float64")
    x = 5 + 2 * rng.standard_normal((200, 3))
    state = optimizer.init(params)
    for _ in range(100):
        y, backward = layer(params, x, nn.Key(0))
        params, state = optimizer.update(params, backward(y)[1], state)
    np.testing.assert_allclose(params["statistics"]["mean"], x.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(params["statistics"]["variance"], x.var(axis=0, ddof=1), rtol=1e-3)
    np.testing.assert_allclose(layer(params, x)[0], layer(params, x, nn.Key(0))[0], rtol=0.01, atol=0.01)
    assert "statistics" not in state["slots"]


def test_the_variance_is_precise_at_a_large_mean(xp, rng):
    x = xp.asarray(1000 + 0.1 * rng.standard_normal((500, 1)), np.float32)
    one, zero = xp.asarray([1.0], np.float32), xp.asarray([0.0], np.float32)
    y = xp.to_numpy(nn.batch_norm(x, one, zero, zero, one, training=True, epsilon=1e-12)[0])
    assert np.std(y) == pytest.approx(1.0, rel=1e-3)


def test_inputs_that_do_not_fit_are_refused(rng):
    layer = nn.BatchNorm()
    params, _ = layer.init(rng, (5,))
    with pytest.raises(nn.ShapeError, match=r"BatchNorm 'layers.0': expected input \(N, …, 5\), got \(N, 4\)"):
        nn.Sequential(layer)([params], np.zeros((3, 4), np.float32))
    with pytest.raises(nn.ShapeError, match=r"mask must have one element a row, \(3,\), got \(3, 1\)"):
        layer(params, (np.zeros((3, 5), np.float32), np.ones((3, 1))), nn.Key(0))
    with pytest.raises(nn.ShapeError, match=r"got \(N,\)"):
        layer.init(rng, ())


@pytest.mark.parametrize("wrong", [{"momentum": 1.0}, {"momentum": -0.1}, {"epsilon": 0.0}, {"epsilon": float("inf")}])
def test_hyperparameters_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        nn.BatchNorm(**wrong)


def test_it_couples_rows():
    assert nn.BatchNorm().couples_rows


@pytest.mark.parametrize("rows", [501, 512, 4099])
def test_a_column_of_equal_numbers_is_normalized_to_0(rows):
    """float32 sums over rows left up to 0.71 of σ's least value, √ε."""
    x = np.broadcast_to(np.asarray([1234.567, -9876.5, 1e6 + 0.3, 3.0], np.float32), (rows, 4)).copy()
    y, backward = nn.batch_norm(x, *arrays_for(4), training=True)
    assert np.abs(y).max() < 1e-5
    assert backward(x, need_dx=False)[4] == pytest.approx(0.9 * np.ones(4), abs=1e-6)


def test_the_mean_of_a_column_far_from_0_keeps_its_digits():
    """Pressures of 101325 ± 50 came out 1.17 too small or too large."""
    x = (101325 + 50 * np.random.default_rng(0).standard_normal((70_000, 3))).astype(np.float32)
    y, backward = nn.batch_norm(x, *arrays_for(3), training=True, momentum=0.0)
    exact = x.astype(np.float64)
    expected = (exact - exact.mean(axis=0)) / exact.std(axis=0)
    assert np.abs(y - expected).max() < 1e-5
    mean, variance = backward(y, need_dx=False)[3:]
    assert np.abs(mean - exact.mean(axis=0)).max() < 0.005  # half an ulp
    np.testing.assert_allclose(variance, exact.var(axis=0, ddof=1), rtol=1e-4)


def arrays_for(d):
    one, zero = np.ones(d, np.float32), np.zeros(d, np.float32)
    return one, zero, zero, one


@pytest.mark.parametrize("masked", [False, True])
def test_a_batch_of_one_row_leaves_the_running_statistics(xp, masked):
    """Its variance is 0: each epoch's leftover row made the running variance 10 % smaller."""
    x, mask = np.asarray([[3.0, 5.0]]), None
    if masked:
        x, mask = np.asarray([[3.0, 5.0], [8.0, 9.0]]), xp.asarray(np.asarray([True, False]))
    mean, variance = np.asarray([1.0, 2.0]), np.asarray([4.0, 9.0])
    given = [xp.asarray(a) for a in (x, np.ones(2), np.zeros(2), mean, variance)]
    y, backward = nn.batch_norm(*given, training=True, mask=mask)
    assert not np.any(xp.to_numpy(y)[0])
    new = backward(y, need_dx=False)[3:]
    assert np.array_equal(xp.to_numpy(new[0]), mean)
    assert np.array_equal(xp.to_numpy(new[1]), variance)


def test_one_row_of_many_positions_has_a_variance(xp):
    x = np.arange(8.0).reshape(1, 4, 2)
    given = [xp.asarray(a) for a in (x, np.ones(2), np.zeros(2), np.zeros(2), np.ones(2))]
    _, backward = nn.batch_norm(*given, training=True, momentum=0.0)
    np.testing.assert_allclose(xp.to_numpy(backward(given[0])[4]), x[0].var(axis=0, ddof=1), rtol=1e-6)


def test_a_leftover_row_does_not_shrink_the_running_variance():
    x = np.random.default_rng(0).standard_normal((101, 3)) * 5
    model = nn.Model(nn.Sequential(nn.BatchNorm(), nn.Dense(2)), backend="numpy")
    model.fit(x, (x[:, 0] > 0).astype(int), epochs=50, batch_size=100, verbose=0)
    assert model.params[0]["statistics"]["variance"] == pytest.approx(x.var(axis=0), rel=0.1)


@pytest.mark.parametrize(("rows", "batch_size"), [(20, 1), (1, 32), (1, None)])
def test_batches_of_one_row_are_refused(rows, batch_size):
    model = nn.Model(nn.Sequential(nn.Dense(4), nn.BatchNorm(), nn.Dense(2)), backend="numpy")
    x, y = np.ones((rows, 3)), np.zeros(rows, int)
    with pytest.raises(nn.DataError, match=r"BatchNorm 'layers.1'.* at least 2"):
        model.fit(x, y, batch_size=batch_size, verbose=0)
    assert model.params is None


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_parts_of_a_batch_add_up_to_the_whole(masked, offset):
    """Also far from 0, where sums of squares would have lost all digits, and with a part that has no rows."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(9, 3)) + offset).astype("float32")
    dy = rng.normal(size=(9, 3)).astype("float32")
    mask = np.asarray([1, 1, 0, 1, 0, 1, 1, 1, 1], "float32") if masked else None
    scale, bias, mean, variance = (rng.uniform(0.5, 1.5, size=3).astype("float32") for _ in range(4))
    statistics = scale, bias, mean, variance
    y, backward = nn.batch_norm(x, *statistics, training=True, mask=mask)
    whole = [y, *backward(dy)]
    edges = [0, 4, 4, 6, 9]
    parts = Parts(Group(), 4, range(4))

    def one(part):
        rows = slice(edges[part], edges[part + 1])
        own = None if mask is None else mask[rows]
        y, backward = nn.batch_norm(x[rows], *statistics, training=True, mask=own, parts=parts)
        return [y, *backward(dy[rows])]

    found = parts.run(one)
    y, dx = (np.concatenate([part[i] for part in found]) for i in (0, 1))
    dscale, dbias = (sum(part[i] for part in found) for i in (2, 3))
    for got, expected in zip((y, dx, dscale, dbias, *found[1][4:]), whole, strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-5)
    assert all(part[i].tobytes() == found[0][i].tobytes() for part in found for i in (4, 5))
