"""What is wrong with an input, or with a hyperparameter, is told with its shapes and with a remedy.

One table for all blocks of images and sequences. A layer is made, initialized for the shape of x and called with it,
whichever of the three raises first.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import layers

Shape = tuple[int, ...]


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def made(layer: Callable[[], Any], *shapes: Shape) -> Callable[[], Any]:
    """The layer, given zeros of this shape, or a tuple of such."""

    def call() -> Any:
        x = zeros(*shapes[0]) if len(shapes) == 1 else tuple(zeros(*shape) for shape in shapes)
        rows = shapes[0][1:] if len(shapes) == 1 else tuple(shape[1:] for shape in shapes)
        network = layer()
        return network(network.init(np.random.default_rng(0), rows)[0], x)

    return call


def called(layer: Any, built: Any, *shapes: Shape) -> Callable[[], Any]:
    """A layer that was made for rows of the shape `built`, called with zeros of other shapes."""
    params = layer.init(np.random.default_rng(0), built)[0]
    x = zeros(*shapes[0]) if len(shapes) == 1 else tuple(zeros(*shape) for shape in shapes)
    return lambda: layer(params, x)


def fitted(layer: Any, *x: Any) -> Callable[[], Any]:
    """A model that begins with the layer, fitted to two rows."""
    network = nn.Sequential(layer, nn.Flatten(), nn.Dense(2))
    return lambda: nn.Model(network, backend="numpy").fit(x if len(x) > 1 else x[0], np.asarray([0, 1]), epochs=1)


IMAGES, SERIES = zeros(2, 5, 5, 3), zeros(2, 5, 8)
ATTENTION = nn.MultiHeadAttention(2)
CONV2D = zeros(3, 3, 3, 4), zeros(4)
LSTM = zeros(8, 12), zeros(3, 12), zeros(12)
FIRST = r"looks like channels first, as PyTorch has them: put Permute\(\(2, 3, 1\)\) before it"

#: what is done : (how, the error, what it says)
CASES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    # kernels, and other windows, larger than the padded image
    "Conv2D kernel": (
        made(lambda: nn.Conv2D(4, 5), (2, 4, 6, 1)),
        nn.ShapeError,
        r"a window of \(5, 5\) is larger than the input \(N, 4, 6, 1\); take a smaller window, or padding='same'",
    ),
    "Conv2D kernel, padded": (
        made(lambda: nn.Conv2D(4, 9, padding=1), (2, 4, 6, 1)),
        nn.ShapeError,
        r"input \(N, 4, 6, 1\), padded to \(6, 8\)",
    ),
    "Conv2D kernel, dilated": (
        made(lambda: nn.Conv2D(4, 3, dilation=2), (2, 4, 6, 1)),
        nn.ShapeError,
        r"\(3, 3\) at dilation \(2, 2\) spans \(5, 5\), which is larger",
    ),
    "Conv1D kernel": (made(lambda: nn.Conv1D(4, 5), (2, 4, 1)), nn.ShapeError, r"window of \(5,\) is larger"),
    "MaxPool2D": (made(lambda: nn.MaxPool2D(5), (2, 4, 6, 1)), nn.ShapeError, r"larger than the input \(N, 4, 6, 1\)"),
    "AveragePool1D": (made(lambda: nn.AveragePool1D(5), (2, 4, 1)), nn.ShapeError, r"larger than the input"),
    "conv2d kernel": (
        lambda: nn.conv2d(zeros(2, 2, 2, 3), *CONV2D),
        nn.ShapeError,
        r"window of \(3, 3\) is larger than the input \(N, 2, 2, 3\)",
    ),
    "padding as wide as the window": (
        made(lambda: nn.MaxPool2D(2, padding=2), (2, 4, 4, 1)),
        nn.ShapeError,
        "padding must be less than the window",
    ),
    # strides, sizes and numbers of 0
    "Conv2D strides 0": (lambda: nn.Conv2D(4, 3, strides=0), ValueError, "strides must be an integer of at least 1.*0"),
    "Conv2D strides (1, 0)": (lambda: nn.Conv2D(4, 3, strides=(1, 0)), ValueError, r"strides .* got \(1, 0\)"),
    "Conv1D strides 0": (lambda: nn.Conv1D(4, 3, strides=0), ValueError, "strides must be an integer of at least 1"),
    "MaxPool2D strides 0": (lambda: nn.MaxPool2D(2, strides=0), ValueError, "strides must be an integer of at least 1"),
    "AveragePool1D strides 0": (lambda: nn.AveragePool1D(2, strides=0), ValueError, "strides must be an integer"),
    "conv2d strides 0": (lambda: nn.conv2d(IMAGES, *CONV2D, strides=0), ValueError, "strides must be an integer"),
    "max_pool2d strides 0": (lambda: nn.max_pool2d(IMAGES, 2, strides=0), ValueError, "strides must be an integer"),
    "max_pool2d size 0": (lambda: nn.max_pool2d(IMAGES, 0), ValueError, "window's size must be an integer of at least"),
    "kernel of three": (lambda: nn.Conv2D(4, (3, 3, 3)), ValueError, r"kernel_size must be .* a tuple of 2, got"),
    "dilation 0": (lambda: nn.Conv2D(4, 3, dilation=0), ValueError, "dilation must be an integer of at least 1"),
    "filters 0": (lambda: nn.Conv2D(0, 3), ValueError, "filters must be an integer of at least 1, got 0"),
    "padding -1": (lambda: nn.Conv2D(4, 3, padding=-1), ValueError, "padding must be 'valid', 'same', an integer"),
    "padding 'SAME'": (lambda: nn.Conv2D(4, 3, padding="SAME"), ValueError, "padding must be 'valid', 'same'"),
    "heads 0": (lambda: nn.MultiHeadAttention(0), ValueError, "heads must be an integer of at least 1, got 0"),
    "units 0": (lambda: nn.GRU(0), ValueError, "units must be an integer of at least 1, got 0"),
    "length 0": (lambda: nn.PositionalEmbedding(0), ValueError, "length must be an integer of at least 1, got 0"),
    "group_norm of 0 groups": (
        lambda: nn.group_norm(zeros(2, 4), zeros(4), zeros(4), 0),
        ValueError,
        "groups must be an integer of at least 1, got 0",
    ),
    # what does not divide
    "groups and filters": (lambda: nn.Conv2D(3, 3, groups=2), ValueError, "2 groups of 3 filters"),
    "groups and channels": (
        made(lambda: nn.Conv2D(4, 3, groups=2), (2, 5, 5, 3)),
        nn.ShapeError,
        r"2 groups of 3 channels, the last axis of the input \(N, 5, 5, 3\)",
    ),
    "GroupNorm": (
        made(lambda: nn.GroupNorm(3), (2, 4, 8)),
        nn.ShapeError,
        r"3 groups of 8 channels, the last axis of the input \(N, 4, 8\)",
    ),
    "heads": (
        made(lambda: nn.MultiHeadAttention(3), (2, 5, 8)),
        nn.ShapeError,
        r"3 heads do not divide the 8 numbers of each place of the input \(N, 5, 8\); take .* or say key_units",
    ),
    "Reshape": (made(lambda: nn.Reshape((3, -1)), (2, 5)), nn.ShapeError, r"input \(N, 5\) has 5 numbers a row"),
    # lengths: a step reads no values, so they are checked where data come in
    "LSTM lengths": (
        fitted(nn.LSTM(3), SERIES, np.asarray([5, 7])),
        nn.DataError,
        r"lengths must lie in \[0, 5\], got 7; sequences have 5 places: cut the lengths, or pad the sequences",
    ),
    "GRU lengths below 0": (fitted(nn.GRU(3), SERIES, np.asarray([5, -1])), nn.DataError, r"\[0, 5\], got -1"),
    "Bidirectional lengths": (
        fitted(nn.Bidirectional(nn.RNN(3)), SERIES, np.asarray([6, 1])),
        nn.DataError,
        r"lengths must lie in \[0, 5\], got 6",
    ),
    "frozen lengths": (
        fitted(nn.Freeze(nn.Sequential(nn.LSTM(3))), SERIES, np.asarray([6, 1])),
        nn.DataError,
        r"lengths must lie in \[0, 5\], got 6",
    ),
    "lengths with fractions": (
        fitted(nn.LSTM(3), SERIES, np.asarray([5, 1.5])),
        nn.DataError,
        "lengths must be whole numbers, got one with a fraction of 0.5",
    ),
    "attention lengths": (
        fitted(ATTENTION, SERIES, np.asarray([5, 7])),
        nn.DataError,
        r"lengths must lie in \[0, 5\], got 7",
    ),
    "lengths of a memory": (
        fitted(ATTENTION, SERIES, zeros(2, 9, 4), np.asarray([5, 10])),
        nn.DataError,
        r"lengths must lie in \[0, 9\], got 10",
    ),
    "sequences longer than the table": (
        made(lambda: nn.PositionalEmbedding(4), (2, 5, 8)),
        nn.ShapeError,
        r"sequences of 5 places, input \(N, 5, 8\), are longer than the 4 .*; take a length of at least 5",
    ),
    # masks
    "lengths of other rows": (
        called(nn.LSTM(3), (5, 8), (2, 5, 8), (3,)),
        nn.ShapeError,
        r"a mask must be \(2, 5\), one number a step, or for a layer \(2,\), the lengths, got \(3,\)",
    ),
    "mask of other steps": (
        made(lambda: nn.LSTM(3), (2, 5, 8), (2, 4)),
        nn.ShapeError,
        r"a mask \(N, T\) or lengths \(N,\), got \(N, 5, 8\) and \(N, 4\)",
    ),
    "lstm mask": (
        lambda: nn.lstm(SERIES, *LSTM, mask=zeros(2, 4)),
        nn.ShapeError,
        r"a mask must be \(2, 5\), .* got \(2, 4\)",
    ),
    "mask of other keys": (
        called(ATTENTION, (5, 8), (2, 5, 8), (2, 4)),
        nn.ShapeError,
        r"a mask of 5 keys must be \(2,\), the lengths, \(2, 5\) or \(2, T, 5\), got \(2, 4\)",
    ),
    "a mask for every query, without a memory": (
        called(ATTENTION, (5, 8), (2, 5, 8), (2, 3, 5)),
        nn.ShapeError,
        r"expected a memory \(N, S, 8\), got \(N, 3, 5\); a mask \(N, T, S\) stands behind a memory",
    ),
    "query, keys and values": (
        called(ATTENTION, (5, 8), (2, 5, 8), (2, 5, 8), (2, 5, 8)),
        nn.ShapeError,
        r"keys and values are both made of the memory: give \(query, memory, mask\)",
    ),
    "a memory of other rows": (
        called(ATTENTION, ((5, 8), (5, 8)), (2, 5, 8), (3, 5, 8)),
        nn.ShapeError,
        "query and memory must have the same rows, got 2 and 3",
    ),
    "mask of a function": (
        lambda: nn.scaled_dot_product_attention(SERIES, SERIES, SERIES, mask=zeros(2, 4, 5)),
        nn.ShapeError,
        r"a mask must broadcast to queries by keys, \(2, 5, 5\), got \(2, 4, 5\)",
    ),
    # wrong rank, wrong width
    "grey images": (
        made(lambda: nn.Conv2D(4, 3), (2, 28, 28)),
        nn.ShapeError,
        r"got \(N, 28, 28\); an image of one channel has an axis for it too, as by Reshape\(\(28, 28, 1\)\)",
    ),
    "flat images": (
        made(lambda: nn.Conv2D(4, 3), (2, 784)),
        nn.ShapeError,
        r"expected input \(N, H, W, C\), channels last, got \(N, 784\); .* by Reshape\(\(H, W, C\)\) before it",
    ),
    "flat series": (made(lambda: nn.Conv1D(4, 3), (2, 9)), nn.ShapeError, r"by Reshape\(\(T, C\)\) before it"),
    "one image": (
        lambda: nn.conv2d(IMAGES[0], *CONV2D),
        nn.ShapeError,
        r"expected input \(N, H, W, 3\), channels last, got \(N, 5, 3\); a single one is a batch of one row",
    ),
    "images of other channels": (
        lambda: nn.conv2d(zeros(2, 5, 5, 2), *CONV2D),
        nn.ShapeError,
        r"expected input \(N, H, W, 3\), channels last, got \(N, 5, 5, 2\)",
    ),
    "images for time": (made(lambda: nn.MaxPool1D(), (2, 5, 5, 3)), nn.ShapeError, r"\(N, T, C\).* got \(N, 5, 5, 3\)"),
    "GlobalAveragePool": (
        made(nn.GlobalAveragePool, (2, 5)),
        nn.ShapeError,
        r"such as \(N, H, W, C\) or \(N, T, C\).* got \(N, 5\); it goes before Flatten",
    ),
    "GlobalMaxPool of nothing": (made(nn.GlobalMaxPool, (2, 0, 5)), nn.ShapeError, r"got \(N, 0, 5\)"),
    "LSTM of rows": (
        made(lambda: nn.LSTM(3), (2, 8)),
        nn.ShapeError,
        r"expected input \(N, T, D\) with at least one step, .* got \(N, 8\); .* by Reshape\(\(T, D\)\) before it",
    ),
    "GRU of images": (made(lambda: nn.GRU(3), (2, 5, 5, 3)), nn.ShapeError, r"got \(N, 5, 5, 3\); .*\(-1, D\)"),
    "RNN of no steps": (made(lambda: nn.RNN(3), (2, 0, 8)), nn.ShapeError, r"at least one step, .* got \(N, 0, 8\)"),
    "LSTM of three": (
        called(nn.LSTM(3), (5, 8), (2, 5, 8), (2, 5), (2, 5)),
        nn.ShapeError,
        r"got \(N, 5, 8\) and \(N, 5\) and \(N, 5\)",
    ),
    "LSTM of another width": (
        called(nn.LSTM(3), (5, 8), (2, 5, 7)),
        nn.ShapeError,
        r"expected input \(N, T, 8\) with at least one step, got \(N, 5, 7\)",
    ),
    "attention of rows": (
        made(lambda: ATTENTION, (2, 8)),
        nn.ShapeError,
        r"expected input \(N, T, D\), .* got \(N, 8\); .* by Reshape\(\(T, D\)\) before it",
    ),
    "attention of another width": (
        called(ATTENTION, (5, 8), (2, 5, 6)),
        nn.ShapeError,
        r"expected input \(N, T, 8\), got \(N, 5, 6\)",
    ),
    "PositionalEmbedding of rows": (
        made(lambda: nn.PositionalEmbedding(4), (2, 5)),
        nn.ShapeError,
        r"expected input \(N, T, D\), got \(N, 5\)",
    ),
    "RMSNorm of another width": (
        called(nn.RMSNorm(), (5,), (2, 4)),
        nn.ShapeError,
        r"expected input \(N, …, 5\), got \(N, 4\)",
    ),
    "Permute": (made(lambda: nn.Permute((2, 1)), (2, 5)), nn.ShapeError, r"order of 2 axes .* got input \(N, 5\)"),
    # channels first by mistake
    "Conv2D, grey, channels first": (made(lambda: nn.Conv2D(4, 3), (2, 1, 28, 28)), nn.ShapeError, FIRST),
    "Conv2D, colour, channels first": (
        made(lambda: nn.Conv2D(4, 3), (2, 3, 28, 28)),
        nn.DataWarning,
        r"input \(N, 3, 28, 28\) is taken as 3 rows, 28 columns and 28 channels, channels last; that " + FIRST,
    ),
    "Conv2D, padded, channels first": (
        made(lambda: nn.Conv2D(4, 3, padding="same"), (2, 1, 28, 28)),
        nn.DataWarning,
        FIRST,
    ),
    "MaxPool2D, channels first": (made(lambda: nn.MaxPool2D(2), (2, 3, 28, 28)), nn.DataWarning, FIRST),
    "conv2d, channels first": (lambda: nn.conv2d(zeros(2, 3, 28, 28), *CONV2D), nn.ShapeError, FIRST),
    "a trained Conv2D, channels first": (
        called(nn.Conv2D(4, 3), (28, 28, 3), (2, 3, 28, 28)),
        nn.ShapeError,
        r"expected input \(N, H, W, 3\), channels last, got \(N, 3, 28, 28\); that " + FIRST,
    ),
    "Conv1D, channels first": (
        called(nn.Conv1D(4, 3), (9, 3), (2, 3, 9)),
        nn.ShapeError,
        r"got \(N, 3, 9\); that looks like channels first, .* put Permute\(\(2, 1\)\) before it",
    ),
    "weights whose filters come first": (
        lambda: nn.conv2d(zeros(2, 5, 5, 3), zeros(4, 3, 3, 3), zeros(4)),
        nn.ShapeError,
        r"w looks like PyTorch's, whose filters come first: permute_dims\(w, \(2, 3, 1, 0\)\) turns it",
    ),
    # parameters of other shapes, which NumPy would broadcast
    "conv2d b": (lambda: nn.conv2d(IMAGES, CONV2D[0], zeros(1)), nn.ShapeError, r"b must have the shape \(4,\)"),
    "conv1d w": (
        lambda: nn.conv1d(SERIES, *CONV2D),
        nn.ShapeError,
        r"w must be \(k, C / groups, filters\), got \(3, 3, 3, 4\)",
    ),
    "dense b": (lambda: nn.dense(zeros(2, 3), zeros(3, 4), zeros(1)), nn.ShapeError, r"b must have the shape \(4,\)"),
    "layer_norm bias": (lambda: nn.layer_norm(zeros(2, 3), zeros(3), zeros(1)), nn.ShapeError, "bias must have the s"),
    "group_norm bias": (lambda: nn.group_norm(zeros(2, 4), zeros(4), zeros(1), 2), nn.ShapeError, "bias must have the"),
    "rms_norm scale": (lambda: nn.rms_norm(zeros(2, 4), zeros(4, 1)), nn.ShapeError, r"scale must have the shape \(4"),
    "batch_norm mean": (
        lambda: nn.batch_norm(zeros(2, 4), zeros(4), zeros(4), zeros(1), zeros(4), training=False),
        nn.ShapeError,
        r"mean must have the shape \(4,\), got \(1,\)",
    ),
    "lstm w": (
        lambda: nn.lstm(SERIES, zeros(8, 9), *LSTM[1:]),
        nn.ShapeError,
        r"w must be \(D, 4 H\) and u \(H, 4 H\), got \(8, 9\) and \(3, 12\)",
    ),
    "lstm b": (lambda: nn.lstm(SERIES, *LSTM[:2], zeros(1)), nn.ShapeError, r"b must have the shape \(12,\), got \(1,"),
    "gru d": (
        lambda: nn.gru(SERIES, zeros(8, 9), zeros(3, 9), zeros(9), zeros(1)),
        nn.ShapeError,
        r"d must have the shape \(3,\), got \(1,\)",
    ),
    "rnn b": (lambda: nn.rnn(SERIES, zeros(8, 3), zeros(3, 3), zeros(1)), nn.ShapeError, r"b must have the shape \(3,"),
    # habits
    "Conv2D(3, 32, 3)": (lambda: nn.Conv2D(3, 32, 3), TypeError, r"channels of the input are inferred: Conv2D\(32, 3"),
    "Conv2D(32, 3, 'relu')": (
        lambda: nn.Conv2D(32, 3, "relu"),
        TypeError,
        r"a layer of its own: Conv2D\(32, 3\), ReLU",
    ),
    "LSTM(28, 64)": (lambda: nn.LSTM(28, 64), TypeError, "return_sequences must be True or False, got 64; LSTM takes"),
    "causal='yes'": (lambda: nn.MultiHeadAttention(2, causal="yes"), TypeError, "causal must be True or False"),
    "in_channels": (lambda: nn.Conv2D(in_channels=3), TypeError, "channels of the input are inferred"),
    "num_heads": (lambda: nn.MultiHeadAttention(num_heads=3), TypeError, r"heads here: MultiHeadAttention\(heads=3\)"),
    "bidirectional": (lambda: nn.LSTM(3, bidirectional=True), TypeError, r"nn.Bidirectional\(nn.LSTM\(…\)\)"),
}


@pytest.mark.parametrize("case", CASES)
def test_an_error_names_its_remedy(case: str) -> None:
    call, kind, said = CASES[case]
    if issubclass(kind, Warning):
        with pytest.warns(kind, match=said):
            call()
        return
    with pytest.raises(kind, match=said) as caught:
        call()
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_the_position_of_the_layer_and_its_source_precede_the_remedy() -> None:
    network = nn.Sequential(nn.Conv2D(4, 3), nn.ReLU(), nn.Conv2D(4, 30))
    with pytest.raises(nn.ShapeError) as caught:
        network.init(np.random.default_rng(0), (28, 28, 1))
    assert str(caught.value) == (
        "Conv2D 'layers.2': a window of (30, 30) is larger than the input (N, 26, 26, 4) from ReLU 'layers.1'; take a "
        "smaller window, or padding='same'"
    )


@pytest.mark.parametrize("shape", [(28, 28, 3), (3, 28, 20), (1, 9, 8), (7, 7, 7), (3, 3, 3), (2, 8, 8)])
def test_images_that_are_not_channels_first_give_no_warning(shape: Shape) -> None:
    nn.Conv2D(2, 3, padding="same").init(np.random.default_rng(0), shape)
    nn.MaxPool2D(2, padding="same").init(np.random.default_rng(0), shape)


def test_a_kernel_of_one_row_gives_no_warning_for_images_of_one_row() -> None:
    nn.Conv2D(2, (1, 3)).init(np.random.default_rng(0), (1, 28, 28))


KINDS = [getattr(layers, name) for name in layers.__all__ if is_dataclass(getattr(layers, name))]
RULES = [
    (kind, name) for kind in KINDS for name in inspect.signature(kind).parameters if re.search("_(init|regular)", name)
]
GIVEN = {"filters": 2, "kernel_size": 2, "units": 2, "heads": 2, "length": 2, "vocabulary": 2}


@pytest.mark.parametrize(("kind", "name"), RULES, ids=lambda part: getattr(part, "__name__", part))
def test_an_initializer_or_regularizer_that_is_not_a_function_is_refused(kind: Any, name: str) -> None:
    asked = inspect.signature(kind).parameters.values()
    needed = {one.name: GIVEN[one.name] for one in asked if one.default is one.empty}
    with pytest.raises(TypeError, match=f"{name} must be .*got 'he'"):
        kind(**needed, **{name: "he"})


@pytest.mark.parametrize(
    "layer", [nn.LSTM(3), nn.Bidirectional(nn.GRU(3)), ATTENTION], ids=lambda layer: str(layer)[:9]
)
def test_lengths_from_0_to_all_steps_are_taken(layer: Any) -> None:
    fitted(layer, SERIES, np.asarray([0, 5]))()
    fitted(layer, SERIES, np.asarray([0.0, 5.0]))()


@pytest.mark.parametrize("how", ["predict", "evaluate", "explain"])
def test_lengths_are_checked_by_every_method(how: str) -> None:
    network = nn.Sequential(nn.LSTM(3), nn.Dense(2))
    model = nn.Model(network, backend="numpy").build(((5, 8), ()))
    x, y = (SERIES, np.asarray([5, 6])), np.asarray([0, 1])
    call = {
        "predict": lambda: model.predict(x),
        "evaluate": lambda: model.evaluate(x, y),
        "explain": lambda: model.explain(x, y),
    }[how]
    with pytest.raises(nn.DataError, match=r"lengths must lie in \[0, 5\], got 6"):
        call()
