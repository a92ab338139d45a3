"""Renders stages as one self-contained HTML page, whose content security policy forbids it to load anything."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ._text import INPUT_NAMES, OUTPUT_NAMES, REPEATED
from ._worked import worked_example

STATIC = Path(__file__).parent / "static"
SHADES = 9  #: of each of the two colours in steps.css, for positive and for negative numbers

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<link rel="icon" href="data:,">
<title>One training step in full</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>One training step in full</h1>
{steps}
</main>
<script type="module">{script}</script>
</body>
</html>
"""


def page(stages: Sequence[Mapping[str, Any]]) -> str:
    """The stages as a whole HTML page, with style and script."""
    style = (STATIC / "steps.css").read_text(encoding="utf-8")
    script = (STATIC / "steps.js").read_text(encoding="utf-8").replace("export ", "") + "\nwire(document);\n"
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}"
    return PAGE.format(policy=policy, style=style, steps=fragment(stages), script=script)


def framed(stages: Sequence[Mapping[str, Any]]) -> str:
    """The page inside an iframe, as a notebook shows it."""
    attributes = 'sandbox="allow-scripts" width="100%" height="560" title="One training step in full"'
    return f'<iframe {attributes} srcdoc="{escape(page(stages))}"></iframe>'


def fragment(stages: Sequence[Mapping[str, Any]]) -> str:
    """The stages alone as HTML, for a page that already has the style and the script."""
    return f'<ol class="steps">\n{"".join(_stage(stages, n) for n in range(len(stages)))}</ol>'


def _stage(stages: Sequence[Mapping[str, Any]], n: int) -> str:
    stage, before = stages[n], stages[n - 1] if n else {}
    lines = "".join(_lines(stages, n, before))
    kind, what = escape(stage["stage"]), escape(stage["what"])
    return f'<li class="stage" id="stage-{n + 1}" data-kind="{kind}"><h2>{kind}: {what}</h2>{lines}</li>\n'


def _lines(stages: Sequence[Mapping[str, Any]], n: int, before: Mapping[str, Any]) -> Iterator[str]:
    stage = stages[n]
    repeated = before.get("stage") == stage["stage"] == "update"
    previous_output = next((before[name] for name in OUTPUT_NAMES if name in before), None)
    if stage["formula"]:
        yield f'<p class="formula">{escape(stage["formula"])}</p>'
    for line in worked_example(stage, _forward_of(stages, n)):
        yield f'<p class="worked">{escape(line)}</p>'
    for source in _sources(stages, n):
        yield f'<p class="source">{source}</p>'
    for name, value in stage.items():
        if name in ("stage", "what", "formula") or (repeated and name in REPEATED and before.get(name) == value):
            continue
        if name in ("settings", "scalars"):
            yield _pairs(name, value)
        elif name in INPUT_NAMES and previous_output == value and isinstance(value, Mapping) and "shape" in value:
            source = f'from <a href="#stage-{n}">step {n}</a>'
            yield f'<p class="given">{escape(name)} {_shape_and_dtype(value)}: {source}</p>'
        else:
            yield _value(name, value)


def _forward_of(stages: Sequence[Mapping[str, Any]], n: int) -> Mapping[str, Any]:
    kinds = ("forward", "loss")
    return next((other for other in stages if other["what"] == stages[n]["what"] and other["stage"] in kinds), {})


def _sources(stages: Sequence[Mapping[str, Any]], n: int) -> Iterator[str]:
    """Links to the stages whose gradients add up to the gradient of an update stage."""
    path = re.match(r"\w+ on '(.+)'$", stages[n]["what"])
    if stages[n]["stage"] != "update" or not path:
        return
    *places, name = path[1].split(".")
    layer = ".".join(f"layers.{place}" if place.isdigit() else place for place in places) or "network"
    parts = [
        f'<a href="#stage-{i + 1}">step {i + 1}, {escape(other["stage"])}: {escape(other["what"])}</a>'
        for i, other in enumerate(stages)
        if other["stage"] in ("backward", "penalty")
        and other["what"].endswith(f"'{layer}'")
        and f"{name} gradient" in other
    ]
    clipped = [f'<a href="#stage-{i + 1}">clipped</a>' for i, other in enumerate(stages) if other["stage"] == "clip"]
    if parts:
        yield f"gradient: {' plus '.join(parts)}{', then ' + clipped[0] if clipped else ''}"


def _pairs(name: str, values: Mapping[str, Any]) -> str:
    text = ", ".join(f"{escape(str(key))} = {_number(value)}" for key, value in values.items() if value is not None)
    return f'<p class="{name}">{name}: {text}</p>' if text else ""


def _value(name: str, value: Any) -> str:
    if isinstance(value, Mapping) and "values" in value:
        largest = max((abs(number) for number in _numbers(value["values"])), default=0.0)
        matrix = _matrix(value["values"], largest, f"{escape(name)} {_shape_and_dtype(value)}")
        return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(name)}">{matrix}</div>'
    if isinstance(value, list):
        return "".join(_value(f"{name}[{i}]", part) for i, part in enumerate(value))
    if isinstance(value, Mapping):
        return _pairs(name, value)
    return f'<p class="value">{escape(name)} = {_number(value)}</p>'


def _matrix(values: Any, largest: float, caption: str) -> str:
    """Nested lists as an HTML table; an array of more than two axes as one table after another."""
    rows = values if values and isinstance(values[0], list) else [values]
    if any(isinstance(part, list) and part and isinstance(part[0], list) for part in rows):
        return "".join(
            "<p>…</p>" if part == "…" else _matrix(part, largest, f"{caption}, part {i}") for i, part in enumerate(rows)
        )
    body = "".join(
        f"<tr>{''.join(_cell(v, largest) for v in (row if isinstance(row, list) else [row]))}</tr>" for row in rows
    )
    return f"<table><caption>{caption}</caption><tbody>{body}</tbody></table>"


def _cell(value: Any, largest: float) -> str:
    if value == "…":
        return "<td>…</td>"
    shade = round(SHADES * abs(value) / largest) if largest and abs(value) < float("inf") else 0
    name = f' class="{"p" if value > 0 else "n"}{shade}"' if shade else ""
    return f"<td{name}>{_number(value)}</td>"


def _number(value: Any) -> str:
    """A number rounded to six digits for the reader, with the exact value in the <data> element's attribute."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return escape(str(value))
    short = f"{value + 0.0:.6g}" if isinstance(value, float) else str(value)
    return f'<data value="{value!r}">{short}</data>'


def _numbers(values: Any) -> Iterator[float]:
    for value in values if isinstance(values, list) else [values]:
        if isinstance(value, list):
            yield from _numbers(value)
        elif value != "…" and abs(value) < float("inf"):
            yield value


def _shape_and_dtype(value: Mapping[str, Any]) -> str:
    shape = ", ".join(map(str, value["shape"])) + ("," if len(value["shape"]) == 1 else "")
    return f"({shape}) {escape(value['dtype'])}"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
