"""Saved models: one safetensors file, tensors beside a JSON header. No pickle, no import by name, no code run.

Tensors are the weights ("params.0.weight") and the optimizer's slots ("slots.0.weight.m"); the header, under the key
"arraynn", holds what describes them: architecture by registered names, step, epoch, seed, history.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from . import tree
from ._types import Nest
from .backends import backend as resolve
from .errors import ArraynnError, CheckpointError
from .registry import decode, encode

FORMAT = 1


def save(model: Any, path: str | Path) -> None:
    """Write the model; the file appears whole or not at all. CheckpointError where it cannot be written."""
    if model.params is None:
        raise CheckpointError("the model has no weights yet; fit it, or call build(input_shape), before saving")
    nest = {"params": model.params, "slots": model.state["slots"]}
    tensors = {name: np.ascontiguousarray(model.backend.to_numpy(leaf)) for name, leaf in tree.items(nest)}
    names = iter(tensors)
    header = {
        "format": FORMAT,
        "forms": tree.map(lambda _: next(names), nest),
        "network": encode(model.network),
        "loss": encode(model.loss),
        "optimizer": encode(model.optimizer),
        "metrics": encode(model.prepared_metrics),
        "dtype": model.dtype,
        "clip": [model.clip_norm, model.clip_value],
        "seed": model.seed,
        "input_shape": encode(model.input_shape),
        "epoch": model.epoch,
        "step": model.step,
        "history": {name: encode(values) for name, values in model.history.items()},
    }
    data = safetensors.numpy.save(tensors, {"arraynn": json.dumps(header)})
    try:
        write_whole(Path(path), data)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror}; the model is unchanged, save it elsewhere") from None


def load(path: str | Path, backend: Any = "auto", dtype: str | None = None) -> Any:
    """The model in the file, on `backend`, in its own dtype or the given one. CheckpointError for a broken file."""
    from .model import Model

    try:
        with safetensors.safe_open(path, "numpy") as file:
            header = json.loads((file.metadata() or {}).get("arraynn", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {path}") from None
    except (OSError, ValueError, TypeError, RecursionError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path} is no readable safetensors file: {error}") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f"{path} is no model saved by this version of arraynn")
    try:
        clip_norm, clip_value = header["clip"]
        model = Model(
            decode(header["network"]),
            decode(header["loss"]),
            decode(header["optimizer"]),
            metrics=decode(header["metrics"]),
            backend=resolve(backend),
            dtype=dtype or header["dtype"],
            seed=header["seed"],
            clip_norm=clip_norm,
            clip_value=clip_value,
        )
        params, slots = (_filled(header["forms"][part], tensors) for part in ("params", "slots"))
        for name, tensor in tensors.items():
            if not np.isfinite(tensor).all():
                raise CheckpointError(f"{path}: tensor {name!r} holds numbers that are not finite")
        model.restore(params, slots, int(header["step"]), int(header["epoch"]), decode(header["input_shape"]))
        model.history = {str(name): list(map(float, decode(values))) for name, values in header["history"].items()}
    except CheckpointError:
        raise
    except (ArraynnError, AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} does not hold together: {type(error).__name__}: {error}") from None
    return model


def write_whole(path: Path, data: bytes) -> None:
    """Write to a temporary file in the same folder, flush it to the disk, and rename it over `path`."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    if hasattr(os, "O_DIRECTORY"):  # where a folder can be opened, the renaming itself is made to last
        folder = os.open(path.parent, os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _filled(form: Nest, tensors: dict[str, np.ndarray]) -> Nest:
    """The nest of tensor names with the tensors in their places."""

    def tensor(name: Any) -> np.ndarray:
        if name not in tensors:
            raise CheckpointError(f"the header names a tensor {name!r} that the file does not hold")
        return tensors[name]

    return tree.map(tensor, form)
