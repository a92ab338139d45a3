"""Arrays shared between libraries."""

from __future__ import annotations

import numpy as np
import pytest

import arraynn as nn
from arraynn import interop, tree


def test_numpy_to_numpy_shares_memory():
    x = np.zeros(3)
    y = interop.from_dlpack([x])[0]
    assert np.shares_memory(x, y)


def test_torch_in_and_out_share_memory():
    torch = pytest.importorskip("torch")
    nest = {"w": torch.zeros(3, requires_grad=True)}
    ours = interop.from_dlpack(nest, "numpy")
    theirs = interop.from_dlpack(ours, "torch")
    ours["w"][0] = 5.0
    assert nest["w"][0] == theirs["w"][0] == 5.0


def test_jax_in_and_out(rng):
    jax = pytest.importorskip("jax")
    x = rng.standard_normal(3).astype(np.float32)
    there = interop.from_dlpack(x, "jax")
    assert isinstance(there, jax.Array)
    np.testing.assert_array_equal(interop.from_dlpack(there, "numpy"), x)


def test_weights_of_a_model_are_exported_without_a_copy():
    model = nn.Model(nn.Sequential(nn.Dense(2)), backend="numpy").build((3,))
    shared = interop.from_dlpack(model.params, "numpy")
    for ours, theirs in zip(tree.leaves(model.params), tree.leaves(shared), strict=True):
        assert np.shares_memory(ours, theirs)


@pytest.mark.parametrize("leaf", [1.0, "text"])
def test_objects_without_dlpack_are_refused(leaf):
    with pytest.raises(nn.DataError, match="asarray"):
        interop.from_dlpack({"w": leaf})


def test_arrays_that_cannot_be_shared_are_refused():
    with pytest.raises(nn.DataError, match="put"):
        interop.from_dlpack(np.asarray(["text"]))
