"""`check_backends`: compares the values and gradients of backends, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import tree
from .._array import is_array, is_float
from .._text import table
from .._types import Array, LayerLike, Nest
from ..backends import Backend, backend, of
from ..layers import Sequential
from ..losses import as_loss

Stage = tuple[str, str]  #: (layer, name of the value): ("0 Dense", "y")


@dataclass(frozen=True)
class ParityRow:
    """The difference of one value on one backend from the first backend's.

    layer : "0 Dense", or "loss". quantity : "y", "dx", or a parameter's gradient, "dweight". backend : its name.
    ulps : the largest |a - b| in units in the last place of the larger of the two, element by element.
    relative : the largest |a - b| over `size`, the largest element of the first backend's array.
    """

    layer: str
    quantity: str
    backend: str
    ulps: float
    relative: float
    size: float


@dataclass(frozen=True)
class Parity:
    """The result of `check_backends`: `rows`, plain data in the order of the pass. It prints as a table."""

    reference: str
    dtype: str
    rows: tuple[ParityRow, ...]

    @property
    def worst(self) -> ParityRow | None:
        """The row with the largest relative error, of those that are more than rounding."""
        return max((row for row in self.rows if not self.is_rounding(row)), key=lambda row: row.relative, default=None)

    def is_rounding(self, row: ParityRow) -> bool:
        """Whether a gradient and its error are so small beside the largest gradient that they are rounding errors.

        An example is a bias before BatchNorm, which cancels it. Backends round differently, and none is wrong.
        """
        gradients = [one.size for one in self.rows if one.quantity.startswith("d")]
        noise = 16 * float(np.finfo(self.dtype).eps) * max(gradients, default=0.0)
        return row.quantity.startswith("d") and 0 < row.size < noise and row.relative * row.size < noise

    def __str__(self) -> str:
        names = list(dict.fromkeys(row.backend for row in self.rows))
        lines = [["layer", "value", *[part for name in names for part in (name, "")]]]
        lines.append(["", "", *["ulps", "relative"] * len(names)])
        for label in dict.fromkeys((row.layer, row.quantity) for row in self.rows):
            found = {row.backend: row for row in self.rows if (row.layer, row.quantity) == label}
            cells = [text for n in names for text in self._cells(found[n])]
            lines.append([*label, *cells])
        title = f"largest difference from {self.reference}, in {self.dtype}"
        return "\n".join([title, table(lines, right=range(2, len(lines[0])))])

    def _cells(self, row: ParityRow) -> tuple[str, str]:
        return f"{row.ulps:.4g}", "rounding" if self.is_rounding(row) else f"{row.relative:.1e}"


def check_backends(
    model: Any,
    x: Nest,
    y: Array,
    names: Sequence[Any],
    *,
    params: Nest | None = None,
    loss: Any = None,
    sample_weight: Array | None = None,
    key: Any = None,
    dtype: str = "float32",
    seed: int = 0,
) -> Parity:
    """Run one forward and backward pass on each backend, from the same numbers, and report where they differ.

    model : a `Model`, or a network with its loss= and its params= (drawn from `seed` if not given).
    x, y : inputs and targets, of any library. names : backends, as for `arraynn.backend`; the first is the reference.
    key : `Key` of a training pass; None is inference. dtype : "float32" or "float64".
    Returns a `Parity`. Each backend continues from its own values, so differences add up along the pass. A layer at
    which they jump is suspect. Where terms cancel, many ulps are no error, so see `relative` too. The table marks
    gradients that consist of rounding errors.
    Raises BackendUnavailable for a backend that cannot be used.

    >>> import numpy as np
    >>> import arraynn as nn
    >>> network = nn.Sequential(nn.Dense(4), nn.ReLU(), nn.Dense(3))
    >>> x, y = np.ones((5, 2)), np.asarray([0, 1, 2, 0, 1])
    >>> report = check_backends(network, x, y, ["numpy", "numpy"], loss=nn.softmax_cross_entropy)
    >>> report.worst.relative, [row.quantity for row in report.rows]
    (0.0, ['y', 'y', 'y', 'loss', 'dy', 'dx', 'dweight', 'dbias', 'dx', 'dx', 'dweight', 'dbias'])
    """
    network = getattr(model, "network", model)
    rule = as_loss(loss if loss is not None else getattr(model, "loss", None))
    weights = getattr(model, "params", None) if params is None else params
    if weights is None:
        shapes = tree.map(lambda leaf: tuple(leaf.shape[1:]), x)
        weights, _ = network.init(np.random.default_rng(seed), shapes, dtype)
    batch = {"params": weights, "x": x, "targets": y, "weight": sample_weight}
    if len(names) < 2:
        raise ValueError(f"names must hold at least two backends to compare, got {list(names)!r}")
    backends = [backend(name) for name in names]
    passes = [_run(network, rule, key, _put(b, batch, dtype)) for b in backends]
    rows = [
        ParityRow(layer, quantity, str(name), *_distance(passes[0][layer, quantity], values[layer, quantity], dtype))
        for layer, quantity in passes[0]
        for name, values in zip(names[1:], passes[1:], strict=True)
    ]
    return Parity(str(names[0]), dtype, tuple(rows))


def _put(where: Backend, batch: Nest, dtype: str) -> Any:
    def put(x: Any) -> Any:
        if not is_array(x):
            return x if x is None else where.asarray(np.asarray(x), dtype)
        return where.asarray(x, dtype if is_float(x) else where.index_dtype)

    with where.context():
        return tree.map(put, batch)


def _run(network: LayerLike, loss: Any, key: Any, batch: Any) -> dict[Stage, np.ndarray]:
    """Every value of one forward and backward pass, on the host, in the order of computation."""
    with of(tree.leaves(batch["x"])[0]).context():
        values_seen: dict[Stage, np.ndarray] = {}
        x, backwards = _forward("", network, batch["params"], batch["x"], key, values_seen)
        value, loss_backward = loss(x, batch["targets"], sample_weight=batch["weight"])
        _record(values_seen, "loss", "loss", value)
        dy = loss_backward()
        _record(values_seen, "loss", "dy", dy)
        for label, backward in reversed(backwards):
            dy, grads = backward(dy, need_dx=True)
            _record(values_seen, label, "dx", dy)
            for path, gradient in tree.items(tree.trained(grads)):
                _record(values_seen, label, f"d{path}", gradient)
    return values_seen


def _forward(prefix: str, network: Any, params: Nest, x: Nest, key: Any, values_seen: Any) -> tuple[Nest, list[Any]]:
    """(y, [(layer's name, backward)]) of a network; the layers of a Sequential are run one by one."""
    if not isinstance(network, Sequential):
        y, backward = network(params, x, key)
        label = f"{prefix} {type(network).__name__}".strip()
        _record(values_seen, label, "y", y)
        return y, [(label, backward)]
    backwards = []
    for i, (layer, weights) in enumerate(zip(network.layers, params, strict=True)):
        label = f"{prefix}.{i}" if prefix else str(i)
        x, found = _forward(label, layer, weights, x, None if key is None else key.fold_in(i), values_seen)
        backwards += found
    return x, backwards


def _record(values_seen: dict[Stage, np.ndarray], label: str, name: str, nest: Nest) -> None:
    for path, leaf in tree.items(nest):
        if leaf is not None:
            values_seen[label, f"{name}.{path}" if path else name] = np.array(of(leaf).to_numpy(leaf))


def _distance(a: np.ndarray, b: np.ndarray, dtype: str) -> tuple[float, float, float]:
    """(ulps, relative, size) of a `ParityRow`."""
    size = float(np.max(np.abs(a), initial=0.0))
    if not a.size:
        return 0.0, 0.0, size
    with np.errstate(invalid="ignore"):
        error = np.where(a == b, 0.0, np.abs(a.astype(np.float64) - b.astype(np.float64)))
    if not np.all(np.isfinite(error)):
        return np.inf, np.inf, size
    larger = np.maximum(np.abs(a), np.abs(b)).astype(dtype)
    relative = float(np.max(error)) / size if size else float(np.max(error) > 0)
    return float(np.max(error / np.spacing(larger))), relative, size
