"""The checks that the other tests trust: each must find what it is there to find, and say where."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import arraynn as nn
from arraynn.layers import Layer
from arraynn.testing import check_against, check_backends, check_backward


def told(block, *args, **kwargs):
    """What check_backward says of a block that is wrong."""
    with pytest.raises(AssertionError) as raised:
        check_backward(block, *args, **kwargs)
    return str(raised.value)


def halved(x):
    """A right block of one array."""
    return 0.5 * x * x, lambda dy: dy * x


# ---------------------------------------------------------------- the seed's and the book's gradient bugs


def test_relu_masked_by_dy_is_found(xp, rng):
    # row 17 of the seed, and a mistake that everybody makes once
    def relu(x):
        y, _ = nn.relu(x)
        return y, lambda dy: dy * xp.namespace.astype(dy > 0, dy.dtype)

    message = told(relu, xp.asarray(rng.standard_normal((4, 3))))
    assert message.startswith("relu: dx is wrong, at ")
    assert "is a mask made from the wrong array?" in message


def test_relu_masked_by_dy_is_found_inside_a_network(rng):
    @dataclass(frozen=True)
    class Masked(Layer):
        def __call__(self, params, x, key=None):
            y, _ = nn.relu(x)
            return y, lambda dy, need_dx=True: (dy * (dy > 0) if need_dx else None, {})

    network = nn.Sequential(nn.Dense(3), Masked(), nn.Dense(3))
    message = told(network, rng.standard_normal((20, 2)))
    assert "the gradient of '0.weight' is wrong" in message
    assert "the gradient of '2.weight', the gradient of '2.bias': right" in message


def test_an_l2_penalty_coded_as_an_l1_is_found(rng):
    # row 15 of the seed: the number reported is λ Σ|w|, the gradient 2 λ w
    @dataclass(frozen=True)
    class L2:
        strength: float

        def __call__(self, w):
            return self.strength * np.sum(np.abs(w)), lambda dpenalty=1.0: w * (2 * self.strength * dpenalty)

    w = np.asarray([[3.0, -0.25], [1.0, 2.0]])
    message = told(L2(0.5), w)
    assert message.startswith("L2: dw is wrong, at 4 of 4 elements, most at [0, 0]")
    message = told(nn.Dense(2, weight_regularizer=L2(0.5)), {"weight": w, "bias": np.ones(2)}, np.ones((3, 2)))
    assert message.startswith("Dense.penalty: the gradient of 'weight' is wrong, at 4 of 4 elements, most at [0, 0]")
    assert "('weight'" not in message
    assert "weight[0, 0] = 3" in message


def test_a_mean_absolute_error_with_the_opposite_sign_is_found(xp, rng):
    # the book's own code
    def mean_absolute_error(outputs, targets):
        loss, backward = nn.mean_absolute_error(outputs, targets)
        return loss, lambda dloss=1.0: -backward(dloss)

    message = told(mean_absolute_error, *(xp.asarray(rng.standard_normal((4, 3))) for _ in range(2)))
    assert message.startswith("mean_absolute_error: doutputs is wrong, at 12 of 12 elements")
    assert "it has the opposite sign" in message


def test_an_upstream_gradient_that_is_overwritten_is_found(rng):
    def relu(x):
        y, _ = nn.relu(x)

        def backward(dy):
            dy *= y > 0
            return dy

        return y, backward

    assert (
        told(relu, rng.standard_normal((4, 3))) == "relu: backward wrote to dy; backward must be free of side effects"
    )


# ---------------------------------------------------------------- which gradient, which element, what is wrong with it


def wrong_dense(change):
    """dense, its three gradients passed through change(dx, dw, db)."""

    def dense(x, w, b):
        y, backward = nn.dense(x, w, b)
        return y, lambda dy, need_dx=True: change(*backward(dy, need_dx))

    return dense


def scaled(factor):
    return wrong_dense(lambda dx, dw, db: (dx, factor * dw, db))


@pytest.mark.parametrize(
    ("block", "hint"),
    [
        (scaled(2), "it is off by a constant factor 2"),
        (scaled(-1), "it has the opposite sign"),
        (scaled(0), "it is zero: is a term missing?"),
        (scaled(5), "it is off by a constant factor 5, the number of rows: is it a sum instead of a mean?"),
        (scaled(1 / 5), "it is off by a constant factor 0.2, 1 / the number of rows: is it a mean instead of a sum?"),
        (scaled(float("nan")), "it is not finite"),
        (wrong_dense(lambda dx, dw, db: (dx, dw.T.copy(), db)), "it is the transpose"),
        (wrong_dense(lambda dx, dw, db: (dx, np.abs(dw), db)), "some elements have the opposite sign"),
        (wrong_dense(lambda dx, dw, db: (dx, dw + 0.1, db)), None),
    ],
)
def test_the_message_names_the_wrong_gradient_and_the_likely_mistake(rng, block, hint):
    message = told(block, *(rng.standard_normal(shape) for shape in [(5, 3), (3, 3), (3,)]))
    lines = message.splitlines()
    assert lines[0].startswith("dense: dw is wrong, at ")
    assert [line.strip() for line in lines[1:]] == [*([hint] if hint else []), "(dx, db: right)"]


def test_the_message_names_the_element_what_was_expected_and_what_was_got():
    def square(x):
        y = x * x

        def backward(dy):
            dx = 2 * x * dy
            dx[1, 2] += 100.0 * np.sign(dx[1, 2])
            return dx

        return y, backward

    x = np.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    message = told(square, x)
    assert "at 1 of 6 elements, most at [1, 2]: expected " in message
    assert "(x[1, 2] = 6)" in message
    expected, got = (float(message.split(f"{word} ")[1].split()[0].rstrip(",")) for word in ("expected", "got"))
    assert abs(got) == pytest.approx(abs(expected) + 100)
    assert 6 <= abs(expected) <= 18  # 2 · 6 · c, with c of a size between 1/2 and 3/2


def test_an_argument_without_influence_is_reported(rng):
    def first(a, b):
        return a * 1.0, lambda dy: (dy, dy)

    message = told(first, rng.standard_normal(3), rng.standard_normal(3))
    assert "db is wrong, at 3 of 3 elements" in message
    assert "it should be zero" in message


def test_a_wrong_gradient_of_a_single_small_element_is_found(rng):
    x = rng.standard_normal((6, 5))

    def block(x):
        y, backward = nn.tanh(x)

        def wrong(dy):
            dx = backward(dy)
            dx[4, 2] *= 1.0001
            return dx

        return y, wrong

    assert "at 1 of 30 elements, most at [4, 2]" in told(block, x)


def test_large_arrays_are_sampled(rng):
    calls = []

    def counted(x):
        calls.append(1)
        return halved(x)

    check_backward(counted, rng.standard_normal((100, 100)), limit=10)
    assert 40 <= len(calls) < 60


def test_a_gradient_in_a_nest_is_named_by_its_path(rng):
    def pair(x):
        a, b = x
        return (a + b, a * b), lambda dy: (dy[0] + dy[1] * b, dy[0] - dy[1] * a)

    assert "pair: dx.1 is wrong" in told(pair, (rng.standard_normal(3), rng.standard_normal(3)))


def test_nests_of_inputs_and_outputs_are_checked(xp, rng):
    def pair(x):
        a, b = x
        return (a + b, a * b), lambda dy: (dy[0] + dy[1] * b, dy[0] + dy[1] * a)

    check_backward(pair, (xp.asarray(rng.standard_normal(3)), xp.asarray(rng.standard_normal(3))))


def test_dicts_of_arrays_are_checked_too(rng):
    def block(p, x):
        return p["a"] * x, lambda dy: ({"a": dy * x}, dy * p["a"])

    check_backward(block, {"a": rng.standard_normal(3)}, rng.standard_normal(3))

    def other(p, x):
        return p["a"] * x, lambda dy: ({"b": dy * x}, dy * p["a"])

    assert "gradients of p: expected the keys ['a']" in told(
        other, {"a": rng.standard_normal(3)}, rng.standard_normal(3)
    )


# ---------------------------------------------------------------- differences: order, kinks, precision


def test_a_kink_is_reported_with_both_slopes(xp):
    message = told(nn.relu, xp.asarray([1.0, 0.0, -2.0]))
    assert "there is a kink near x[1] = 0: the slope is " in message
    assert "move the test point away from it" in message
    assert "wrong" not in message


@pytest.mark.parametrize("at", [0.0, 1e-9])
def test_a_kink_with_equal_slopes_is_reported(at):
    # at 0, |h| == |-h|, and this was taken for an output that does not move
    def absolute(x):
        return np.abs(x), lambda dy: np.where(x >= 0, dy, -dy)

    assert "there is a kink near x[1] = " in told(absolute, np.asarray([1.0, at, -2.0]))


def test_a_wrong_gradient_beside_a_kink_is_still_wrong():
    def relu(x):
        y, backward = nn.relu(x)
        return y, lambda dy: 3 * backward(dy)

    message = told(relu, np.asarray([1.0, 0.0, -2.0]))
    assert "dx is wrong, at 1 of 3 elements, most at [0]" in message
    assert "there is a kink near x[1] = 0" in message


@pytest.mark.parametrize("distance", [1e-5, -1e-5, 3e-4, 1e-3])
def test_a_kink_close_by_is_stepped_around(distance):
    check_backward(nn.relu, np.asarray([1.0, distance, -2.0]))


def test_curvature_is_not_taken_for_a_kink(rng):
    # a large second derivative makes the two sides differ too, but less and less as h shrinks
    def steep(x):
        return 1e4 * x**2 + x**3, lambda dy: dy * (2e4 * x + 3 * x**2)

    check_backward(steep, rng.standard_normal(4))

    def wrong(x):
        return 1e4 * x**2 + x**3, lambda dy: dy * (2e4 * x)

    assert "kink" not in told(wrong, rng.standard_normal(4))


def test_functions_of_very_small_and_very_large_numbers_are_differentiated():
    def inverse(x):
        return 1 / x, lambda dy: -dy / x**2

    check_backward(inverse, np.asarray([1e-9, 2e-9, -1e-9]))
    check_backward(inverse, np.asarray([1e-3, 1.0, 1e3]))
    check_backward(inverse, np.asarray([1e9]))


def test_float64_is_used_where_it_exists():
    def nearly(x):
        return x * 1.0, lambda dy: dy * (1 + 1e-5)

    assert "off by a constant factor 1.00001" in told(nearly, np.asarray([1.0, 2.0], np.float32))
    check_backward(nearly, np.asarray([1.0, 2.0]), rtol=1e-3)


def test_without_float64_differences_are_taken_in_float32():
    strict = pytest.importorskip("array_api_strict")
    x = strict.asarray([0.5, -1.0], dtype=strict.float32, device=strict.Device("no_float64"))
    check_backward(halved, x)

    def wrong(x):
        return 0.5 * x * x, lambda dy: dy * x * 1.05

    assert "off by a constant factor 1.05" in told(wrong, x)


def test_infinite_elements_are_not_moved_but_their_gradient_must_be_a_number():
    logits = np.asarray([[0.0, -np.inf, 1.0]])
    check_backward(nn.softmax, logits)

    def wrong(x):
        y, backward = nn.softmax(x)
        return y, lambda dy: np.where(np.isinf(x), np.float32(np.nan), 1).astype(x.dtype) * backward(dy)

    assert "dx is wrong, at 1 of 3 elements, most at [0, 1]" in told(wrong, logits)


# ---------------------------------------------------------------- form: shapes, dtypes, None, side effects


@pytest.mark.parametrize(
    ("block", "what"),
    [
        (lambda x: x, r"forward must return \(y, backward\), got ndarray"),
        (lambda x: (x.astype(np.float64), lambda dy: dy), "y has dtype float64, its arguments float32"),
        (lambda x: (x * 1, lambda dy: dy.astype(np.float64)), "dx has dtype float64, x has float32"),
        (lambda x: (x * 1, lambda dy: dy[:1]), r"dx has shape \(1, 2\), x has \(3, 2\)"),
        (lambda x: (x * 1, lambda dy: 1.0), r"dx has shape float, x has \(3, 2\)"),
        (lambda x: (x * 1, lambda dy: None), "dx is None, but x holds floats"),
        (lambda x: (x * 1, lambda dy, need_dx=True: dy), "with need_dx=False, dx must be None"),
        (lambda x: (x * 1, lambda dloss=1.0: x), "backward can be called without dy, so y must be one number"),
    ],
)
def test_a_block_that_breaks_the_contract_is_reported(block, what):
    with pytest.raises(AssertionError, match=what):
        check_backward(block, np.ones((3, 2), np.float32))


def test_a_missing_gradient_is_reported(rng):
    def product(x, w):
        return x * w, lambda dy: dy * w

    message = told(product, rng.standard_normal(3), rng.standard_normal(3))
    assert "backward returned 1 gradients for the arguments x, w" in message
    check_backward(product, rng.standard_normal(3), rng.standard_normal(3), wrt=["x"])
    assert "wrt names 'q', which is not an argument" in told(product, np.ones(3), np.ones(3), wrt=["q"])


def test_integers_have_no_gradient(rng):
    def rows(table, index):
        def dtable(dy):
            out = np.zeros_like(table)
            np.add.at(out, index, dy)
            return out

        return table[index], dtable

    def with_none(table, index):
        y, backward = rows(table, index)
        return y, lambda dy: (backward(dy), None)

    def with_zeros(table, index):
        y, backward = rows(table, index)
        return y, lambda dy: (backward(dy), 0.0 * index)

    table, index = rng.standard_normal((4, 2)), np.asarray([0, 2, 2])
    check_backward(rows, table, index)
    check_backward(with_none, table, index)
    assert "dindex must be None, as index does not hold floats" in told(with_zeros, table, index)


def test_a_forward_that_writes_to_its_argument_is_found():
    def block(x):
        x *= 2
        return x, lambda dy: 2 * dy

    assert told(block, np.ones(3)) == "block: forward wrote to an argument; y must be a new array"


def test_a_backward_that_writes_to_its_forwards_arrays_is_found(rng):
    def writes_y(x):
        y = 2 * x

        def backward(dy):
            y[...] = 0
            return 2 * dy

        return y, backward

    def writes_x(x):
        def backward(dy):
            x[...] += 1
            return 2 * dy

        return 2 * x, backward

    assert "backward wrote to y" in told(writes_y, rng.standard_normal(3))
    assert "backward wrote to an argument of forward" in told(writes_x, rng.standard_normal(3))


def test_a_backward_that_cannot_be_called_twice_is_found(rng):
    def once(x):
        kept = [x]
        return x * x, lambda dy: 2 * kept[0] * dy if kept and kept.append(0 * x) is None and kept.pop(0) is None else 0

    def shared(x):
        shared.x = x  # state outside: a second forward overwrites the first one's
        return x * x, lambda dy: 2 * shared.x * dy

    for block in (once, shared):
        assert "dx" in told(block, rng.standard_normal(3))


def test_a_loss_whose_backward_ignores_dloss_is_found(rng):
    def loss(outputs, targets):
        value, backward = nn.mean_squared_error(outputs, targets)
        return value, lambda dloss=1.0: backward()

    assert "doutputs is wrong" in told(loss, rng.standard_normal(3), rng.standard_normal(3))


# ---------------------------------------------------------------- layers


@dataclass(frozen=True)
class Scale(Layer):
    """y = scale · x; what it does wrong is told by `bug`."""

    bug: str = ""

    def init(self, rng, input_shape, dtype="float32"):
        own = {"scale": rng.standard_normal(input_shape).astype(dtype), "statistics": {"count": np.zeros((), dtype)}}
        return own, tuple(input_shape)

    def __call__(self, params, x, key=None):
        def backward(dy, need_dx=True):
            dx = dy * params["scale"] if need_dx or self.bug == "dx always" else None
            dscale = (dy * x).sum(axis=0)
            if self.bug == "another without dx" and not need_dx:
                dscale = 2 * dscale
            grads = {"scale": dscale, "statistics": {"count": params["statistics"]["count"] + 1}}
            if self.bug == "form":
                grads["offset"] = dscale
            return dx, grads

        if self.bug == "no need_dx":
            return params["scale"] * x, lambda dy: backward(dy)
        return params["scale"] * x, backward


def test_statistics_are_not_checked_as_gradients(rng):
    check_backward(Scale(), rng.standard_normal((4, 3)), key=nn.Key(0))


@pytest.mark.parametrize(
    ("bug", "what"),
    [
        ("dx always", "with need_dx=False, dx must be None"),
        ("another without dx", "the gradient of 'scale': with need_dx=False it differs"),
        ("form", r"gradients of params: expected the keys \['scale', 'statistics'\], got the keys"),
        ("no need_dx", "a layer's backward must take need_dx"),
    ],
)
def test_layers_that_break_the_contract_are_reported(rng, bug, what):
    with pytest.raises(AssertionError, match=what):
        check_backward(Scale(bug), rng.standard_normal((4, 3)))


def test_parameters_can_be_given(rng):
    seen = []

    @dataclass(frozen=True)
    class Spied(Scale):
        def __call__(self, params, x, key=None):
            seen.append(float(params["scale"][0]))
            return super().__call__(params, x, key)

    params = {"scale": np.asarray([7.0, 8.0, 9.0]), "statistics": {"count": np.zeros(())}}
    check_backward(Spied(), params, rng.standard_normal((4, 3)))
    assert seen[0] == 7.0


def test_a_point_where_forward_is_not_defined_is_reported():
    def log(x):
        return np.log(x), lambda dy: dy / x

    with np.errstate(invalid="ignore"):
        assert "y is nan at the test point" in told(log, np.asarray([-1.0, 2.0]))


def test_wrong_arguments_of_check_backward_are_refused():
    with pytest.raises(TypeError, match="give an instance, such as ReLU"):
        check_backward(nn.ReLU, np.ones(3))
    with pytest.raises(TypeError, match=r"a layer is checked as \(layer, x\) or \(layer, params, x\), got 3"):
        check_backward(nn.ReLU(), {}, np.ones(3), np.ones(3))
    with pytest.raises(TypeError, match="there is no array among the arguments"):
        check_backward(nn.relu, 3.0)
    with pytest.raises(TypeError, match="no array of floats among the arguments, and integers have no gradient"):
        check_backward(nn.relu, np.asarray([1, 2]))
    with pytest.raises(TypeError, match="key= is for layers"):
        check_backward(nn.relu, np.ones(3), key=nn.Key(0))


# ---------------------------------------------------------------- the oracles


@pytest.mark.parametrize("oracle", ["torch", "jax"])
def test_the_oracle_finds_what_differences_cannot(rng, oracle):
    pytest.importorskip(oracle)

    def nearly(x):
        y, backward = nn.tanh(x)
        return y, lambda dy: backward(dy) * (1 + 1e-8)

    x = rng.standard_normal((4, 3))
    check_backward(nearly, x)
    check_against(nn.tanh, x, oracle=oracle)
    with pytest.raises(
        AssertionError, match=rf"nearly: backward differs from {oracle}'s autodiff\ndx is wrong, most at"
    ):
        check_against(nearly, x, oracle=oracle)


@pytest.mark.parametrize("oracle", ["torch", "jax"])
def test_the_oracle_names_the_parameter(rng, oracle):
    pytest.importorskip(oracle)

    @dataclass(frozen=True)
    class Wrong(nn.Dense):
        def __call__(self, params, x, key=None):
            y, backward = super().__call__(params, x, key)

            def wrong(dy, need_dx=True):
                dx, grads = backward(dy, need_dx)
                return dx, {**grads, "bias": 2 * grads["bias"]}

            return y, wrong

    with pytest.raises(AssertionError, match=r"the gradient of '1.bias' is wrong, most at \[\d\]: expected"):
        check_against(nn.Sequential(nn.ReLU(), Wrong(2)), rng.standard_normal((4, 3)), oracle=oracle)


@pytest.mark.parametrize("oracle", ["torch", "jax"])
def test_the_oracle_reads_arguments_of_any_library(xp, rng, oracle):
    pytest.importorskip(oracle)
    logits, labels = xp.asarray(rng.standard_normal((4, 3))), xp.asarray([0, 2, 1, 1])
    check_against(nn.softmax_cross_entropy, logits, labels, oracle=oracle)


def test_an_unknown_oracle_is_refused():
    with pytest.raises(ValueError, match="oracle must be one of torch, jax, got 'tensorflow'"):
        check_against(nn.relu, np.ones(3), oracle="tensorflow")


# ---------------------------------------------------------------- the parity report

NETWORK = nn.Sequential(nn.Dense(4), nn.Sequential(nn.Tanh(), nn.Dropout(0.3)), nn.Dense(3))


def test_the_report_has_every_value_of_every_layer(backend, rng):
    x, y = rng.standard_normal((6, 2)), np.asarray([0, 1, 2, 0, 1, 2])
    report = check_backends(NETWORK, x, y, ["numpy", backend], loss=nn.softmax_cross_entropy, key=nn.Key(0))
    assert [(row.layer, row.quantity) for row in report.rows] == [
        *[("0 Dense", "y"), ("1.0 Tanh", "y"), ("1.1 Dropout", "y"), ("2 Dense", "y")],
        *[("loss", "loss"), ("loss", "dy")],
        *[("2 Dense", "dx"), ("2 Dense", "dweight"), ("2 Dense", "dbias"), ("1.1 Dropout", "dx"), ("1.0 Tanh", "dx")],
        *[("0 Dense", "dx"), ("0 Dense", "dweight"), ("0 Dense", "dbias")],
    ]
    assert {row.backend for row in report.rows} == {backend}
    assert report.worst.relative < 1e-5
    assert all(row.ulps >= 0 for row in report.rows)


def test_the_report_measures_the_difference(rng, monkeypatch):
    strict = pytest.importorskip("array_api_strict")
    exact = type(strict.asarray(0.0)).__matmul__
    monkeypatch.setattr(type(strict.asarray(0.0)), "__matmul__", lambda a, b: exact(a, b) * (1 + 2.0**-20))
    x, y = rng.standard_normal((6, 2)), rng.standard_normal((6, 3))
    report = check_backends(nn.Dense(3), x, y, ["numpy", "numpy", "array_api_strict"], loss=nn.mean_squared_error)
    first = {row.backend: row for row in report.rows if row.quantity == "y"}
    assert (first["numpy"].ulps, first["numpy"].relative) == (0.0, 0.0)
    assert first["array_api_strict"].relative == pytest.approx(2.0**-20, rel=0.1)
    assert 7 <= first["array_api_strict"].ulps <= 17  # an ulp is 2**-23 to 2**-24 of a number, so 8 to 16, rounded
    table = str(report).splitlines()
    assert table[0] == "largest difference from numpy, in float32"
    assert table[1].split() == ["layer", "value", "numpy", "array_api_strict"]
    assert len(table) == 3 + len(report.rows) // 2


def test_a_gradient_that_is_only_rounding_error_is_not_the_worst(rng, monkeypatch):
    # BatchNorm takes the column's mean away, and with it the bias before: its gradient is 0, but for rounding
    strict = pytest.importorskip("array_api_strict")
    exact = type(strict.asarray(0.0)).__matmul__
    monkeypatch.setattr(type(strict.asarray(0.0)), "__matmul__", lambda a, b: exact(a, b) * (1 + 2.0**-20))
    network = nn.Sequential(nn.Dense(3), nn.BatchNorm(), nn.Dense(3))
    x, y = rng.standard_normal((40, 2)), rng.standard_normal((40, 3))
    names = ["numpy", "array_api_strict"]
    report = check_backends(network, x, y, names, loss=nn.mean_squared_error, key=nn.Key(0))
    bias = next(row for row in report.rows if (row.layer, row.quantity) == ("0 Dense", "dbias"))
    assert bias.relative > 1e-3
    assert report.is_rounding(bias)
    assert report.worst.relative < 1e-4
    assert [line.split()[0] for line in str(report).splitlines() if "rounding" in line] == ["0"]
    wrong = replace(bias, relative=0.1 / bias.size)  # small where it is looked up, but not where it is compared
    assert not replace(report, rows=(*report.rows, wrong)).is_rounding(wrong)


@pytest.mark.parametrize("oracle", ["torch", "jax"])
def test_the_oracle_accepts_rounding_errors(rng, oracle):
    pytest.importorskip(oracle)
    check_against(
        nn.Sequential(nn.Dense(3), nn.BatchNorm()), rng.standard_normal((40, 2)), oracle=oracle, key=nn.Key(0)
    )


def test_check_backends_takes_a_model(rng):
    class Model:
        def __init__(self):
            self.network, self.loss = nn.Sequential(nn.Dense(3)), nn.SoftmaxCrossEntropy()
            self.params = [{"weight": np.zeros((2, 3)), "bias": np.asarray([1.0, 1.0, 1.0])}]

    x, y = rng.standard_normal((6, 2)), np.asarray([0, 1, 2, 0, 1, 2])
    report = check_backends(Model(), x, y, ["numpy", "numpy"], dtype="float64")
    assert report.worst.relative == 0.0
    assert report.dtype == "float64"


def test_check_backends_needs_two_backends(rng):
    with pytest.raises(ValueError, match="at least two backends to compare"):
        check_backends(nn.ReLU(), np.ones((2, 2)), np.ones((2, 2)), ["numpy"], loss=nn.mean_squared_error)


@pytest.mark.parametrize(("left", "wrong"), [(1e-16, False), (1e-12, True)])
def test_a_gradient_whose_terms_cancel_may_differ_from_0_by_rounding_only(left, wrong):
    def kept(x, b):  # y does not depend on b, of whose gradient something is left
        return x + 0 * b, lambda dy: (dy, left * np.ones_like(b))

    x, b = np.asarray([1.0, 2.0]), np.asarray([0.3])
    if not wrong:
        check_backward(kept, x, b)
    else:
        with pytest.raises(AssertionError, match=r"db is wrong.*\n.*forward does not depend on this argument"):
            check_backward(kept, x, b)
