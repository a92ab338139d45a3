"""What may be given as callbacks, to a Model and to an estimator."""

import numpy as np
import pytest

import arraynn as nn
from arraynn.training.dispatch import as_callbacks

X, Y = nn.datasets.spiral(10, 3)


class Count(nn.Callback):
    def __init__(self):
        self.epochs = []

    def on_epoch_end(self, model, epoch, logs):
        self.epochs.append(epoch)


def model_fit(callbacks):
    nn.Model(nn.Sequential(nn.Dense(3)), backend="numpy").fit(X, Y, epochs=2, callbacks=callbacks)


def estimator_fit(callbacks):
    pytest.importorskip("sklearn")
    from arraynn.sklearn import MLPClassifier

    with pytest.warns(UserWarning, match="Maximum iterations"):
        MLPClassifier(max_iter=2, callbacks=callbacks).fit(X, Y)


@pytest.fixture(params=[model_fit, estimator_fit])
def fit(request):
    return request.param


def test_callbacks_may_be_none_or_an_empty_list(fit):
    for none in (None, (), []):
        fit(none)


def test_one_callback_needs_no_list(fit):
    one, listed = Count(), Count()
    fit(one)
    fit([listed])
    assert one.epochs == listed.epochs == [0, 1]


def test_a_generator_of_callbacks_is_taken():
    one = Count()
    model_fit(each for each in [one])
    assert one.epochs == [0, 1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (nn.EarlyStopping, r"the class EarlyStopping; give an instance of it, as EarlyStopping\(…\)"),
        ([Count(), nn.CSVLog], r"the class CSVLog; give an instance"),
        ([np.zeros(3)], r"instances of subclasses of nn.Callback, got array"),
        ("early_stopping", r"instances of subclasses of nn.Callback, got 'early_stopping'"),
        (7, r"instances of subclasses of nn.Callback, got 7"),
        ([print], r"got <built-in function print>"),
    ],
)
def test_an_object_that_is_not_a_callback_is_refused_before_training(given, said):
    with pytest.raises(TypeError, match=said):
        as_callbacks(given)
    model = nn.Model(nn.Sequential(nn.Dense(3)), backend="numpy")
    with pytest.raises(TypeError, match=said):
        model.fit(X, Y, callbacks=given)
    assert model.params is None


@pytest.mark.parametrize("given", [nn.EarlyStopping, [nn.EarlyStopping]])
def test_estimators_refuse_a_callback_class(given):
    pytest.importorskip("sklearn")
    from arraynn.sklearn import MLPClassifier

    mlp = MLPClassifier(callbacks=given)
    with pytest.raises(TypeError, match="give an instance of it, as EarlyStopping"):
        mlp.fit(X, Y)
    assert not hasattr(mlp, "coefs_")
