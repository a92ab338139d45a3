import json
import math
import re

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn.explain import backward_formula, formula

X = np.asarray([[1.0, 2.0], [-1.0, 0.5], [0.5, -1.5]])
Y = np.asarray([0, 2, 1])


NO_BLOCKS = {"as_loss", "check_labels"}


def network():
    inner = nn.Sequential(nn.Dense(4), nn.BatchNorm())
    return nn.Sequential(
        nn.Dense(4, weight_regularizer=nn.L2(0.01)), nn.ReLU(), nn.Dropout(0.5), nn.Residual(inner), nn.Dense(3)
    )


def model(backend="numpy", **options):
    return nn.Model(network(), optimizer=nn.Adam(0.05), backend=backend, seed=1, **options).build((2,))


def stages(explanation, stage, what=""):
    return [found for found in explanation.stages if found["stage"] == stage and found["what"].startswith(what)]


def values(nest):
    return np.asarray(nest["values"])


def test_the_step_explained_is_the_step_that_fit_takes(backend):
    one = model(backend, clip_norm=0.5)
    explanation = one.explain(X, Y)
    logs = one.fit(X, Y, epochs=1, batch_size=None, verbose=0)
    told = next(stage for stage in stages(explanation, "penalty", "loss"))
    assert [told[name] for name in ("data_loss", "penalty", "loss")] == pytest.approx(
        [logs[name][0] for name in ("data_loss", "penalty", "loss")], rel=1e-5
    )
    after = {path: one.backend.to_numpy(leaf) for path, leaf in tree.items(one.params)}
    updates = {stage["what"].split("'")[1]: stage for stage in stages(explanation, "update")}
    assert updates.keys() == after.keys()
    for path, leaf in after.items():
        if path != "3.0.0.bias":  # BatchNorm takes its column's mean away again: no gradient, only rounding
            assert values(updates[path]["after"]) == pytest.approx(leaf, abs=1e-4), path


def test_every_layer_has_a_forward_and_a_backward_stage_in_the_order_of_the_step():
    explanation = model().explain(X, Y)
    forward = [stage["what"] for stage in stages(explanation, "forward")]
    assert forward == [
        "Dense 'layers.0'",
        "ReLU 'layers.1'",
        "Dropout 'layers.2'",
        "Dense 'layers.3.layers.0.layers.0'",
        "BatchNorm 'layers.3.layers.0.layers.1'",
        "Residual 'layers.3'",
        "Dense 'layers.4'",
    ]
    backward = [stage["what"] for stage in stages(explanation, "backward")]
    assert backward == ["SoftmaxCrossEntropy", *(forward[i] for i in (6, 4, 3, 5, 2, 1, 0))]
    order = [stage["stage"] for stage in explanation.stages]
    assert sorted(set(order), key=order.index) == ["input", "forward", "loss", "backward", "penalty", "update"]


def test_the_numbers_equal_those_the_blocks_return():
    net = nn.Sequential(nn.Dense(2), nn.ReLU())
    one = nn.Model(net, nn.mean_squared_error, nn.SGD(0.1), backend="numpy", dtype="float64").build((2,))
    w = one.params[0]["weight"]
    explanation = one.explain(X, np.zeros((3, 2)), sample_weight=[1.0, 2.0, 1.0])
    dense, relu = stages(explanation, "forward")
    assert values(dense["y"]) == pytest.approx(X @ w)
    assert values(relu["y"]) == pytest.approx(np.maximum(X @ w, 0))
    y = np.maximum(X @ w, 0)
    weights = np.asarray([1.0, 2.0, 1.0])
    loss = stages(explanation, "loss")[0]
    assert loss["data_loss"] == pytest.approx((weights * (y**2).mean(axis=1)).sum() / 4)
    back = stages(explanation, "backward")
    assert [stage["what"] for stage in back] == ["MeanSquaredError", "ReLU 'layers.1'", "Dense 'layers.0'"]
    dy = y * weights[:, None] / 4
    assert values(back[0]["outputs gradient"]) == pytest.approx(dy)
    dw = X.T @ (dy * (y > 0))
    assert values(back[2]["weight gradient"]) == pytest.approx(dw)
    assert values(back[2]["x gradient"]) == pytest.approx((dy * (y > 0)) @ w.T)
    update = stages(explanation, "update")[0]
    assert update["scalars"] == {"lr": 0.1}
    assert values(update["after"]) == pytest.approx(w - 0.1 * dw)


def test_explain_changes_nothing_in_the_model():
    one = model()
    one.fit(X, Y, epochs=2, batch_size=None, verbose=0)
    params, slots = tree.copy(one.params), tree.copy(one.state["slots"])
    before = (
        one.step,
        one.epoch,
        {name: list(values) for name, values in one.history.items()},
        one.rng.bit_generator.state,
    )
    one.explain(X, Y)
    assert before == (one.step, one.epoch, one.history, one.rng.bit_generator.state)
    for (path, a), (_, b) in zip(
        tree.items([params, slots]), tree.items([one.params, one.state["slots"]]), strict=True
    ):
        assert np.array_equal(a, b), path
    other = model()
    other.fit(X, Y, epochs=2, batch_size=None, verbose=0)
    for one_more in (one, other):
        one_more.fit(X, Y, epochs=1, batch_size=None, verbose=0)
    assert one.history == other.history


def test_gradients_that_are_not_computed_are_marked():
    unbuilt = nn.Model(network(), backend="numpy")
    explanation = unbuilt.explain(X, Y)
    assert unbuilt.params is None
    assert all("not computed yet: the weights are drawn" in stage["y"] for stage in stages(explanation, "forward"))
    assert "not computed" in stages(explanation, "loss")[0]["data_loss"]
    assert "not computed yet" in str(explanation)
    without = model().explain(X)
    assert stages(without, "forward")[0]["y"]["shape"] == [3, 4]
    assert stages(without, "loss")[0]["data_loss"].startswith("not computed: no targets were given")
    assert "no targets" in stages(without, "backward")[-1]["x gradient"]
    assert "no targets" in stages(without, "update")[0]["after"]
    nothing = model().explain()
    assert nothing.stages[0]["x"] == "not computed: no x was given"
    assert all(stage["y"] == "not computed: no x was given" for stage in stages(nothing, "forward"))


def test_statistics_are_shown_as_assigned_not_trained():
    explanation = model().explain(X, Y)
    told = stages(explanation, "update", "'3.0.1.statistics.mean'")[0]
    assert told["formula"] == "a statistic: its new value is assigned"
    batch = stages(explanation, "backward", "BatchNorm")[0]
    assert batch["statistics.mean, its new value"] == told["after"]


def test_penalties_and_clipping_have_their_formulas_and_numbers():
    one = model(clip_norm=0.01, clip_value=0.5)
    explanation = one.explain(X, Y)
    own, whole = stages(explanation, "penalty")
    assert own["formula"] == (
        "weight: l1 Σ |w| + l2 Σ w², dw = (l1 sign(w) + 2 l2 w) dpenalty, of L1L2(l1=0.0, l2=0.01)"
    )
    assert own["penalty"] == pytest.approx(0.01 * float((one.params[0]["weight"] ** 2).sum()), rel=1e-6)
    assert whole["penalty"] == own["penalty"]
    told = stages(explanation, "clip")[0]
    assert told["settings"] == {"clip_value": 0.5, "clip_norm": 0.01}
    assert told["norm before"] > told["norm after"] == pytest.approx(0.01, rel=1e-5)
    assert not stages(model().explain(X, Y), "clip")


def test_integers_have_no_gradient():
    net = nn.Sequential(nn.Embedding(5, 2), nn.Flatten(), nn.Dense(3))
    one = nn.Model(net, backend="numpy").build((4,))
    explanation = one.explain(np.asarray([[0, 1, 2, 3], [4, 0, 1, 2]]), np.asarray([0, 1]))
    assert "no gradient" in stages(explanation, "backward")[-1]["x gradient"]
    assert explanation.stages[0]["x"]["dtype"].startswith("int")


@pytest.mark.parametrize(
    "layer", [nn.Dense(3), nn.Concatenate(nn.Dense(1), nn.Sequential(nn.Dense(2), nn.Tanh()))], ids=["one", "branches"]
)
def test_any_layer_can_be_explained(layer):
    explanation = nn.Model(layer, backend="numpy").build((2,)).explain(X, Y)
    assert stages(explanation, "forward")[-1]["y"]["shape"] == [3, 3]
    assert str(explanation)


def test_averages_and_groups_are_explained():
    rule = nn.Groups(nn.EMA(nn.SGD(0.1, momentum=0.5)), {"bias": nn.SGD(0.2)})
    explanation = nn.Model(nn.Dense(3), optimizer=rule, backend="numpy").build((2,)).explain(X, Y)
    weight, bias = stages(explanation, "update")
    assert weight["what"] == "EMA on 'weight'"
    assert weight["formula"] == f"{formula(nn.SGD)} {formula(nn.EMA)}"
    assert weight["scalars"] == {"lr": 0.1, "share of w": pytest.approx(0.001)}
    assert weight["settings"]["momentum"] == 0.5
    assert weight["settings"]["decay"] == 0.999
    assert weight["learning rate"] == 0.1
    assert "a after" in weight
    assert bias["what"] == "SGD on 'bias'"
    assert bias["learning rate"] == bias["scalars"]["lr"] == 0.2
    assert "v before" not in bias


def test_stages_are_json_data():
    explanation = model().explain(X, Y)
    assert json.loads(json.dumps(explanation.stages)) == explanation.stages


def test_large_arrays_are_abbreviated_with_their_shape():
    one = nn.Model(nn.Dense(3), backend="numpy").build((50,))
    x = np.arange(100 * 50).reshape(100, 50) / 5000
    explanation = one.explain(x, np.zeros(100, int))
    given = explanation.stages[0]["x"]
    assert given["shape"] == [100, 50]
    assert given["abbreviated"]
    assert [len(given["values"]), len(given["values"][0])] == [7, 7]
    assert given["values"][3] == given["values"][0][3] == "…"
    assert given["values"][-1][-1] == pytest.approx(x[-1, -1])
    assert "(100, 50) float32" in str(explanation)
    assert len(str(explanation).splitlines()) < 190  # Adam has m, v and their corrected forms


def test_the_text_has_formulas_shapes_and_numbers_once():
    text = str(model().explain(X, Y))
    assert "Affine map of each row, y = x w + b." in text
    assert "   dx = dy where x > 0, else 0\n" in text
    assert "   dx = dy wᵀ, dw = xᵀ dy, db = Σ_i dy_i\n" in text
    assert "x  (3, 4) float32, as above" in text
    assert text.count("settings: learning_rate = 0.05") == 2  # not for each of nine parameters: statistics lie between
    assert "-0 " not in text


def test_formulas_are_the_first_words_of_docstrings():
    assert formula(nn.ReLU()) == formula(nn.relu) == "Rectified linear unit, y = max(x, 0), elementwise."
    assert (
        formula(nn.SGD(0.1))
        == "Gradient descent with momentum: v = μ v - lr g; w = w + v, or with nesterov w = w + μ v - lr g."
    )
    assert formula(nn.SoftmaxCrossEntropy()).endswith("in nats.")

    def cubes(outputs, targets, **more):
        """Σ (ŷ - y)³."""

    assert formula(nn.losses.as_loss(cubes)) == "Σ (ŷ - y)³."
    assert backward_formula(cubes) == "backward of: Σ (ŷ - y)³."
    assert formula(lambda x: x) == ""


@pytest.mark.parametrize("package", ["layers", "losses", "optimizers"])
def test_every_block_has_a_formula(package):
    module = getattr(nn, package)
    lines = {name: formula(getattr(module, name)) for name in module.__all__ if name not in NO_BLOCKS}
    silent = [name for name, line in lines.items() if len(line) < 20]
    assert not silent, f"the docstring of {', '.join(silent)} does not begin with the formula"
    assert [name for name, line in lines.items() if line.startswith(("The layer of", "The loss of"))] == []


@pytest.mark.parametrize("package", ["layers", "losses"])
def test_every_block_has_the_formula_of_its_backward(package):
    module = getattr(nn, package)
    blocks = {name: getattr(module, name) for name in module.__all__ if name.islower() and name not in NO_BLOCKS}
    lines = {name: backward_formula(block) for name, block in blocks.items()}
    silent = [name for name, line in lines.items() if line.startswith("backward of") or len(line) < 7]
    assert not silent, f"the docstring of {', '.join(silent)} gives no formula after 'backward(dy) -> dx ='"
    assert backward_formula(nn.Tanh()) == backward_formula(nn.tanh) == "dx = dy (1 - y²)"


def test_data_that_do_not_fit_are_refused():
    with pytest.raises(nn.ShapeError, match=r"layers\.0"):
        model().explain(np.zeros((3, 5)), Y)
    with pytest.raises(nn.DataError):
        model().explain(X, np.asarray([0, 1, 7]))


def test_the_command_prints_a_step(capsys, tmp_path):
    from arraynn.cli import main

    assert main(["explain"]) == 0
    text = capsys.readouterr().out
    assert "1. input: x" in text
    assert "update: Adam on '2.bias'" in text
    assert main(["explain", "--json", "--samples", "2"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told[0]["x"]["shape"] == [2, 2]
    one = nn.Model(nn.Dense(1), nn.mean_squared_error, backend="numpy").build((1,))
    one.save(tmp_path / "model.safetensors")
    assert main(["explain", str(tmp_path)]) == 0
    assert "MeanSquaredError" in capsys.readouterr().out
    nn.Model(nn.Dense(1), nn.mean_squared_error, backend="numpy").build((5,)).save(tmp_path / "five.safetensors")
    assert main(["explain", str(tmp_path / "five.safetensors")]) == 1
    assert "--data FILE.npz" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_is_shown():
    one = nn.Model(nn.Dense(2), optimizer=nn.SGD(0.1), backend="numpy").build((2,))
    one.set_params({"weight": np.full((2, 2), 3e38), "bias": np.zeros(2)})
    explanation = one.explain(np.full((1, 2), 1e3), [0])
    assert not math.isfinite(stages(explanation, "loss")[0]["data_loss"])


# Each rule as its paper has it, in the letters of the page: what is given is what the page shows above a number.


def moments(s, a, h):
    yield "m after", h["beta1"] * a["m before"] + (1 - h["beta1"]) * a["gradient"]
    yield "v after", h["beta2"] * a["v before"] + (1 - h["beta2"]) * a["gradient"] ** 2


def adam(s, a, h):
    yield from moments(s, a, h)
    yield "m̂", a["m after"] / (1 - h["beta1"] ** s["t"])
    yield "v̂", a["v after"] / (1 - h["beta2"] ** s["t"])
    decayed = (1 - s["lr"] * h.get("weight_decay", 0.0)) * a["before"]
    yield "after", decayed - s["lr"] * a["m̂"] / (np.sqrt(a["v̂"]) + h["epsilon"])


def amsgrad(s, a, h):
    yield from moments(s, a, h)
    yield "m̂", a["m after"] / (1 - h["beta1"] ** s["t"])
    yield "u after", np.maximum(a["u before"], a["v after"])
    yield "û", a["u after"] / (1 - h["beta2"] ** s["t"])
    yield "after", a["before"] - s["lr"] * a["m̂"] / (np.sqrt(a["û"]) + h["epsilon"])


def nadam(s, a, h):
    def mu(t):
        return h["beta1"] * (1 - 0.5 * 0.96 ** (h["momentum_decay"] * t))

    yield from moments(s, a, h)
    t = int(s["t"])
    upto = [np.prod([mu(i) for i in range(1, last + 1)]) for last in (t, t + 1)]
    named = {"μ_t": mu(t), "μ_{t+1}": mu(t + 1), "Π_{i≤t} μ_i": upto[0], "Π_{i≤t+1} μ_i": upto[1]}
    assert {name: s[name] for name in named} == pytest.approx(named, rel=1e-5)
    yield "m̂", mu(t + 1) * a["m after"] / (1 - upto[1]) + (1 - mu(t)) * a["gradient"] / (1 - upto[0])
    yield "v̂", a["v after"] / (1 - h["beta2"] ** t)
    yield "after", a["before"] - s["lr"] * a["m̂"] / (np.sqrt(a["v̂"]) + h["epsilon"])


def radam(s, a, h):
    yield from moments(s, a, h)
    t, most = s["t"], 2 / (1 - h["beta2"]) - 1
    seen = most - 2 * t * h["beta2"] ** t / (1 - h["beta2"] ** t)
    assert [s["ρ"], s["ρ_t"]] == pytest.approx([most, seen], rel=1e-5)
    yield "m̂", a["m after"] / (1 - h["beta1"] ** t)
    if seen > 5:
        r = math.sqrt((seen - 4) * (seen - 2) * most / ((most - 4) * (most - 2) * seen))
        assert s["r"] == pytest.approx(r, rel=1e-5)
        step = r * a["m̂"] * math.sqrt(1 - h["beta2"] ** t) / (np.sqrt(a["v after"]) + h["epsilon"])
    else:
        assert "r" not in s
        step = a["m̂"]
    yield "after", a["before"] - s["lr"] * step


def lion(s, a, h):
    direction = np.sign(h["beta1"] * a["m before"] + (1 - h["beta1"]) * a["gradient"])
    yield "m after", h["beta2"] * a["m before"] + (1 - h["beta2"]) * a["gradient"]
    yield "after", (1 - s["lr"] * h["weight_decay"]) * a["before"] - s["lr"] * direction


def sgd(s, a, h):
    if not h["momentum"]:
        yield "after", a["before"] - s["lr"] * a["gradient"]
        return
    yield "v after", h["momentum"] * a["v before"] - s["lr"] * a["gradient"]
    moved = h["momentum"] * a["v after"] - s["lr"] * a["gradient"] if h["nesterov"] == "True" else a["v after"]
    yield "after", a["before"] + moved


def ema(s, a, h):
    yield from sgd(s, a, h)
    yield "a after", h["decay"] * a["a before"] + (1 - h["decay"]) * a["after"]


def swa(s, a, h):
    yield from sgd(s, a, h)
    past = s["step"] - h["start"]
    counts = past >= 0 and past % h["every"] == 0
    n = past // h["every"] + 1
    yield "a after", a["a before"] + (a["after"] - a["a before"]) / n if counts else a["a before"]


def rmsprop(s, a, h):
    yield "s after", h["rho"] * a["s before"] + (1 - h["rho"]) * a["gradient"] ** 2
    yield "after", a["before"] - s["lr"] * a["gradient"] / (np.sqrt(a["s after"]) + h["epsilon"])


def adagrad(s, a, h):
    yield "s after", a["s before"] + a["gradient"] ** 2
    yield "after", a["before"] - s["lr"] * a["gradient"] / (np.sqrt(a["s after"]) + h["epsilon"])


def adadelta(s, a, h):
    yield "s after", h["rho"] * a["s before"] + (1 - h["rho"]) * a["gradient"] ** 2
    yield "Δ", np.sqrt(a["u before"] + h["epsilon"]) / np.sqrt(a["s after"] + h["epsilon"]) * a["gradient"]
    yield "u after", h["rho"] * a["u before"] + (1 - h["rho"]) * a["Δ"] ** 2
    yield "after", a["before"] - s["lr"] * a["Δ"]


PAPERS = [
    (nn.Adam(0.05), adam), (nn.AdamW(0.05, weight_decay=0.1), adam), (nn.AMSGrad(0.05), amsgrad),
    (nn.NAdam(0.05), nadam), (nn.RAdam(0.05), radam), (nn.RAdam(0.05, beta2=0.3), radam), (nn.Lion(0.01), lion),
    (nn.Lion(0.01, weight_decay=0.5), lion), (nn.SGD(0.1), sgd), (nn.SGD(0.1, momentum=0.9), sgd),
    (nn.SGD(0.1, momentum=0.9, nesterov=True), sgd), (nn.EMA(nn.SGD(0.1), decay=0.75), ema),
    (nn.SWA(nn.SGD(0.1, momentum=0.5), start=1, every=2), swa), (nn.RMSProp(0.05), rmsprop),
    (nn.Adagrad(0.05), adagrad),
    (nn.Adadelta(1.0), adadelta), (nn.Adam(nn.InverseTimeDecay(0.05, decay=0.5)), adam),
]  # fmt: skip


def printed(text):
    """(numbers, arrays, settings) of the first update in a page's text, as a reader finds them."""
    block = text[text.index(". update: ") :].split("\n\n")[0].splitlines()[1:]
    numbers, arrays, named = {}, {}, {}
    for line in block:
        if line.startswith(("   of this step: ", "   settings: ")):
            into = numbers if "of this step" in line else named
            for part in line.split(": ", 1)[1].split(", "):
                name, _, value = part.partition(" = ")
                into[name] = float(value) if re.fullmatch(r"[-+.e\d]+", value) else value
        elif match := re.fullmatch(r"   (step|learning rate) = ([-+.e\d]+)(, counted from 0)?", line):
            numbers[match[1]] = float(match[2])
        elif match := re.fullmatch(r"   (\S.*)  \(.*\) float32", line):
            arrays[match[1]] = rows = []
        elif line.startswith("     "):
            rows.append([float(number) for number in line.split()])
    return numbers, {name: np.asarray(rows) for name, rows in arrays.items()}, named


@pytest.mark.parametrize("steps", [0, 1, 6])
@pytest.mark.parametrize(("rule", "paper"), PAPERS, ids=lambda value: getattr(value, "__name__", type(value).__name__))
def test_each_number_follows_from_those_above_it_by_the_papers_formula(rule, paper, steps):
    one = nn.Model(nn.Dense(3), optimizer=rule, backend="numpy", seed=2).build((2,))
    for i in range(steps):
        one.fit(X * (i + 1), np.roll(Y, i), epochs=1, batch_size=None, verbose=0)
    numbers, arrays, named = printed(str(one.explain(X, Y)))
    assert numbers["step"] == steps
    assert numbers["lr"] == numbers["learning rate"]
    if "t" in numbers:
        assert numbers["t"] == steps + 1
    order, above = list(arrays), {"gradient", "before"}
    for name, expected in paper(numbers, arrays, named):
        above |= {name, name.replace("after", "before")}
        terms = np.abs(arrays["before"]) if name == "after" else 0  # a difference: to the digits of what it is made of
        wrong = np.abs(arrays[name] - expected) > 3e-5 * (np.abs(expected) + terms) + 1e-12
        assert not np.any(wrong), (name, arrays[name], expected)
    assert set(order) == above  # nothing is printed that was not recomputed
    assert order[-1] == "after"
