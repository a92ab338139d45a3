"""A model is a value that can be copied: by copy, pickle and other processes, before, after and within a fit."""

import copy
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import array_api_strict
import numpy as np
import pytest

import arraynn as nn
from arraynn import tree

X, Y = nn.datasets.spiral(10, 3)
COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
}


def make(backend="numpy", **options):
    network = nn.Sequential(nn.Dense(8), nn.BatchNorm(), nn.ReLU(), nn.Dropout(0.2), nn.Dense(3))
    return nn.Model(network, optimizer=nn.Adam(0.02), backend=backend, **options)


def numbers(model):
    return [np.array(model.backend.to_numpy(leaf)) for leaf in tree.leaves([model.params, model.state["slots"]])]


def assert_equal(one, other):
    assert (one.epoch, one.step, one.history) == (other.epoch, other.step, other.history)
    for a, b in zip(numbers(one), numbers(other), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_of_a_fitted_model_trains_independently_to_the_same_bits(backend, way):
    model = make(backend)
    model.fit(X, Y, epochs=2)
    before = numbers(model)
    other = COPIES[way](model)
    assert (other.backend.name, other.backend.device) == (model.backend.name, model.backend.device)
    assert_equal(other, model)
    other.fit(X, Y, epochs=2)
    for a, b in zip(numbers(model), before, strict=True):
        np.testing.assert_array_equal(a, b)  # nothing is shared
    assert model.epoch == 2
    model.fit(X, Y, epochs=2)
    assert_equal(other, model)


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_made_before_the_first_data_draws_the_same_weights(way):
    model = make(seed=np.random.default_rng(5))
    other = COPIES[way](model) if way != "copy" else copy.deepcopy(model)
    assert_equal(other.build((2,)), model.build((2,)))


@pytest.mark.parametrize("wanted", [array_api_strict, array_api_strict.asarray([0.0]), nn.backend("numpy"), None])
def test_a_backend_given_as_an_object_is_copied_too(wanted):
    for model in (make(wanted), make(wanted).build((2,))):
        other = pickle.loads(pickle.dumps(model))
        assert other.backend.name == model.backend.name


def test_a_callback_may_copy_the_model_within_a_fit(backend):
    kept = []

    class Keep(nn.Callback):
        def on_epoch_end(self, model, epoch, logs):
            kept.append((copy.deepcopy(model), numbers(model)))

    model = make(backend)
    model.fit(X, Y, epochs=3, callbacks=[Keep()])
    for epoch, (other, then) in enumerate(kept):
        assert other.epoch == epoch + 1
        for a, b in zip(numbers(other), then, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_model_is_pickled_to_another_process_and_back():
    model = make()
    model.fit(X, Y, epochs=1)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(nn.Model.predict, (model, X)), model.predict(X))
        assert_equal(pool.apply(copy.copy, (model,)), model)


def test_copies_may_be_used_by_threads():
    model = make()
    model.fit(X, Y, epochs=1)
    with ThreadPoolExecutor(2) as pool:
        losses = list(pool.map(lambda one: one.fit(X, Y, epochs=2)["loss"], [copy.deepcopy(model) for _ in range(4)]))
    assert losses == [losses[0]] * 4


def test_a_pickle_from_a_machine_with_another_library_says_what_is_missing(monkeypatch):
    model = make("array_api_strict:device1")
    model.fit(X, Y)
    text = pickle.dumps(model)
    assert b"array_api_strict" in text
    with pytest.raises(nn.BackendUnavailable, match="no device 'nowhere'"):
        pickle.loads(text.replace(b"\x07device1", b"\x07nowhere"))
