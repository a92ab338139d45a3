import math

import numpy as np
import pytest

import arraynn as nn
from tests.conftest import installed


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3)])
def test_it_follows_the_loss_contract(keeps_the_rules, rng, shape):
    keeps_the_rules(
        nn.binary_cross_entropy, rng.uniform(0.1, 0.9, shape), (rng.uniform(size=shape) > 0.5).astype(float)
    )


def test_with_probabilities_as_targets_it_follows_the_loss_contract(keeps_the_rules, rng):
    keeps_the_rules(nn.BinaryCrossEntropy(), rng.uniform(0.1, 0.9, (6, 2)), rng.uniform(size=(6, 2)))


def test_the_numbers_worked_by_hand(xp):
    loss, backward = nn.binary_cross_entropy(xp.asarray([[0.8, 0.4]]), xp.asarray([[1.0, 0.0]]))
    assert float(loss) == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2, rel=1e-6)
    assert xp.to_numpy(backward()) == pytest.approx(np.asarray([[-1 / 0.8 / 2, 1 / 0.6 / 2]]), rel=1e-6)


def test_certainty_is_clipped_and_its_gradient_is_zero(xp):
    loss, backward = nn.binary_cross_entropy(xp.asarray([0.0, 1.0]), xp.asarray([1.0, 0.0]))
    # 1 - 1e-7 is no float32, so there the second is log(1 - the nearest float32)
    assert float(loss) == pytest.approx(-math.log(1e-7), rel=1e-6 if xp.has_float64 else 0.02)
    assert not np.any(xp.to_numpy(backward()))


def test_a_right_certainty_has_almost_no_loss(xp):
    loss, _ = nn.binary_cross_entropy(xp.asarray([0.0, 1.0]), xp.asarray([0.0, 1.0]))
    assert 0 < float(loss) < 2e-7


def test_a_column_against_a_row_is_refused(xp):
    with pytest.raises(nn.ShapeError, match=r"targets has shape \(4,\), outputs has \(4, 1\)"):
        nn.binary_cross_entropy(xp.asarray(np.full((4, 1), 0.5)), xp.asarray(np.zeros(4)))


def test_the_link_of_the_dataclass_is_the_identity(rng):
    p = np.asarray([0.2, 0.5, 0.7])
    assert nn.BinaryCrossEntropy().probabilities(p) is p
    assert nn.BinaryCrossEntropy().prediction(p).tolist() == [False, False, True]
    assert nn.BinaryCrossEntropy().targets == "binary"


HALVES = ["float16", pytest.param("bfloat16", marks=pytest.mark.skipif(not installed("torch"), reason="needs torch"))]


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("loss", ["binary", "classes"])
def test_certain_predictions_have_a_finite_loss_in_half_precision(loss, dtype):
    """1 - 1e-7 is 1 there: p = t = 1 gave 0 · log(0)."""
    if dtype == "bfloat16":
        import torch

        p = torch.asarray([[0.0, 1.0], [1.0, 0.0]], dtype=torch.bfloat16)
    else:
        p = np.asarray([[0.0, 1.0], [1.0, 0.0]], np.float16)
    margin = 2.0**-11 if dtype == "float16" else 2.0**-8
    for right in (True, False):
        t = p if right else 1 - p
        value, backward = nn.binary_cross_entropy(p, t) if loss == "binary" else nn.cross_entropy(p, t)
        assert float(value) == pytest.approx(-math.log(1 - margin if right else margin), rel=0.02)
        assert value.dtype == p.dtype
        assert not np.any(np.asarray([[float(g) for g in row] for row in backward()]))


def test_the_clip_in_float32_is_the_books(xp):
    value, _ = nn.binary_cross_entropy(xp.asarray(np.asarray([0.0])), xp.asarray(np.asarray([1.0])))
    assert float(value) == pytest.approx(-math.log(1e-7), rel=1e-6)
