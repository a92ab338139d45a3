"""Converts models, blocks and arrays to and from other libraries. Each library is imported on first use.

ONNX: `to_onnx`, `training_step_to_onnx`. PyTorch: `as_torch`, `from_torch`, `to_torch`. JAX: `as_jax`. DLPack, for
arrays of any library without a copy: `from_dlpack`. TensorBoard: the callback `TensorBoard`.
"""

from ._dlpack import from_dlpack
from ._jax import as_jax
from ._ndonnx import training_step_to_onnx
from ._onnx import to_onnx
from ._tensorboard import TensorBoard
from ._torch import as_torch, from_torch, to_torch

__all__ = [
    "TensorBoard",
    "as_jax",
    "as_torch",
    "from_dlpack",
    "from_torch",
    "to_onnx",
    "to_torch",
    "training_step_to_onnx",
]
