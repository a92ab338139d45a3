"""`check_backward`: compares a backward with finite differences of its forward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import tree
from .._array import is_array, is_float
from .._types import Array, LayerLike, Nest
from ..backends import of
from ._case import Case, Leaf, case_of, floats_of, host, is_loss, paired, takes_need_dx, widest
from ._differences import ACCURACY, Accuracy, Verdict, elements, hint, judge, wrong_or_kinked

NO_SIDE_EFFECTS = "backward must be free of side effects"
DTYPE_NOTE = {"float32": " (every block is also checked with float32, and must return float32)"}


def check_backward(
    block: Any,
    /,
    *args: Any,
    key: Any = None,
    seed: int = 0,
    rtol: float | None = None,
    limit: int = 400,
    wrt: Sequence[str] | None = None,
    **kwargs: Any,
) -> None:
    """Compare every gradient that backward returns with central differences, s'(x) = (s(x + h) - s(x - h)) / 2h.

    block, args : a block and its arguments: arrays, nests of arrays, or anything else it takes, on any backend;
        or a layer as (layer, params, x) or (layer, x), whose params are then drawn; or a loss as
        (loss, outputs, targets). kwargs go to the block and have no gradient, like a loss's targets.
    key : `Key` of a layer's training pass; None checks inference. seed : of the cotangent dy and of drawn params.
    rtol : None is 1e-6 in float64. If the device has no float64 (JAX without x64, many GPUs), differences are taken in
        float32, which reach 2e-3 at best.
    limit : of a larger array, this many randomly chosen elements are checked.
    wrt : names of the arguments whose gradients backward returns, in its order, if that is not all float arrays.

    s = Σ c y with a random c of both signs. Differences are taken at h and h / 2: halving h quarters the error, so both
    together give the derivative to O(h⁴). Where they disagree with backward, smaller h are tried. Integer arguments and
    values under "statistics" are not checked. A layer's penalty is checked too.

    Raises AssertionError that names the wrong gradient, its worst element, the expected and the actual value, with a
    hint for common mistakes. At a kink (the slopes from both sides differ) the message says so: move the test point.
    It is also raised if y or a gradient has a wrong dtype or shape (float32 in must give float32 out), if an argument
    or dy is written to, if a second call of backward gives another result, and if need_dx=False changes anything
    but dx, which becomes None.

    >>> import numpy as np
    >>> from arraynn import tanh
    >>> check_backward(tanh, np.asarray([1.0, 3.0]))  # correct: nothing is raised
    >>> def double(x):
    ...     return 2 * x, lambda dy: -2 * dy
    >>> check_backward(double, np.asarray([1.0, 3.0]))
    Traceback (most recent call last):
        ...
    AssertionError: double: dx is wrong, at 2 of 2 elements, most at [0]: expected -2.27..., got 2.27... (x[0] = 1)
      it has the opposite sign
    """
    case = case_of(block, args, kwargs, key, seed, wrt)
    arrays = case.arrays()
    if not arrays:
        raise TypeError(f"{case.name}: there is no array among the arguments")
    if not any(map(is_float, arrays)):
        raise TypeError(f"{case.name}: there is no array of floats among the arguments, and integers have no gradient")
    wide = widest(of(arrays[0]))
    for dtype in ("float32", wide) if wide != "float32" else ("float32",):
        rng = np.random.default_rng(seed)
        _check(case.cast(dtype), dtype, rng, rtol if dtype == wide else None, limit if dtype == wide else 0)
    if isinstance(block, LayerLike):
        _check_penalty(block, case.cast(wide), wide, np.random.default_rng(seed), rtol, limit)


def _check_penalty(layer: LayerLike, case: Case, dtype: str, rng: Any, rtol: float | None, limit: int) -> None:
    """Check the penalty as a block of the layer's parameters; missing gradients count as zero."""
    form = case.inputs["params"]
    if not is_array(layer.penalty(form)[0]):
        return  # a plain number, 0.0: no penalty

    def penalty(params: Nest) -> tuple[Any, Callable[..., Any]]:
        value, backward = layer.penalty(params)
        return value, lambda dpenalty=1.0: (None, _with_zeros(params, backward(dpenalty)))

    def run(inputs: dict[str, Nest], rest: Nest) -> Any:
        return penalty(inputs["params"])

    name = f"{case.name}.penalty"
    _check(replace(case, name=name, inputs={"params": form, "x": ()}, rest=(), run=run), dtype, rng, rtol, limit)


def _with_zeros(params: Nest, part: Nest) -> Nest:
    """A penalty's gradient, with zeros where it has none."""
    if isinstance(params, dict):
        return {k: _with_zeros(v, part.get(k) if part is not None else None) for k, v in params.items()}
    if isinstance(params, (list, tuple)):
        return [_with_zeros(v, part[i] if part is not None else None) for i, v in enumerate(params)]
    return params * 0 if part is None else part


def _check(case: Case, dtype: str, rng: Any, rtol: float | None, limit: int) -> None:
    """Run all checks in one dtype; limit 0 leaves out the finite differences."""
    before = [host(x) for x in case.arrays()]
    y, backward = case.call()
    loss = is_loss(backward)
    _same_arrays(before, case.arrays(), f"{case.name}: forward wrote to an argument; y must be a new array")
    _check_outputs(case, y, dtype, loss)
    outputs = floats_of(y)
    if any(np.any(np.isnan(leaf)) for leaf in outputs):
        raise AssertionError(f"{case.name}: y is nan at the test point; take one where forward is defined")
    cotangents = [_random_cotangent(rng, leaf.shape) for leaf in outputs]
    dy = float(cotangents[0]) if loss else _like(y, cotangents)
    dy_before = [host(leaf) for leaf in tree.leaves(dy)]

    first = case.gradients(backward(dy), loss)
    got = _checked_gradients(case, first, dtype)
    kept = {leaf.path: host(gradient) for leaf, gradient in got}
    if limit:
        _check_slopes(case, dtype, got, cotangents, outputs, rng, rtol, limit)

    # The differences have called forward many times; the first backward must still give its own gradients.
    second = _checked_gradients(case, case.gradients(backward(dy), loss), dtype)
    _check_same(case, kept, second, f"called twice, it gave another result; {NO_SIDE_EFFECTS}")
    _same_arrays(before, case.arrays(), f"{case.name}: backward wrote to an argument of forward; {NO_SIDE_EFFECTS}")
    _same_arrays(dy_before, tree.leaves(dy), f"{case.name}: backward wrote to dy; {NO_SIDE_EFFECTS}")
    _same_arrays(outputs, floats_of(y), f"{case.name}: backward wrote to y; {NO_SIDE_EFFECTS}")
    if loss:
        one, default = (_checked_gradients(case, case.gradients(d, loss), dtype) for d in (backward(1.0), backward()))
        _check_same(case, {leaf.path: host(g) for leaf, g in one}, default, "backward() is not backward(1.0)")
    elif case.is_layer or takes_need_dx(backward):
        _check_need_dx(case, backward, dy, kept, dtype)


def _check_outputs(case: Case, y: Nest, dtype: str, loss: bool) -> None:
    if loss and (isinstance(y, (dict, list, tuple)) or np.shape(host(y)) != ()):
        raise AssertionError(f"{case.name}: backward can be called without dy, so y must be one number, 0-d")
    for path, leaf in tree.items(y):
        if is_array(leaf) and is_float(leaf) and leaf.dtype != of(leaf).dtype(dtype):
            where = f"y.{path}" if path else "y"
            note = DTYPE_NOTE.get(dtype, "")
            raise AssertionError(f"{case.name}: {where} has dtype {leaf.dtype}, its arguments {dtype}{note}")


def _checked_gradients(case: Case, gradients: dict[str, Nest], dtype: str) -> list[tuple[Leaf, Array]]:
    """Each gradient with its leaf, after a check of its dtype and shape."""
    leaves = {leaf.path: leaf for leaf in case.leaves()}
    found = []
    for name, gradient in gradients.items():
        if name not in case.inputs:
            raise AssertionError(f"{case.name}: wrt names {name!r}, which is not an argument that holds arrays")
        for path, _, g in paired(name, case.inputs[name], gradient):
            leaf = leaves.get(path)
            if leaf is None:  # integers
                if g is not None:
                    raise AssertionError(f"{case.name}: d{path} must be None, as {path} does not hold floats")
                continue
            if g is None:
                raise AssertionError(f"{case.name}: {leaf.gradient} is None, but {leaf.name} holds floats")
            if not is_array(g) or tuple(g.shape) != tuple(leaf.array.shape):
                shape = tuple(g.shape) if is_array(g) else type(g).__name__
                raise AssertionError(
                    f"{case.name}: {leaf.gradient} has shape {shape}, {leaf.name} has {tuple(leaf.array.shape)}"
                )
            if g.dtype != leaf.array.dtype:
                note = DTYPE_NOTE.get(dtype, "")
                raise AssertionError(f"{case.name}: {leaf.gradient} has dtype {g.dtype}, {leaf.name} has {dtype}{note}")
            found.append((leaf, g))
    return found


def _check_slopes(
    case: Case,
    dtype: str,
    got: list[tuple[Leaf, Array]],
    cotangents: list[np.ndarray],
    outputs: list[np.ndarray],
    rng: Any,
    rtol: float | None,
    limit: int,
) -> None:
    accuracy = ACCURACY[dtype] if rtol is None else replace(ACCURACY[dtype], rtol=rtol)
    wrong, kinks, right = [], [], []
    rows = next((x.shape[0] for x in tree.leaves(case.inputs["x"] if case.is_layer else case.inputs) if x.shape), 0)
    # a gradient that is 0 because its terms cancel, as of a bias before softmax, consists of rounding errors
    sizes = [np.abs(values[np.isfinite(values)]) for values in (host(gradient) for _, gradient in got)]
    rounding = 16 * accuracy.epsilon * max((float(np.max(size, initial=0.0)) for size in sizes), default=0.0)
    for leaf, gradient in got:
        with np.errstate(all="ignore"):  # beside infinite logits, differences may overflow; the block is not to blame
            verdicts = _verdicts(case, leaf, host(gradient), cotangents, outputs, rng, accuracy, limit, rounding)
        bad, kinked = wrong_or_kinked(verdicts)
        wrong += [_error_message(leaf, verdicts, bad, rows, accuracy)] if bad else []
        kinks += [_kink(leaf, kinked[0], len(kinked))] if kinked else []
        right += [] if bad or kinked else [leaf.gradient]
    if wrong or kinks:
        also = [f"  ({', '.join(right)}: right)"] if right else []
        raise AssertionError(f"{case.name}: " + "\n".join([*wrong, *kinks, *also]))


def _verdicts(
    case: Case,
    leaf: Leaf,
    gradient: np.ndarray,
    cotangents: list[np.ndarray],
    outputs: list[np.ndarray],
    rng: Any,
    accuracy: Accuracy,
    limit: int,
    rounding: float,
) -> list[Verdict]:
    values = host(leaf.array)
    backend, kind = of(leaf.array), np.dtype(np.float32 if accuracy.epsilon > 1e-10 else np.float64)
    finite = np.abs(values[np.isfinite(values)])
    typical = float(np.max(finite)) if finite.size and np.max(finite) > 0 else 1.0
    verdicts = []
    for flat in elements(values.size, limit, rng):
        index = tuple(int(i) for i in np.unravel_index(flat, values.shape))
        value, g = float(values[index]), float(gradient[index])
        if not np.isfinite(value):  # it cannot be varied, but its gradient must be finite
            verdicts.append(Verdict(index, value, g, np.nan, bool(np.isfinite(g))))
            continue

        def outputs_at(t: float, index: tuple[int, ...] = index) -> tuple[float, list[np.ndarray]]:
            moved = values.astype(kind)
            moved[index] += t
            point = case.with_leaf(leaf, backend.asarray(moved, str(kind)))
            return float(moved[index]), floats_of(point.call()[0])

        scale = max(abs(value), 0.1 * typical)
        verdicts.append(judge(outputs_at, cotangents, outputs, index, value, scale, g, accuracy, rounding))
    return verdicts


def _error_message(leaf: Leaf, verdicts: list[Verdict], wrong: list[Verdict], rows: int, accuracy: Accuracy) -> str:
    worst = max(wrong, key=lambda v: abs(v.got - v.expected) if np.isfinite(v.got - v.expected) else np.inf)
    shape = tuple(leaf.array.shape)
    finite = [v for v in verdicts if np.isfinite(v.expected)]
    lines = [
        f"{leaf.gradient} is wrong, at {len(wrong)} of {len(verdicts)} elements, most at {list(worst.index)}: "
        f"expected {worst.expected:.10g}, got {worst.got:.10g} ({leaf.name}{list(worst.index)} = {worst.value:g})"
    ]
    known = hint(finite, shape, rows, accuracy) if finite else ""
    return "\n".join(lines + ([f"  {known}"] if known else []))


def _kink(leaf: Leaf, at: Verdict, count: int) -> str:
    left, right = at.kink or (np.nan, np.nan)
    others = f" (and {count - 1} more)" if count > 1 else ""
    return (
        f"there is a kink near {leaf.name}{list(at.index)} = {at.value:g}{others}: the slope is {left:.6g} from the "
        f"left and {right:.6g} from the right, backward says {at.got + 0.0:.6g}; move the test point away from it"
    )


def _check_need_dx(case: Case, backward: Any, dy: Nest, kept: dict[str, np.ndarray], dtype: str) -> None:
    """Check that need_dx=False makes dx None and changes nothing else."""
    if not takes_need_dx(backward):
        raise AssertionError(f"{case.name}: a layer's backward must take need_dx: backward(dy, need_dx=True)")
    gradients = case.gradients(backward(dy, need_dx=False), False)
    name = "x" if case.is_layer else next(iter(gradients))
    if gradients.pop(name) is not None:
        raise AssertionError(f"{case.name}: with need_dx=False, d{name} must be None")
    found = _checked_gradients(case, gradients, dtype)
    _check_same(case, kept, found, "with need_dx=False it differs")


def _check_same(case: Case, kept: dict[str, np.ndarray], found: list[tuple[Leaf, Array]], what: str) -> None:
    for leaf, gradient in found:
        if not np.array_equal(kept[leaf.path], host(gradient), equal_nan=True):
            raise AssertionError(f"{case.name}: {leaf.gradient}: {what}")


def _same_arrays(before: list[np.ndarray], after: Sequence[Any], what: str) -> None:
    for x, y in zip(before, after, strict=True):
        if not np.array_equal(x, host(y), equal_nan=True):
            raise AssertionError(what)


def _random_cotangent(rng: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Random numbers of both signs, none near 0, that are exact in float32."""
    drawn = rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)
    return np.asarray(drawn, dtype=np.float32).astype(np.float64)


def _like(y: Nest, cotangents: list[np.ndarray]) -> Nest:
    """The cotangents as arrays like the float leaves of y; other leaves become None."""
    rest = iter(cotangents)
    return tree.map(lambda leaf: of(leaf).asarray(next(rest), leaf.dtype) if is_float(leaf) else None, y)
