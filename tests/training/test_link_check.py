"""A last layer that does not make what the loss takes is warned of, by both names."""

import warnings

import numpy as np
import pytest

import arraynn as nn

LOGITS = [nn.SoftmaxCrossEntropy(), nn.KLDivergence(), nn.SigmoidCrossEntropy(), nn.Focal(), nn.Hinge()]


@pytest.mark.parametrize("end", [nn.Softmax(), nn.Sigmoid(), nn.HardSigmoid()], ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("loss", LOGITS, ids=lambda one: type(one).__name__)
def test_a_second_activation_gives_a_warning_with_both_names(loss, end):
    told = f"the network ends in {type(end).__name__}, and {type(loss).__name__} takes (logits|scores), .*leave"
    for layers in ((nn.Dense(3), end), (nn.Dense(3), nn.Sequential(nn.Identity(), end), nn.Flatten())):
        with pytest.warns(nn.DataWarning, match=told) as found:
            nn.Model(nn.Sequential(*layers), loss, backend="numpy")
        assert [one.filename for one in found] == [__file__]


def test_the_loss_on_probabilities_is_named():
    with pytest.warns(nn.DataWarning, match=r"leave Softmax out, or take nn\.cross_entropy, which takes probabilities"):
        nn.Model(nn.Sequential(nn.Dense(3), nn.Softmax()), backend="numpy")
    with pytest.warns(nn.DataWarning, match=r"leave Sigmoid out, or take nn\.binary_cross_entropy"):
        nn.Model(nn.Sequential(nn.Dense(3), nn.Sigmoid()), nn.sigmoid_cross_entropy, backend="numpy")


@pytest.mark.parametrize(
    ("loss", "layer"), [(nn.CrossEntropy(), "nn.Softmax()"), (nn.BinaryCrossEntropy(), "nn.Sigmoid()")]
)
def test_logits_with_a_loss_on_probabilities_give_a_warning(loss, layer):
    # the loss clips them, and a clipped one has no gradient
    told = f"the network ends in Dense, and {type(loss).__name__} takes probabilities, and clips other numbers: add"
    with pytest.warns(nn.DataWarning, match=told) as found:
        nn.Model(nn.Sequential(nn.Dense(2)), loss, backend="numpy")
    assert f"add {layer}, or take" in str(found[0].message)


@pytest.mark.parametrize(
    ("end", "loss"),
    [
        (nn.Softmax(), nn.cross_entropy),
        (nn.Sigmoid(), nn.binary_cross_entropy),
        (nn.Sigmoid(), nn.mean_squared_error),
        (nn.Tanh(), nn.hinge),
        (nn.Identity(), nn.softmax_cross_entropy),
        (nn.Softplus(), nn.mean_squared_error),
        (nn.Softmax(), lambda outputs, targets, **weights: nn.mean_squared_error(outputs, targets, **weights)),
    ],
)
def test_an_activation_that_fits_the_loss_gives_no_warning(end, loss):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.Model(nn.Sequential(nn.Softmax(), nn.Dense(3), end), loss, backend="numpy")


@pytest.mark.filterwarnings("default")
def test_on_the_command_line_a_warning_is_one_line_on_stderr(tmp_path, capsys):
    from arraynn.cli import main

    path = tmp_path / "double.safetensors"
    with pytest.warns(nn.DataWarning):
        model = nn.Model(nn.Sequential(nn.Dense(3), nn.Softmax()), backend="numpy").build((2,))
    model.save(path)
    np.savez(tmp_path / "x.npz", x=np.ones((2, 2)))
    capsys.readouterr()
    assert main(["predict", str(path), str(tmp_path / "x.npz")]) == 0
    out, err = capsys.readouterr()
    assert "warning" not in out
    assert err.count("\n") == 1
    assert err.startswith("arraynn predict: warning: the network ends in Softmax, and SoftmaxCrossEntropy takes logits")
