"""A session without a page: what it says, what its program gives, what it refuses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import arraynn as nn
from arraynn.learn.play import File, Session, advance
from arraynn.learn.play.export import expression
from arraynn.learn.play.presets import PRESETS, worked_example
from arraynn.learn.play.settings import ACTIVATIONS, DATA, LOSSES, OPTIMIZERS, SCHEDULES

ROOT = Path(__file__).parents[3]
SMALL = {"samples": 20, "layers": [{"units": 5}]}


def session(**changes) -> Session:
    made = Session()
    made.call("configure", {"settings": SMALL | changes})
    return made


def run_fresh(programs: list[str], folder: Path) -> list[dict[str, np.ndarray]]:
    """The weights that programs leave, each in a namespace of its own, in one fresh process."""
    for i, program in enumerate(programs):
        (folder / f"program{i}.py").write_text(program, encoding="utf-8")
    run = (
        "import sys, numpy as np, arraynn as nn\n"
        f"for i in range({len(programs)}):\n"
        "    names = {}\n"
        f"    exec(open(f'{folder}/program{{i}}.py', encoding='utf-8').read(), names)\n"
        f"    np.savez(f'{folder}/weights{{i}}.npz', **dict(nn.tree.items(names['model'].params)))\n"
    )
    done = subprocess.run([sys.executable, "-c", run], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [dict(np.load(folder / f"weights{i}.npz")) for i in range(len(programs))]


def same_bits(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for path, weights in one.items():
        assert weights.dtype == other[path].dtype
        assert weights.tobytes() == other[path].tobytes(), path


# ---------------------------------------------------------------- the exported program

POINT = st.tuples(st.floats(-1, 1, width=32), st.floats(-1, 1, width=32), st.integers(0, 1)).map(list)
DEED = st.one_of(
    st.tuples(st.just("step"), st.integers(1, 25)),
    st.tuples(st.just("change"), st.fixed_dictionaries({}, optional={
        "learning_rate": st.sampled_from([0.001, 0.05, 0.3]),
        "optimizer": st.sampled_from(["SGD", "Adam", "RMSProp"]),
        "schedule": st.sampled_from(["constant", "InverseTimeDecay", "CosineDecay"]),
        "batch_size": st.sampled_from([None, 7, 16, 32]),
    })),
    st.tuples(st.just("add"), st.lists(POINT, min_size=1, max_size=3)),
)  # fmt: skip
START = st.fixed_dictionaries({
    "data": st.sampled_from([name for name in DATA if DATA[name]["targets"] == "classes"]),
    "samples": st.integers(10, 40),
    "noise": st.sampled_from([0.1, 0.2]),
    "seed": st.integers(0, 99),
    "weights_seed": st.integers(0, 99),
    "layers": st.lists(st.fixed_dictionaries({
        "units": st.integers(1, 9),
        "activation": st.sampled_from(["ReLU", "Tanh", "GELU"]),
        "dropout": st.sampled_from([0.0, 0.2]),
        "batch_norm": st.booleans(),
    }), max_size=2),
    "l1": st.sampled_from([0.0, 0.001]),
    "l2": st.sampled_from([0.0, 0.001]),
    "batch_size": st.sampled_from([None, 7, 16, 32]),
    "book": st.booleans(),
})  # fmt: skip


@pytest.mark.thorough
def test_random_sessions_and_their_programs_in_a_fresh_process_have_the_same_bits(tmp_path):
    sessions: list[Session] = []

    @settings(max_examples=30, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(START, st.lists(DEED, min_size=3, max_size=7))
    def play(start, deeds):
        made = Session()
        made.call("configure", {"settings": start})
        for name, what in deeds:
            argument = {"step": "count", "change": "settings", "add": "points"}[name]
            made.call(name, {argument: what})
        sessions.append(made)

    play()
    assert len(sessions) >= 20
    found = run_fresh([one.code()["code"] for one in sessions], tmp_path)
    for one, weights in zip(sessions, found, strict=True):
        same_bits(weights, one.weights)
    # each kind of line was among them
    text = "".join(one.code()["code"] for one in sessions)
    for part in ("model.fit(", "advance(", "position=", "model.optimizer =", "np.concatenate", "model.epoch += 1"):
        assert part in text


@pytest.mark.parametrize("data", ["sine", "plane"])
def test_the_program_of_a_regression_gives_its_weights(tmp_path, data):
    made = session(data=data, loss="Huber", batch_size=16)
    made.call("step", {"count": 9})
    made.call("add", {"points": [[0.5, 0.25]] if data == "sine" else [[0.5, 0.25, 1.0]]})
    made.call("step", {"count": 9})
    same_bits(run_fresh([made.code()["code"]], tmp_path)[0], made.weights)


@pytest.mark.parametrize("classes", [True, False])
def test_the_program_of_a_file_gives_its_weights(tmp_path, classes):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 2)), rng.integers(0, 3, 30) if classes else rng.standard_normal(30)
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    file = File(str(tmp_path / "mine.npz"), x.astype("float32"), y if classes else y.astype("float32")[:, None])
    made = Session(file)
    made.call("configure", {"settings": {"data": "file", "batch_size": 8, "layers": [{"units": 4}]}})
    made.call("step", {"count": 7})
    same_bits(run_fresh([made.code()["code"]], tmp_path)[0], made.weights)


def test_steps_within_an_epoch_are_those_of_one_fit():
    x, y = nn.datasets.spiral(20, 3)

    def model():
        network = nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dropout(0.2), nn.Dense(3))
        return nn.Model(network, backend="numpy", seed=4).build((2,))

    whole, parts = model(), model()
    whole.fit(x, y, epochs=3, batch_size=16, verbose=0)
    position = 0
    for steps in (1, 5, 2, 4):  # 12 updates, four an epoch
        advance(parts, x, y, steps=steps, batch_size=16, position=position)
        position = (position + steps) % 4
    for one, other in zip(nn.tree.leaves(whole.params), nn.tree.leaves(parts.params), strict=True):
        assert one.tobytes() == other.tobytes()
    assert parts.epoch == whole.epoch == 3
    for bad in ({"steps": 0}, {"steps": 1, "position": -1}, {"steps": True}):
        with pytest.raises(nn.DataError, match="must be an integer"):
            advance(parts, x, y, **bad)


def test_history_is_that_of_fit():
    made = session(batch_size=16, layers=[{"units": 5, "dropout": 0.1}], l2=0.01)
    made.call("step", {"count": 8})  # two epochs of four
    names: dict = {}
    exec(made.code()["code"], names)
    assert made.model.history == names["model"].history


@pytest.mark.parametrize("thing", [
    nn.Dense(3, weight_initializer=nn.initializers.normal(0.01), bias_regularizer=nn.L1L2(0.0, 0.1)),
    nn.Sequential(nn.Dense(3), nn.ReLU(), nn.Dropout(0.5)),
    nn.SGD(nn.OneCycle(0.1, steps=10), momentum=0.9, nesterov=True),
    nn.SoftmaxCrossEntropy(label_smoothing=0.1), nn.Quantile(0.9), nn.BatchNorm(), nn.Focal(alpha=None),
], ids=repr)  # fmt: skip
def test_evaluating_an_expression_gives_the_original_object(thing):
    assert eval(expression(thing), {"nn": nn}) == thing


@pytest.mark.parametrize("backend", ["array_api_strict", "torch", "jax"])
def test_a_session_runs_on_other_backends(backend):
    pytest.importorskip(backend)
    here, there = Session(), Session(backend=backend)
    layers = [
        {"units": 5, "activation": "Tanh", "dropout": 0.1}
    ]  # before a batch norm, a bias drifts by rounding alone
    for made in (here, there):
        made.call("configure", {"settings": {"samples": 20, "batch_size": 16, "layers": layers}})
        made.call("step", {"count": 6})
        made.call("change", {"settings": {"optimizer": "SGD", "learning_rate": 0.1}})
        made.call("add", {"points": [[0.1, 0.2, 1]]})
        made.call("step", {"count": 6})
    assert there.model.backend.name == backend
    np.testing.assert_allclose(there.model.history["loss"], here.model.history["loss"], rtol=1e-4)
    one, other = here.call("show", {}), there.call("show", {})
    assert [part["path"] for part in one["params"]] == [part["path"] for part in other["params"]]
    assert one["test"]["loss"] == pytest.approx(other["test"]["loss"], rel=1e-3)
    assert "explained" in there.call("explain", {})


# ---------------------------------------------------------------- settings


def test_every_activation_with_every_optimizer_takes_a_step():
    made = Session()
    for activation in ACTIVATIONS:
        for optimizer in OPTIMIZERS:
            layers = [{"units": 3, "activation": activation}]
            state = made.call("configure", {"settings": {"samples": 5, "layers": layers, "optimizer": optimizer}})
            assert f"nn.{activation}()" in state["code"]
            assert f"optimizer = nn.{optimizer}(" in state["code"]
            frame = made.call("step", {})
            assert frame["step"] == 1
            assert "diverged" not in frame


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_is_in_the_program_and_in_the_rate(schedule):
    made = session(schedule=schedule, learning_rate=0.5)
    made.call("step", {"count": 5})
    expected = getattr(nn, schedule)(0.5)
    assert made.model.history["learning_rate"] == [expected(step) for step in range(5)]
    assert f"nn.{schedule}(0.5)" in made.code()["code"]


@pytest.mark.parametrize(("data", "loss"), [
    *(("xor", name) for name in LOSSES["classes"]), *(("plane", name) for name in LOSSES["values"]),
])  # fmt: skip
def test_every_loss_trains(data, loss):
    made = session(data=data, loss=loss, learning_rate=0.01)
    first = made.call("step", {})["history"]["loss"][0]
    last = made.call("step", {"count": 60})["history"]["loss"][-1]
    assert last < first
    assert f"loss = nn.{loss}(" in made.code()["code"]


@pytest.mark.parametrize("data", DATA)
def test_every_data_set_shows_its_points_and_predictions(data):
    made = session(data=data)
    state = made.state()
    assert len(state["points"]) == len(made.x)
    assert ("regions" in state) == (DATA[data]["targets"] == "classes")
    assert state["test"]["loss"] > 0


def test_restart_has_the_same_weights_and_another_seed_others():
    made = session()
    before = made.weights
    made.call("step", {"count": 3})
    made.call("configure", {"settings": SMALL})
    same_bits(before, made.weights)
    made.call("configure", {"settings": SMALL | {"weights_seed": 1}})
    assert not np.array_equal(before["0.weight"], made.weights["0.weight"])


def test_a_new_rate_keeps_the_weights_and_the_state():
    made = session()
    made.call("step", {"count": 3})
    weights, slots = made.weights, nn.tree.copy(made.model.state["slots"])
    answer = made.call("change", {"settings": {"learning_rate": 0.5}})
    same_bits(weights, made.weights)
    made.stepper.renew()
    for one, other in zip(nn.tree.leaves(slots), nn.tree.leaves(made.model.state["slots"]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert "nn.Adam(0.5)" in answer["code"]
    made.call("step", {})
    assert made.model.history["learning_rate"][-1] == 0.5


def test_divergence_names_step_and_layer_and_training_can_go_on():
    made = session(optimizer="SGD", learning_rate=0.1, layers=[{"units": 5, "activation": "Identity"}])
    made.call("step", {"count": 2})
    weights = made.weights
    made.call("change", {"settings": {"learning_rate": 1e9}})
    frame = made.call("step", {"count": 50})
    assert re.search(r"diverged at epoch \d+, step \d+: .*(layers\.\d|loss)", frame["diverged"])
    same_bits(weights, made.weights)
    made.call("change", {"settings": {"learning_rate": 0.1}})
    assert "diverged" not in made.call("step", {})


def test_dead_neurons_are_counted():
    made = session(layers=[{"units": 4}])
    params = nn.tree.copy(made.model.params)
    params[0]["weight"][:, :2] = 0
    params[0]["bias"][:2] = -1
    params[0]["bias"][2:] = 1
    made.model.params = params
    made.stepper = type(made.stepper)(made.model, made.x, made.y, None)
    assert made.frame(True)["dead"] == [{"layer": "layers.1", "dead": 2, "of": 4}]


def test_gradients_are_those_of_the_loss():
    made = session(data="xor", layers=[{"units": 3, "activation": "Tanh"}], l2=0.01)
    shown = {one["path"]: one for one in made.frame(True)["params"]}
    params = nn.tree.map(lambda leaf: leaf.astype("float64"), made.model.params)

    def loss(params):
        outputs, _ = made.model.network(params, made.x.astype("float64"))
        return float(made.model.loss(outputs, made.y)[0] + made.model.network.penalty(params)[0])

    norm = 0.0
    for place in np.ndindex(params[0]["weight"].shape):
        sides = []
        for sign in (1, -1):
            moved = nn.tree.copy(params)
            moved[0]["weight"][place] += sign * 1e-5
            sides.append(loss(moved))
        norm += ((sides[0] - sides[1]) / 2e-5) ** 2
    assert shown["0.weight"]["gradient"]["norm"] == pytest.approx(norm**0.5, rel=1e-3)
    assert sum(shown["0.weight"]["weight"]["histogram"]) == params[0]["weight"].size


# ---------------------------------------------------------------- the lessons


@pytest.mark.parametrize("name", [name for name, one in PRESETS.items() if one.settings])
def test_a_preset_gives_the_numbers_that_its_lesson_states(name):
    text = next((ROOT / "examples").glob(f"{name}_*.py")).read_text(encoding="utf-8")
    said = " ".join(line for line in text.splitlines() if line.startswith("# >"))
    made = Session()
    made.call("preset", {"name": name})
    made.call("step", {"count": 101})
    stated = dict(PRESETS[name].stated)
    assert stated.keys() == ({0} if name in ("03", "17") else {0, 100})
    for epoch, values in stated.items():
        for metric, value in values:
            assert f"{made.model.history[metric][epoch]:.3f}" == f"{value:.3f}"
            assert any(f"{float(number):.3f}" == f"{value:.3f}" for number in re.findall(r"\d+\.\d+", said))


@pytest.mark.parametrize("name", [name for name, one in PRESETS.items() if not one.settings])
def test_the_other_presets_explain_their_lessons_numbers(name):
    text = next((ROOT / "examples").glob(f"{name}_*.py")).read_text(encoding="utf-8")
    stages = worked_example(name).stages
    numbers = [value for stage in stages for value in _leaves(stage)]
    digits = {"01": "0.00071401", "02": "0.333332", "04": "20.10", "05": "11", "06": "-0.4762", "07": "466.56"}
    digits |= {"08": "0.1333", "16": "0.6439"}
    assert digits[name] in text
    wanted = float(digits[name])
    half_a_digit = 0.51 * 10 ** -len(digits[name].partition(".")[2])
    assert any(abs(value - wanted) <= half_a_digit for value in numbers)
    assert "explained" in Session().call("preset", {"name": name})


def _leaves(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, float):
        yield value


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(("call", "arguments"), [
    ("configure", {"settings": {"unknown": 1}}), ("configure", {"settings": []}), ("configure", {}),
    ("configure", {"settings": {"samples": 0}}), ("configure", {"settings": {"samples": 1e9}}),
    ("configure", {"settings": {"samples": 2.5}}), ("configure", {"settings": {"samples": "3"}}),
    ("configure", {"settings": {"samples": True}}), ("configure", {"settings": {"samples": 10**400}}),
    ("configure", {"settings": {"classes": 9}}), ("configure", {"settings": {"seed": -1}}),
    ("configure", {"settings": {"noise": float("nan")}}), ("configure", {"settings": {"data": "mnist"}}),
    ("configure", {"settings": {"data": "file"}}), ("configure", {"settings": {"data": ["spiral"]}}),
    ("configure", {"settings": {"layers": [{}] * 7}}), ("configure", {"settings": {"layers": [{"units": 257}]}}),
    ("configure", {"settings": {"layers": [{"size": 3}]}}), ("configure", {"settings": {"layers": [3]}}),
    ("configure", {"settings": {"layers": [{"activation": "Softmax"}]}}), ("configure", {"settings": {"layers": {}}}),
    ("configure", {"settings": {"layers": [{"batch_norm": 1}]}}), ("configure", {"settings": {"book": 1}}),
    ("configure", {"settings": {"optimizer": "__class__"}}), ("configure", {"settings": {"learning_rate": -1}}),
    ("configure", {"settings": {"optimizer_options": {"beta1": 2}}}), ("configure", {"settings": {"batch_size": 0}}),
    ("configure", {"settings": {"optimizer_options": {"beta9": 0.5}}}),
    ("configure", {"settings": {"optimizer_options": {"beta1": "0.9"}}}),
    ("configure", {"settings": {"loss": "SigmoidCrossEntropy"}}), ("configure", {"settings": {"added": [[0, 0, 7]]}}),
    ("configure", {"settings": {"added": [[0, 0]]}}), ("configure", {"settings": {"added": [[0, 0, 1]] * 501}}),
    ("change", {"settings": {"layers": []}}), ("change", {"settings": 3}), ("change", {"settings": {"seed": 1}}),
    ("add", {"points": []}), ("add", {"points": [[0, 0, 3]]}), ("add", {"points": [[0, 0, 0.5]]}),
    ("add", {"points": [[1e300, 0, 0]]}), ("add", {"points": "xyz"}), ("add", {"points": [[0, None, 0]]}),
    ("advance", {"ms": 1e9}), ("advance", {"ms": None}), ("advance", {"detail": 1}), ("advance", {"seconds": 1}),
    ("step", {"count": 0}), ("step", {"count": 10_001}), ("step", {"count": 1.5}), ("show", {"layer": 1}),
    ("show", {"layer": -1}), ("explain", {"rows": 9}), ("preset", {"name": "99"}), ("preset", {"name": {}}),
], ids=str)  # fmt: skip
def test_bad_arguments_are_refused_and_change_nothing(call, arguments):
    made = session()
    before, started = made.weights, made.settings
    with pytest.raises(nn.DataError) as error:
        made.call(call, arguments)
    assert len(str(error.value)) < 400
    same_bits(before, made.weights)
    assert made.settings == started
    assert made.log == []


@pytest.mark.parametrize("name", ["begin", "__init__", "weights", "redo", "nothing", "call", "_train"])
def test_only_public_calls_can_be_called(name):
    with pytest.raises(LookupError):
        session().call(name, {})


# ---------------------------------------------------------------- taken away


def test_the_saved_model_has_the_weights_of_the_page(tmp_path):
    made = session()
    made.call("step", {"count": 5})
    (tmp_path / "model.safetensors").write_bytes(made.call("save", {}))
    loaded = nn.Model.load(tmp_path / "model.safetensors", backend="numpy")
    same_bits(dict(nn.tree.items(loaded.params)), made.weights)
    assert loaded.history == made.model.history


def test_the_film_ends_with_the_weights_of_the_page(tmp_path):
    image = pytest.importorskip("PIL.Image")
    made = session(batch_size=16)
    made.call("step", {"count": 9})
    made.call("change", {"settings": {"optimizer": "SGD", "batch_size": 8}})
    made.call("add", {"points": [[0.1, 0.2, 1]]})
    made.call("step", {"count": 4})
    (tmp_path / "film.webp").write_bytes(made.call("film", {}))
    with image.open(tmp_path / "film.webp") as film:
        assert film.n_frames == 14  # 13 updates, each of them shown
        film.seek(13)
        last = np.asarray(film.convert("RGB"))
    camera = nn.plot.Film("film.webp", made.x, made.y)
    camera.take(made.model)
    np.testing.assert_array_equal(last[28:, :320], np.asarray(camera.frames(made.model)[0])[28:, :320])


def test_explain_shows_the_next_step_on_rows_of_the_data():
    made = session()
    html = made.call("explain", {"rows": 2})["explained"]
    assert html.count('class="stage"') == len(made.model.explain(made.x[:2], made.y[:2]).stages)
