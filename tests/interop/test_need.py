"""What an absent library says."""

from __future__ import annotations

import sys

import pytest

import arraynn as nn
from arraynn import interop


@pytest.mark.parametrize(
    ("library", "extra", "call"),
    [
        ("torch", "torch", lambda path: interop.as_torch(nn.relu)),
        ("torch", "torch", lambda path: interop.from_torch(None)),
        ("jax", "jax", lambda path: interop.as_jax(nn.relu)),
        ("onnx", "onnx", lambda path: interop.to_onnx(nn.Model(nn.Sequential(nn.Dense(1))), path / "m.onnx")),
        ("ndonnx", "onnx", lambda path: interop.training_step_to_onnx(nn.Model(nn.Sequential()), path / "m.onnx", 1)),
        ("tensorboardX", "tensorboard", interop.TensorBoard),
    ],
)
def test_an_absent_library_names_its_extra(library, extra, call, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf'{library} .*pip install "arraynn\[{extra}\]"'):
        call(tmp_path)
