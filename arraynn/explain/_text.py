"""Renders stages as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: names of the value that a stage passes to the next one
OUTPUT_NAMES = ("x gradient", "outputs gradient", "y", "x")
#: names under which the next stage lists that value as its input
INPUT_NAMES = ("x", "y gradient", "outputs")
#: names of values that update stages share; a stage does not repeat those equal to the previous stage's
REPEATED = ("formula", "settings", "step", "learning rate", "scalars")


def text(number: int, before: Mapping[str, Any], stage: Mapping[str, Any]) -> Iterator[str]:
    """A stage's lines: title, formula, then its values. An input printed by the previous stage is named only."""
    repeated = before.get("stage") == stage["stage"] == "update"
    previous_output = next((before[name] for name in OUTPUT_NAMES if name in before), None)
    yield f"{number}. {stage['stage']}: {stage['what']}"
    for name, value in stage.items():
        if name in ("stage", "what") or (repeated and name in REPEATED and before.get(name) == value):
            continue
        if name == "formula":
            yield from [f"   {value}"] if value else []
        elif name in ("settings", "scalars"):
            pairs = ", ".join(f"{key} = {_short(part)}" for key, part in value.items() if part is not None)
            label = name if name == "settings" else "of this step"
            yield from [f"   {label}: {pairs}"] if pairs else []
        elif name == "step":
            yield f"   step = {value}, counted from 0"
        elif name in INPUT_NAMES and previous_output == value and isinstance(value, Mapping) and "shape" in value:
            yield f"   {name}  {_shape_and_dtype(value)}, as above"
        else:
            yield from _value(name, value)


def _shape_and_dtype(value: Mapping[str, Any]) -> str:
    shape = ", ".join(map(str, value["shape"])) + ("," if len(value["shape"]) == 1 else "")
    return f"({shape}) {value['dtype']}"


def _value(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and "values" in value:
        yield f"   {name}  {_shape_and_dtype(value)}"
        yield from _matrix(value["values"], "     ")
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from _value(f"{name}[{i}]", part)
    else:
        yield f"   {name} = {_short(value)}" if not isinstance(value, str) else f"   {name}: {value}"


def _matrix(values: Any, indent: str) -> Iterator[str]:
    """Nested lists as rows of aligned numbers; an array of more than two axes as one matrix after another."""
    if not values or not isinstance(values[0], list):
        yield indent + "  ".join(map(_short, values))
        return
    if any(isinstance(part, list) and part and isinstance(part[0], list) for part in values):
        for part in values:
            yield from [indent + "…"] if part == "…" else _matrix(part, indent + "  ")
        return
    rows = [["…"] if row == "…" else [_short(value) for value in row] for row in values]
    columns = max(len(row) for row in rows)
    widths = [max((len(row[i]) for row in rows if i < len(row)), default=0) for i in range(columns)]
    for row in rows:
        yield indent + "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=False))


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value + 0.0:.6g}"  # adding 0.0 turns -0.0 into 0.0
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_short(part)}" for key, part in value.items()) + "}"
    return str(value)
