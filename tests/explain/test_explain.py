import json
import math

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn.explain import backward_formula, formula

X = np.asarray([[1.0, 2.0], [-1.0, 0.5], [0.5, -1.5]])
Y = np.asarray([0, 2, 1])


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


def test_every_layer_is_there_both_ways_in_the_order_of_the_step():
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


def test_the_numbers_are_those_of_the_blocks():
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


def test_nothing_of_the_model_changes():
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


def test_what_is_not_computed_is_said_to_be_so():
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


def test_statistics_are_assigned():
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
    assert "average after" in weight
    assert weight["scalars"]["bias"] == {"lr": 0.2}
    assert weight["learning rate"] == {"": 0.1, "bias": 0.2}
    assert "v before" not in bias


def test_stages_are_plain_data():
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
    assert len(str(explanation).splitlines()) < 170


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
    assert formula(nn.SGD(0.1)) == "Gradient descent with momentum: v = μ v - lr g; w = w + v."
    assert formula(nn.SoftmaxCrossEntropy()).endswith("in nats.")

    def cubes(outputs, targets, **more):
        """Σ (ŷ - y)³."""

    assert formula(nn.losses.as_loss(cubes)) == "Σ (ŷ - y)³."
    assert backward_formula(cubes) == "backward of: Σ (ŷ - y)³."
    assert formula(lambda x: x) == ""


@pytest.mark.parametrize("package", ["layers", "losses", "optimizers"])
def test_every_block_has_a_formula(package):
    module = getattr(nn, package)
    lines = {name: formula(getattr(module, name)) for name in module.__all__ if name != "as_loss"}
    assert [name for name, line in lines.items() if len(line) < 20] == []
    assert [name for name, line in lines.items() if line.startswith(("The layer of", "The loss of"))] == []


@pytest.mark.parametrize("package", ["layers", "losses"])
def test_every_block_has_the_formula_of_its_backward(package):
    module = getattr(nn, package)
    blocks = {name: getattr(module, name) for name in module.__all__ if name.islower() and name != "as_loss"}
    lines = {name: backward_formula(block) for name, block in blocks.items()}
    assert [name for name, line in lines.items() if line.startswith("backward of") or len(line) < 7] == []
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


def test_a_loss_that_is_not_finite_is_shown_as_it_is():
    one = nn.Model(nn.Dense(2), optimizer=nn.SGD(0.1), backend="numpy").build((2,))
    one.set_params({"weight": np.full((2, 2), 3e38), "bias": np.zeros(2)})
    explanation = one.explain(np.full((1, 2), 1e3), [0])
    assert not math.isfinite(stages(explanation, "loss")[0]["data_loss"])
