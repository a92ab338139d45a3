"""Pictures: what they show, that they change nothing global, and what they say of bad input."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import array_api_strict
import numpy as np
import pytest

import arraynn as nn
from arraynn import plot
from arraynn.plot import _figures

pytest.importorskip("matplotlib")
NAN = float("nan")


def png(figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def trained(outputs: int, loss, x, y, **options) -> nn.Model:
    model = nn.Model(nn.Sequential(nn.Dense(8), nn.Tanh(), nn.Dense(outputs)), loss=loss, backend="numpy")
    model.fit(x, y, epochs=3, verbose=0, **options)
    return model


def lines(axes) -> dict[str, tuple[list[float], list[float]]]:
    named = [line for line in axes.lines if not line.get_label().startswith("_")]
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in named}


# ---------------------------------------------------------------- curves


def test_curves_shows_loss_and_metric_side_by_side():
    x, y = nn.datasets.vertical(20, 3)
    figure = plot.curves(trained(3, nn.softmax_cross_entropy, x, y, validation_split=0.2).history)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "accuracy"]
    assert [list(lines(axes)) for axes in figure.axes] == [["training", "validation"]] * 2
    assert png(figure).startswith(b"\x89PNG")


def test_validation_is_drawn_through_the_epochs_that_lack_it():
    figure = plot.curves({"loss": [3.0, 2.0, 1.5, 1.0], "val_loss": [NAN, 2.5, NAN, 1.25]})
    assert lines(figure.axes[0])["validation"] == ([2, 4], [2.5, 1.25])


def test_loss_and_data_loss_are_drawn_where_there_is_a_penalty():
    figure = plot.curves({"loss": [3.0, 2.0], "data_loss": [2.5, 1.75], "penalty": [0.5, 0.25]})
    assert lines(figure.axes[0])["training, without penalty"][1] == [2.5, 1.75]
    figure = plot.curves({"loss": [3.0, 2.0], "data_loss": [3.0, 2.0], "penalty": [0.0, 0.0]})
    assert list(lines(figure.axes[0])) == ["training"]


@pytest.mark.parametrize(("last", "scale"), [(1e-3, "log"), (0.5, "linear")])
def test_a_loss_that_falls_far_has_a_logarithmic_axis(last, scale):
    assert plot.curves({"loss": [1.0, last]}).axes[0].get_yscale() == scale


def test_the_first_steps_of_a_long_run_do_not_flatten_the_rest():
    assert plot.curves({"loss": [50.0, *[1.0] * 999], "val_loss": [NAN] * 999 + [2.0]}).axes[0].get_ylim()[1] < 3
    assert plot.curves({"loss": [50.0, 1.0, 1.0]}).axes[0].get_ylim()[1] > 50


def test_a_long_noisy_curve_is_drawn_under_its_median():
    values = np.random.default_rng(0).normal(1.0, 0.1, 10_001)
    axes = plot.curves({"loss": values.tolist()}).axes[0]
    assert len(axes.lines) == 2
    medians = lines(axes)["training"][1][60:]  # the first numbers are kept as they are
    assert np.std(medians) < 0.05


def test_odd_histories_are_drawn():
    png(plot.curves({"loss": [1.0], "r2": [-5.0], "val_r2": [NAN]}))
    png(plot.curves({"loss": [NAN, NAN]}))
    png(plot.curves({"accuracy": [0.5, 1.0]}))


@pytest.mark.parametrize("history", [{}, {"loss": []}])
def test_an_empty_history_is_an_error(history):
    with pytest.raises(nn.DataError, match=r"history is empty.*fit the model first"):
        plot.curves(history)


# ---------------------------------------------------------------- boundary


@pytest.mark.parametrize("form", ["labels", "column", "one-hot", "strict"])
def test_boundary_of_a_classifier_shows_each_class_and_its_points(form):
    x, y = nn.datasets.spiral(30, 3)
    model = trained(3, nn.softmax_cross_entropy, x, y)
    if form == "strict":
        x, y = array_api_strict.asarray(x), array_api_strict.asarray(y)
    y = {"column": lambda: y[:, None], "one-hot": lambda: np.eye(3)[y]}.get(form, lambda: y)()
    figure = plot.boundary(model, x, y, resolution=40)
    scatters = [drawn for drawn in figure.axes[0].collections if drawn.get_label().startswith("class")]
    assert [drawn.get_label() for drawn in scatters] == ["class 0", "class 1", "class 2"]
    assert [len(drawn.get_offsets()) for drawn in scatters] == [30, 30, 30]
    assert png(figure).startswith(b"\x89PNG")


def test_colours_are_mixed_by_class_probabilities():
    x, y = nn.datasets.vertical(20, 2)
    model = trained(2, nn.softmax_cross_entropy, x, y)
    image = np.asarray(plot.boundary(model, x, y, resolution=16).axes[0].images[0].get_array())
    p = model.predict_proba(_figures._grid(_figures._extent(x), 16))
    assert np.allclose(image.reshape(-1, 3), p @ _figures._lighter(_figures._palette(2), 0.42), atol=1e-6)


def test_boundary_of_a_binary_output_has_two_classes():
    x, y = nn.datasets.vertical(20, 2)
    figure = plot.boundary(trained(1, nn.sigmoid_cross_entropy, x, y), x, y, resolution=30)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["class 0", "class 1"]


def test_many_classes_get_a_colour_each_and_no_legend():
    x, y = nn.datasets.vertical(3, 14)
    figure = plot.boundary(trained(14, nn.softmax_cross_entropy, x, y), x, y, resolution=20)
    colours = {tuple(drawn.get_facecolor()[0]) for drawn in figure.axes[0].collections if len(drawn.get_offsets()) == 3}
    assert len(colours) == 14
    assert figure.axes[0].get_legend() is None


def test_boundary_of_a_regression_is_its_curve_through_the_points():
    x, y = nn.datasets.sine(50)
    model = trained(1, nn.mean_squared_error, x, y)
    axes = plot.boundary(model, x, y, resolution=20).axes[0]
    across, up = lines(axes)["model"]
    assert np.allclose(up, model.predict(np.asarray(across, dtype="float32")[:, None]), atol=1e-5)
    assert len(axes.collections[0].get_offsets()) == 50


@pytest.mark.parametrize("columns", [1, 2])
def test_boundary_of_a_regression_on_a_plane_shows_values_as_colours(columns, rng):
    x, y = rng.normal(size=(30, 2)), rng.normal(size=(30, columns))
    figure = plot.boundary(trained(columns, nn.mean_squared_error, x, y), x, y, resolution=10)
    assert sum(bool(axes.images) for axes in figure.axes) == columns
    png(figure)


def test_boundary_of_a_classifier_of_one_input_shows_probabilities(rng):
    x = rng.normal(size=(30, 1))
    figure = plot.boundary(trained(2, nn.softmax_cross_entropy, x, (x[:, 0] > 0).astype(int)), x, x[:, 0] > 0)
    assert list(lines(figure.axes[0]))[:2] == ["class 0", "class 1"]
    png(figure)


def test_equal_points_can_be_drawn():
    x, y = np.zeros((4, 2)), np.asarray([0, 1, 0, 1])
    png(plot.boundary(trained(2, nn.softmax_cross_entropy, x, y), x, y, resolution=5))


def test_no_more_than_5000_points_are_drawn():
    x, y = nn.datasets.vertical(4000, 2)
    figure = plot.boundary(trained(2, nn.softmax_cross_entropy, x, y, batch_size=None), x, y, resolution=10)
    assert sum(len(d.get_offsets()) for d in figure.axes[0].collections if d.get_label().startswith("class")) == 5000


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "said"),
    [
        (np.zeros((4, 3)), np.zeros(4, int), {}, nn.ShapeError, r"one or two inputs.*\(4, 3\)"),
        (np.zeros(4), np.zeros(4, int), {}, nn.ShapeError, r"one or two inputs.*\(4,\)"),
        (np.zeros((0, 2)), np.zeros(0, int), {}, nn.DataError, "got 0 and 0"),
        (np.zeros((4, 2)), np.zeros(3, int), {}, nn.DataError, "got 4 and 3"),
        (np.zeros((4, 2)), np.zeros((4, 2, 2), int), {}, nn.ShapeError, r"labels \(N,\)"),
        (np.zeros((4, 2)), np.zeros(4, int), {"resolution": 1}, nn.DataError, "resolution must be.*got 1"),
        (np.zeros((4, 2)), np.zeros(4, int), {"resolution": 2.5}, nn.DataError, "resolution must be.*got 2.5"),
    ],
)
def test_data_that_cannot_be_drawn_are_refused(x, y, options, error, said):
    model = trained(2, nn.softmax_cross_entropy, np.zeros((4, 2)), np.zeros(4, int))
    with pytest.raises(error, match=said):
        plot.boundary(model, x, y, **options)


# ---------------------------------------------------------------- matplotlib


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for draw in (lambda: plot.curves({"loss": [1.0]}), lambda: plot.boundary(None, [[0.0, 1.0]], [0])):
        with pytest.raises(ImportError, match=r'pip install "arraynn\[plot\]"'):
            draw()


def test_plotting_changes_no_global_state_of_matplotlib():
    program = """
import io, sys, matplotlib
before = dict(matplotlib.rcParams)
import arraynn.plot
arraynn.plot.curves({"loss": [2.0, 1.0]}).savefig(io.BytesIO())
print("matplotlib.pyplot" in sys.modules, dict(matplotlib.rcParams) == before)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["False", "True"], done.stderr
