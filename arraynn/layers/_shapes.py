"""Shapes as shown in errors, and checks of the shapes and hyperparameters of blocks."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from .. import initializers, regularizers
from .._ranges import flag
from .._types import Array
from ..errors import ShapeError

#: the expression that turns (N,) into a batch of rows
NO_AXIS = "; one number a row is a column, x[:, None], and a single row a batch of one, x[None]"


def check_vectors(length: int, **vectors: Array) -> None:
    """ShapeError unless each is a vector of that length: another length may broadcast and give wrong gradients."""
    for name, vector in vectors.items():
        if tuple(vector.shape) != (length,):
            raise ShapeError(f"{name} must have the shape ({length},), got {tuple(vector.shape)}")


def check_rules(layer: Any) -> None:
    """TypeError unless all initializers and regularizers of a layer are valid."""
    for field in fields(layer):
        if field.name.endswith("_initializer"):
            initializers.checked(field.name, getattr(layer, field.name))
        elif field.name.endswith("_regularizer"):
            regularizers.checked(field.name, getattr(layer, field.name))


def check_flags(layer: Any, *names: str, remedy: str = "") -> None:
    """TypeError unless these hyperparameters are True or False."""
    for name in names:
        flag(name, getattr(layer, name), remedy)
