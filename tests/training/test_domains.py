"""Targets outside a loss's domain are refused on every path, before anything is trained."""

import numpy as np
import pytest

import arraynn as nn
from arraynn.training.validation import in_domain

X = np.random.default_rng(0).standard_normal((12, 3)).astype(np.float32)
Z = (X[:, 0] > 0).astype(int)
WRONG = [
    (nn.Hinge(), Z + 1, r"y holds 2 in row \d+; Hinge takes targets of 0 and 1, or of -1 and 1: number the two"),
    (nn.Hinge(), Z - 1, r"y holds (0|-1) in row \d+; Hinge takes targets of 0 and 1"),
    (nn.Hinge(), Z * 0.5, r"y holds 0.5 in row \d+; Hinge"),
    (nn.Hinge(), np.where(np.arange(12) < 4, -1, Z), r"y holds -1 in row 0; Hinge|y holds 0 in row"),
    (nn.Poisson(), Z * 2 - 1, r"y holds -1 in row \d+; Poisson takes targets of at least 0: counts"),
    (nn.Focal(), Z * 0.5, r"y holds 0.5 in row \d+; Focal takes targets of 0 and 1"),
    (nn.SigmoidCrossEntropy(), Z + 1, r"y holds 2 in row \d+; SigmoidCrossEntropy takes targets in \[0, 1\]"),
    (nn.BinaryCrossEntropy(), Z * 2 - 1, r"y holds -1 in row \d+; BinaryCrossEntropy takes targets in \[0, 1\]"),
]


def model_of(loss):
    return nn.Model(nn.Sequential(nn.Dense(1), nn.Sigmoid()), _plain(loss), backend="numpy")


def _plain(loss):
    """The loss as one of a user's, whose outputs nobody knows, so that the sigmoid is not remarked on."""
    return type(type(loss).__name__, (type(loss),), {"outputs": "values"})()


@pytest.mark.parametrize(("loss", "y", "told"), WRONG)
def test_targets_outside_the_domain_are_refused_by_every_method(loss, y, told):
    model = model_of(loss)
    with pytest.raises(nn.DataError, match=told):
        model.fit(X, y)
    with pytest.raises(nn.DataError, match=told):
        model.fit(iter([(X, y)]))
    with pytest.raises(nn.DataError, match=told):
        model.fit(X, Z, validation_data=(X, y))
    assert (model.params, model.history) == (None, {})
    model.fit(X, Z)
    with pytest.raises(nn.DataError, match=told):
        model.evaluate(X, y)
    with pytest.raises(nn.DataError, match=told):
        model.explain(X, y)


@pytest.mark.parametrize(("loss", "y", "told"), WRONG)
def test_arrays_of_any_library_are_refused(xp, loss, y, told):
    with pytest.raises(nn.DataError, match=told):
        in_domain("y", xp.asarray(y.astype(np.float32)), loss.domain, type(loss).__name__)
    in_domain("y", xp.asarray(Z.astype(np.float32)), loss.domain, type(loss).__name__)
    in_domain("y", xp.asarray(Z.astype(np.uint8)), loss.domain, type(loss).__name__)
    in_domain("y", xp.asarray(Z == 1), loss.domain, type(loss).__name__)


@pytest.mark.parametrize("y", [Z, Z * 2 - 1, Z == 1, Z.astype(np.float64), np.ones(12), -np.ones(12)])
def test_hinge_takes_targets_of_0_and_1_and_of_minus_1_and_1(y):
    nn.Model(nn.Sequential(nn.Dense(1)), nn.hinge, backend="numpy").fit(X, y)


@pytest.mark.parametrize("loss", [nn.MeanSquaredError(), nn.Huber(), nn.Quantile(), nn.LogCosh()])
def test_losses_of_values_take_any_numbers(loss):
    assert loss.domain == nn.Domain()
    nn.Model(nn.Sequential(nn.Dense(1)), loss, backend="numpy").fit(X, X[:, 0] * 1e3)


def test_a_users_loss_states_its_domain():
    class Positive(nn.MeanSquaredError):
        domain = nn.Domain(low=1e-3)

    model = nn.Model(nn.Sequential(nn.Dense(1)), Positive(), backend="numpy")
    with pytest.raises(nn.DataError, match=r"y holds 0 in row \d; Positive takes targets of at least 0.001$"):
        model.fit(X, Z)
