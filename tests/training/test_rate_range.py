"""The learning-rate range test leaves the model alone, ends where the loss explodes, and finds a rate that works."""

import numpy as np
import pytest

import arraynn as nn


def model_of(optimizer=None, **options):
    network = nn.Sequential(nn.Dense(32), nn.ReLU(), nn.Dense(2))
    return nn.Model(network, optimizer=optimizer or nn.SGD(), backend="numpy", **options)


X, Y = nn.datasets.moons(200)


def test_the_model_is_left_as_it_is():
    model = model_of(nn.Adam(0.01)).build((2,))
    weights = nn.tree.copy(model.params)
    nn.learning_rate_range(model, X, Y, steps=20)
    assert model.optimizer == nn.Adam(0.01)
    assert (model.step, model.epoch, model.history) == (0, 0, {})
    for a, b in zip(nn.tree.leaves(weights), nn.tree.leaves(model.params), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rates_rise_by_a_factor_and_the_losses_are_those_of_steps():
    found = nn.learning_rate_range(model_of(), X, Y, low=1e-4, high=1e-2, steps=5, batch_size=400)
    np.testing.assert_allclose(found.rates, [1e-4, 10**-3.5, 1e-3, 10**-2.5, 1e-2])
    model = model_of()
    for rate, loss in zip(found.rates, found.losses, strict=True):
        model.optimizer = nn.SGD(rate)
        # the whole set, in another order: the sums may differ in their last bits
        assert model.fit(X, Y, batch_size=None)["loss"][-1] == pytest.approx(loss, rel=1e-5)


def test_it_ends_where_the_loss_explodes():
    found = nn.learning_rate_range(model_of(), 10 * X, Y, high=1e6, steps=200)
    assert len(found.rates) < 200
    assert found.rates[-1] < 1e6
    assert found.suggestion < found.rates[-1] / 10


def test_the_suggestion_learns():
    found = nn.learning_rate_range(model_of(), X, Y, high=100.0)
    assert 1e-3 < found.suggestion < 10
    model = model_of(nn.SGD(nn.OneCycle(found.suggestion, steps=390)))
    model.fit(X, Y, epochs=30)
    assert model.evaluate(*nn.datasets.moons(200, seed=1))["accuracy"] > 0.85


def test_a_fitted_model_is_copied_and_unchanged():
    model = model_of()
    model.fit(X, Y, epochs=3)
    before = model.history["loss"][-1]
    found = nn.learning_rate_range(model, X, Y, steps=5, high=1e-5, batch_size=400)
    assert found.losses[0] < before
    assert len(model.history["loss"]) == 3


def test_arrays_of_every_library_are_taken(xp):
    found = nn.learning_rate_range(nn.Model(model_of().network), xp.asarray(X), xp.asarray(Y), steps=5)
    assert len(found.losses) == 5


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"low": 0}, "rates must be finite and rise from above 0, got low=0"),
        ({"low": 1.0, "high": 0.1}, "got low=1.0 and high=0.1"),
        ({"steps": 1}, "steps must be an integer of at least 2, got 1"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
    ],
)
def test_arguments_out_of_range_are_refused(wrong, told):
    with pytest.raises(nn.DataError, match=told):
        nn.learning_rate_range(model_of(), X, Y, **wrong)


def test_the_result_can_be_plotted():
    pytest.importorskip("matplotlib")
    found = nn.learning_rate_range(model_of(), X, Y, steps=20)
    (axes,) = nn.plot.learning_rate_range(found).axes
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()][-1].startswith("suggestion")


def test_labels_and_tables_are_taken_as_by_fit():
    want = nn.learning_rate_range(model_of(), X, Y, steps=8)
    labels = np.array(["ham", "spam"])[Y]
    assert nn.learning_rate_range(model_of(classes=("ham", "spam")), X, labels, steps=8).losses == want.losses
    frame = {"a": X[:, 0].tolist(), "b": X[:, 1].tolist(), "kind": labels.tolist()}
    model = model_of(encoding=nn.TableEncoding.learn(frame, target="kind"))
    assert len(nn.learning_rate_range(model, frame, steps=8).losses) == 8
    with pytest.raises(nn.DataError, match="y is missing: give learning_rate_range"):
        nn.learning_rate_range(model_of(), X)
