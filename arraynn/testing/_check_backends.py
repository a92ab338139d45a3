"""Do the backends agree, layer by layer?"""

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

Stage = tuple[str, str]  #: where, and what: ("0 Dense", "y")


@dataclass(frozen=True)
class ParityRow:
    """How far one value on one backend is from the first backend's.

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
    """What `check_backends` found: `rows`, plain data in the order of the pass; printed, it is a table."""

    reference: str
    dtype: str
    rows: tuple[ParityRow, ...]

    @property
    def worst(self) -> ParityRow | None:
        """The row with the largest relative error, of those that are more than rounding."""
        return max((row for row in self.rows if not self.is_rounding(row)), key=lambda row: row.relative, default=None)

    def is_rounding(self, row: ParityRow) -> bool:
        """Whether a gradient, and its error, are so small beside the largest gradient that they are made of rounding,
        as of a bias before BatchNorm, whose mean takes it away again: no two backends round alike, and none is wrong.
        """
        gradients = [one.size for one in self.rows if one.quantity.startswith("d")]
        noise = 16 * float(np.finfo(self.dtype).eps) * max(gradients, default=0.0)
        return row.quantity.startswith("d") and 0 < row.size < noise and row.relative * row.size < noise

    def __str__(self) -> str:
        names = list(dict.fromkeys(row.backend for row in self.rows))
        lines = [["layer", "value", *[part for name in names for part in (name, "")]]]
        lines.append(["", "", *["ulps", "relative"] * len(names)])
        for place in dict.fromkeys((row.layer, row.quantity) for row in self.rows):
            found = {row.backend: row for row in self.rows if (row.layer, row.quantity) == place}
            cells = [text for n in names for text in self._cells(found[n])]
            lines.append([*place, *cells])
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
    """Run one forward and backward pass on each backend, from the same numbers, and tell where they come apart.

    model : a `Model`, or a network with its loss= and, unless they shall be drawn from `seed`, its params=.
    x, y : inputs and targets, of any library. names : what `arraynn.backend` takes; the first is the reference.
    key : `Key` of a training pass; None is inference. dtype : "float32" or "float64".
    Returns a `Parity`. Each backend goes on from its own values, so differences add up along the pass; a layer where
    they jump is the one to look at. Where terms cancel, many ulps are no error: look at `relative` too. Where nothing
    but rounding is left of a gradient, the table says so.
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
    own = getattr(model, "params", None) if params is None else params
    if own is None:
        shapes = tree.map(lambda leaf: tuple(leaf.shape[1:]), x)
        own, _ = network.init(np.random.default_rng(seed), shapes, dtype)
    batch = {"params": own, "x": x, "targets": y, "weight": sample_weight}
    if len(names) < 2:
        raise ValueError(f"two backends or more are compared, got {list(names)!r}")
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
    """Every value of one pass, forward and back, on the host, in the order in which they come."""
    with of(tree.leaves(batch["x"])[0]).context():
        seen: dict[Stage, np.ndarray] = {}
        x, backwards = _forward("", network, batch["params"], batch["x"], key, seen)
        value, loss_backward = loss(x, batch["targets"], sample_weight=batch["weight"])
        _keep(seen, "loss", "loss", value)
        dy = loss_backward()
        _keep(seen, "loss", "dy", dy)
        for place, backward in reversed(backwards):
            dy, grads = backward(dy, need_dx=True)
            _keep(seen, place, "dx", dy)
            for path, gradient in tree.items(tree.trained(grads)):
                _keep(seen, place, f"d{path}", gradient)
    return seen


def _forward(prefix: str, network: Any, params: Nest, x: Nest, key: Any, seen: Any) -> tuple[Nest, list[Any]]:
    """The layers of a Sequential one by one, others as a whole: y, and their backwards with their places."""
    if not isinstance(network, Sequential):
        y, backward = network(params, x, key)
        place = f"{prefix} {type(network).__name__}".strip()
        _keep(seen, place, "y", y)
        return y, [(place, backward)]
    backwards = []
    for i, (layer, own) in enumerate(zip(network.layers, params, strict=True)):
        place = f"{prefix}.{i}" if prefix else str(i)
        x, found = _forward(place, layer, own, x, None if key is None else key.fold_in(i), seen)
        backwards += found
    return x, backwards


def _keep(seen: dict[Stage, np.ndarray], place: str, name: str, nest: Nest) -> None:
    for path, leaf in tree.items(nest):
        if leaf is not None:
            seen[place, f"{name}.{path}" if path else name] = np.array(of(leaf).to_numpy(leaf))


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
