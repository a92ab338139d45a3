"""A network as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import tree
from .._text import row_shape, table
from .._types import Nest, Shape


def summary(network: Any, input_shape: Shape, dtype: str) -> str:
    """The layers of a combinator, one per line: position, kind, output shape, trained parameters and bytes of `dtype`.

    A Residual or a Concatenate has a line of its own, above those of its layers.
    """
    rows = [("", "layer", "output", "parameters", "bytes"), ("", "input", row_shape(input_shape), "", "")]
    rows += [
        (path, kind, row_shape(shape), f"{count:,}" if count else "", f"{size:,}" if size else "")
        for path, kind, shape, count, size in _lines(network, tuple(input_shape), dtype, "")
    ]
    count, size = _cost(network.init(np.random.default_rng(0), tuple(input_shape), dtype)[0])
    rows.append(("", "total", "", f"{count:,}", f"{size:,}"))
    return table(rows, right=(3, 4))


def _lines(network: Any, shape: Shape, dtype: str, prefix: str) -> Iterator[tuple[str, str, Shape, int, int]]:
    network.init(np.random.default_rng(0), shape, dtype)  # raises where shapes do not fit, with the layer's position
    parts = shape
    for i, layer in enumerate(network.layers):
        path = f"{prefix}{i}"
        if getattr(network, "by_part", False):
            shape = parts[i]  # type: ignore[assignment]
        params, output = layer.init(np.random.default_rng(0), shape, dtype)
        if not hasattr(layer, "layers"):
            yield path, type(layer).__name__, output, *_cost(params)
        else:
            if not getattr(layer, "transparent", False):
                yield path, type(layer).__name__, output, 0, 0  # its contents are counted in the lines below
            yield from _lines(layer, shape, dtype, f"{path}.")
        if not getattr(network, "parallel", False):
            shape = output


def _cost(params: Nest) -> tuple[int, int]:
    """How many numbers are trained, and the bytes of all, statistics too."""
    count = sum(math.prod(leaf.shape) for leaf in tree.leaves(tree.trained(params)))
    return count, sum(leaf.nbytes for leaf in tree.leaves(params))
