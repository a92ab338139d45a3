from dataclasses import dataclass

import numpy as np
import pytest

import arraynn as nn
from arraynn.losses import FunctionLoss, Loss, as_loss

PAIRS = [
    (nn.binary_cross_entropy, nn.BinaryCrossEntropy),
    (nn.cross_entropy, nn.CrossEntropy),
    (nn.mean_absolute_error, nn.MeanAbsoluteError),
    (nn.mean_squared_error, nn.MeanSquaredError),
    (nn.sigmoid_cross_entropy, nn.SigmoidCrossEntropy),
    (nn.softmax_cross_entropy, nn.SoftmaxCrossEntropy),
]


@pytest.mark.parametrize(("block", "kind"), PAIRS)
def test_as_loss_turns_a_function_into_its_dataclass(block, kind):
    assert as_loss(block) == kind()
    assert as_loss(kind()) == kind()
    assert hash(kind()) == hash(kind())
    assert kind().metric is not None


def test_the_total_is_the_number_of_rows_or_the_sum_of_the_weights(xp):
    targets = xp.asarray([1, 2, 3])
    assert nn.SoftmaxCrossEntropy().total(targets) == 3
    assert float(nn.SoftmaxCrossEntropy().total(targets, xp.asarray([0.5, 0.5, 1.5]))) == 2.5


def test_a_custom_function_is_a_loss_of_values():
    def own(outputs, targets, *, sample_weight=None, total=None):
        return nn.mean_squared_error(outputs, targets, sample_weight=sample_weight, total=total)

    loss = as_loss(own)
    assert loss == FunctionLoss(own)
    assert loss.targets == "values"
    assert float(loss(np.ones(2), np.zeros(2), total=4)[0]) == 0.5


@pytest.mark.parametrize("what", [None, 3, [1]])
def test_what_is_not_a_loss_is_refused(what):
    with pytest.raises(TypeError, match=r"loss must be a loss block or a Loss, such as nn.softmax_cross_entropy, got"):
        as_loss(what)


@pytest.mark.parametrize("block", [nn.softmax_cross_entropy, nn.mean_squared_error, nn.focal, nn.kl_divergence])
def test_as_loss_takes_the_name_of_a_function(block):
    assert as_loss(block.__name__) == as_loss(block)
    assert as_loss("mse") == nn.MeanSquaredError()
    assert as_loss("mae") == nn.MeanAbsoluteError()


THEIRS = {
    # Keras, PyTorch, scikit-learn, XGBoost, LightGBM: logits in some, probabilities in others
    "softmax_cross_entropy.*cross_entropy": (
        *("categorical_crossentropy", "sparse_categorical_crossentropy", "CategoricalCrossentropy"),
        *("CrossEntropyLoss", "NLLLoss", "nll_loss", "SparseCategoricalCrossentropy", "ce"),
    ),
    "sigmoid_cross_entropy.*binary_cross_entropy": (
        *("bce", "BCE", "BCELoss", "BCEWithLogitsLoss", "binary_crossentropy", "BinaryCrossentropy"),
        "binary_cross_entropy_with_logits",
    ),
    "for classes nn.softmax_cross_entropy.*for binary outputs nn.sigmoid_cross_entropy": (
        *("log_loss", "logloss", "logistic", "crossentropy", "cross-entropy", "xent"),
    ),
}


@pytest.mark.parametrize(("forms", "name"), [(forms, name) for forms, names in THEIRS.items() for name in names])
def test_the_cross_entropy_name_of_another_library_is_refused_with_both_forms(forms, name):
    with pytest.raises(ValueError, match=rf"loss '{name}' means different things in different libraries: .*{forms}"):
        as_loss(name)


def test_a_subclass_without_a_call_says_so():
    @dataclass(frozen=True)
    class Silent(Loss):
        pass

    with pytest.raises(NotImplementedError, match="Silent must define __call__"):
        Silent()(np.zeros(2), np.zeros(2))


def test_a_custom_loss_gets_no_row_of_weight_0(xp):
    def own(outputs, targets, *, sample_weight, total):
        error = outputs - targets
        return (error * error * sample_weight).sum() / total, lambda dloss=1.0: 2 * error * sample_weight / total

    outputs, weight = np.asarray([1.0, np.nan]), xp.asarray(np.asarray([1.0, 0.0]))
    if not hasattr(xp.asarray(outputs), "sum"):
        pytest.skip("the block is written with methods")
    value, backward = nn.as_loss(own)(
        xp.asarray(outputs), xp.asarray(np.asarray([3.0, np.nan])), sample_weight=weight, total=1.0
    )
    assert float(value) == 4.0
    assert xp.to_numpy(backward()).tolist() == [-4.0, 0.0]
