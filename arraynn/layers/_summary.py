"""A network as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import tree
from .._types import Shape


def summary(network: Any, input_shape: Shape, dtype: str) -> str:
    """The layers of a Sequential, one a line: place, kind, output shape, parameters and bytes of `dtype`."""
    rows = [("", "layer", "output", "parameters", "bytes"), ("", "input", _shape(input_shape), "", "")]
    rows += [
        (path, kind, _shape(shape), f"{count:,}" if count else "", f"{size:,}" if size else "")
        for path, kind, shape, count, size in _lines(network, tuple(input_shape), dtype, "")
    ]
    leaves = tree.leaves(network.init(np.random.default_rng(0), tuple(input_shape), dtype)[0])
    count, size = sum(math.prod(leaf.shape) for leaf in leaves), sum(leaf.nbytes for leaf in leaves)
    rows.append(("", "total", "", f"{count:,}", f"{size:,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    aligned = ("<", "<", "<", ">", ">")
    lines = ["  ".join(f"{c:{a}{w}}" for c, a, w in zip(row, aligned, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def _lines(network: Any, shape: Shape, dtype: str, prefix: str) -> Iterator[tuple[str, str, Shape, int, int]]:
    network.init(np.random.default_rng(0), shape, dtype)  # raises where shapes do not fit, with the layer's place
    for i, layer in enumerate(network.layers):
        path = f"{prefix}{i}"
        if hasattr(layer, "layers"):
            yield from _lines(layer, shape, dtype, f"{path}.")
            _, shape = layer.init(np.random.default_rng(0), shape, dtype)
            continue
        params, shape = layer.init(np.random.default_rng(0), shape, dtype)
        leaves = tree.leaves(params)
        count, size = sum(math.prod(leaf.shape) for leaf in leaves), sum(leaf.nbytes for leaf in leaves)
        yield path, type(layer).__name__, shape, count, size


def _shape(shape: Shape) -> str:
    return "(" + ", ".join(["N", *map(str, shape)]) + ")"
