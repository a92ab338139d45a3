"""Rules as loops over elements, against direct evaluation: they must give the bits that NumPy gives."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arraynn as nn
from arraynn._array import namespace
from arraynn.backends.numpy import SLICE
from arraynn.compiler.graph import TraceError
from arraynn.compiler.rules import Rule, rule_of

OPTIMIZERS = [
    nn.SGD(0.1),
    nn.SGD(0.1, momentum=0.9),
    nn.SGD(0.1, momentum=0.9, nesterov=True),
    nn.Adagrad(0.1),
    nn.RMSProp(0.1),
    nn.Adam(0.1),
    nn.AdamW(0.1),
    nn.NAdam(0.1),
    nn.AMSGrad(0.1),
    nn.Adadelta(0.1),
    nn.Lion(0.1),
    nn.RAdam(0.1),
]
SEEN = {type(optimizer) for optimizer in OPTIMIZERS}
OPTIMIZERS += [kind(0.1) for kind in nn.optimizers.named_optimizers().values() if kind not in SEEN]


def traced(rule, slots, scalars, dtype="float32"):
    return Rule(rule, slots, scalars, np.dtype(dtype))


def run_traced(loop, arrays, scalars):
    """The loop's source in plain Python on NumPy's float32 scalars, element by element."""
    scope = {"math": np, "np": np}
    exec(loop.numba(), scope)
    with np.errstate(all="ignore"):
        scope["loop"](*arrays.values(), *loop.constants(scalars))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: type(o).__name__)
def test_every_optimizer_is_traced_to_its_own_bits(optimizer):
    rng = np.random.default_rng(0)
    p, g = (rng.standard_normal(50).astype("float32") for _ in range(2))
    slots = optimizer.init_one(p)
    q, own = p.copy(), {name: slot.copy() for name, slot in slots.items()}
    loop = traced(optimizer.update_one, tuple(slots), optimizer.scalars(0))
    for step in range(8):
        scalars = optimizer.scalars(step)
        p, slots = optimizer.update_one(p, g, slots, scalars)
        run_traced(loop, {"p": q, "g": g, **own}, scalars)
    np.testing.assert_array_equal(q, p)
    for name, slot in slots.items():
        np.testing.assert_array_equal(own[name], slot)


LEAVES = st.sampled_from(["p", "g", "lr", "half", 0.1, -2.0, 3])
BINARY = [operator.add, operator.sub, operator.mul, operator.truediv]


def expressions(children):
    return st.one_of(
        st.tuples(st.sampled_from(BINARY), children, children),
        st.tuples(st.sampled_from(["maximum", "minimum"]), children, children),
        st.tuples(st.sampled_from(["sqrt", "abs", "sign", "square", "negative", "positive part"]), children),
    )


def evaluate(expression, values):
    """An expression in array-API calls, whatever the values are. An array comes first where a function needs one."""
    if not isinstance(expression, tuple):
        return values.get(expression, expression)
    op, *parts = expression
    parts = [evaluate(part, values) for part in parts]
    if callable(op):
        return op(*parts)
    array = values["p"]
    xp, parts = namespace(array), [part + 0 * array for part in parts]
    if op == "negative":
        return -parts[0]
    if op == "positive part":
        return parts[0] * xp.astype(parts[0] > 0, array.dtype)
    return getattr(xp, op)(*parts)


@given(st.recursive(LEAVES, expressions, max_leaves=12))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_random_expressions_have_the_bits_of_direct_evaluation(expression):
    def rule(p, g, slots, c):
        return p + evaluate(expression, {"p": p, "g": g, "lr": c["lr"], "half": c["lr"] / 2}), {}

    rng = np.random.default_rng(3)
    p, g = (rng.standard_normal(9).astype("float32") for _ in range(2))
    scalars = {"lr": 0.3}
    try:
        with np.errstate(all="ignore"):
            expected, _ = rule(p, g, {}, scalars)
    except ZeroDivisionError:  # of two Python numbers: the host's business
        return
    found = p.copy()
    run_traced(traced(rule, (), scalars), {"p": found, "g": g}, scalars)
    np.testing.assert_array_equal(found, expected)


def test_what_depends_on_scalars_alone_is_computed_once_on_the_host():
    def rule(p, g, slots, c):
        return p - (c["lr"] / (1 - 0.5)) * g, {}

    loop = traced(rule, (), {"lr": 1.0})
    assert [node.op for node in loop.nodes] == ["multiply", "subtract"]
    assert loop.constants({"lr": 0.25}) == [0.5]


def test_what_is_used_twice_is_computed_once():
    def rule(p, g, slots, c):
        square = g * g
        return p + square, {"s": slots["s"] + square}

    assert [node.op for node in traced(rule, ("s",), {}).nodes].count("multiply") == 1


def test_branching_on_an_element_is_refused():
    def rule(p, g, slots, c):
        return (p if g > 0 else g), {}

    with pytest.raises(TraceError, match="branches on"):
        traced(rule, (), {})


@pytest.mark.parametrize(
    "formula",
    [
        lambda p: p - namespace(p).mean(p),
        lambda p: p / namespace(p).sum(p * p),
        lambda p: p * p.shape[0],
        lambda p: p * p.ndim,
        lambda p: p * p.size,
        lambda p: p + p[:1],
        lambda p: namespace(p).reshape(p, p.shape),
        lambda p: p @ p,
        lambda p: namespace(p).zeros((), dtype=p.dtype),
        lambda p: 0.0,
    ],
)
def test_a_rule_that_sees_more_than_one_element_is_no_elementwise_one(formula):
    with pytest.raises(TraceError):
        traced(lambda p, g, slots, c: (formula(p), {}), (), {})


def test_slots_may_change_places_and_have_any_names():
    def rule(p, g, slots, c):
        return p - g, {"g": slots["a b"], "a b": slots["g"] * 2.0}

    arrays = {name: np.full(3, i, "float32") for i, name in enumerate(("p", "gradient", "g", "a b"), 1)}
    run_traced(traced(rule, ("g", "a b"), {}), arrays, {})
    assert [x.tolist()[0] for x in arrays.values()] == [-1, 2, 4, 6]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: type(o).__name__)
def test_numba_gives_the_bits_of_numpy(optimizer, dtype):
    pytest.importorskip("numba", reason='pip install "arraynn[fast]"')
    rng = np.random.default_rng(0)
    p, g = (rng.standard_normal(SLICE + 9).astype(dtype) for _ in range(2))
    q, slots, state = p.copy(), optimizer.init_one(p), optimizer.init(p)
    for step in range(4):
        q, slots = optimizer.update_one(q, g, slots, optimizer.scalars(step))
        p, state = optimizer.update(p, g, state)
    found = rule_of(optimizer.update_one, tuple(slots), optimizer.scalars(0), dtype)
    assert found is not None
    assert found.exact
    np.testing.assert_array_equal(p, q)
    for name, slot in slots.items():
        np.testing.assert_array_equal(state["slots"][name], slot)
