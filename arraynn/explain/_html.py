"""Stages as one self-contained HTML page: no address in it leads outside, and its policy allows nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ._text import GIVEN, HANDED, SHARED
from ._worked import worked

STATIC = Path(__file__).parent / "static"
SHADES = 9  #: of a colour

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
    """A whole page."""
    style = (STATIC / "steps.css").read_text(encoding="utf-8")
    script = (STATIC / "steps.js").read_text(encoding="utf-8").replace("export ", "") + "\nwire(document);\n"
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}"
    return PAGE.format(policy=policy, style=style, steps=fragment(stages), script=script)


def framed(stages: Sequence[Mapping[str, Any]]) -> str:
    """The page in a frame of its own, as a notebook shows it."""
    attributes = 'sandbox="allow-scripts" width="100%" height="560" title="One training step in full"'
    return f'<iframe {attributes} srcdoc="{escape(page(stages))}"></iframe>'


def fragment(stages: Sequence[Mapping[str, Any]]) -> str:
    """The stages alone, for a page that has the style and the script."""
    return f'<ol class="steps">\n{"".join(_stage(stages, n) for n in range(len(stages)))}</ol>'


def _stage(stages: Sequence[Mapping[str, Any]], n: int) -> str:
    stage, before = stages[n], stages[n - 1] if n else {}
    lines = "".join(_lines(stages, n, before))
    kind, what = escape(stage["stage"]), escape(stage["what"])
    return f'<li class="stage" id="stage-{n + 1}" data-kind="{kind}"><h2>{kind}: {what}</h2>{lines}</li>\n'


def _lines(stages: Sequence[Mapping[str, Any]], n: int, before: Mapping[str, Any]) -> Iterator[str]:
    stage = stages[n]
    again = before.get("stage") == stage["stage"] == "update"
    handed = next((before[name] for name in HANDED if name in before), None)
    if stage["formula"]:
        yield f'<p class="formula">{escape(stage["formula"])}</p>'
    for line in worked(stage, _forward_of(stages, n)):
        yield f'<p class="worked">{escape(line)}</p>'
    for source in _sources(stages, n):
        yield f'<p class="source">{source}</p>'
    for name, value in stage.items():
        if name in ("stage", "what", "formula") or (again and name in SHARED and before.get(name) == value):
            continue
        if name in ("settings", "scalars"):
            yield _pairs(name, value)
        elif name in GIVEN and handed == value and isinstance(value, Mapping) and "shape" in value:
            yield f'<p class="given">{escape(name)} {_form(value)}: from <a href="#stage-{n}">step {n}</a></p>'
        else:
            yield _value(name, value)


def _forward_of(stages: Sequence[Mapping[str, Any]], n: int) -> Mapping[str, Any]:
    wanted = ("forward", "loss")
    return next((one for one in stages if one["what"] == stages[n]["what"] and one["stage"] in wanted), {})


def _sources(stages: Sequence[Mapping[str, Any]], n: int) -> Iterator[str]:
    """Where an update's gradient comes from: links to the stages that it is the sum of."""
    path = re.match(r"\w+ on '(.+)'$", stages[n]["what"])
    if stages[n]["stage"] != "update" or not path:
        return
    *places, name = path[1].split(".")
    layer = ".".join(f"layers.{place}" if place.isdigit() else place for place in places) or "network"
    parts = [
        f'<a href="#stage-{i + 1}">step {i + 1}, {escape(one["stage"])}: {escape(one["what"])}</a>'
        for i, one in enumerate(stages)
        if one["stage"] in ("backward", "penalty") and one["what"].endswith(f"'{layer}'") and f"{name} gradient" in one
    ]
    clipped = [f'<a href="#stage-{i + 1}">clipped</a>' for i, one in enumerate(stages) if one["stage"] == "clip"]
    if parts:
        yield f"gradient: {' plus '.join(parts)}{', then ' + clipped[0] if clipped else ''}"


def _pairs(name: str, values: Mapping[str, Any]) -> str:
    said = ", ".join(f"{escape(str(key))} = {_number(value)}" for key, value in values.items() if value is not None)
    return f'<p class="{name}">{name}: {said}</p>' if said else ""


def _value(name: str, value: Any) -> str:
    if isinstance(value, Mapping) and "values" in value:
        most = max((abs(number) for number in _numbers(value["values"])), default=0.0)
        matrix = _matrix(value["values"], most, f"{escape(name)} {_form(value)}")
        return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(name)}">{matrix}</div>'
    if isinstance(value, list):
        return "".join(_value(f"{name}[{i}]", part) for i, part in enumerate(value))
    if isinstance(value, Mapping):
        return _pairs(name, value)
    return f'<p class="value">{escape(name)} = {_number(value)}</p>'


def _matrix(values: Any, most: float, caption: str) -> str:
    """Nested lists as a table of rows; of more than two axes, one table after another."""
    rows = values if values and isinstance(values[0], list) else [values]
    if any(isinstance(part, list) and part and isinstance(part[0], list) for part in rows):
        return "".join(
            "<p>…</p>" if part == "…" else _matrix(part, most, f"{caption}, part {i}") for i, part in enumerate(rows)
        )
    body = "".join(
        f"<tr>{''.join(_cell(v, most) for v in (row if isinstance(row, list) else [row]))}</tr>" for row in rows
    )
    return f"<table><caption>{caption}</caption><tbody>{body}</tbody></table>"


def _cell(value: Any, most: float) -> str:
    if value == "…":
        return "<td>…</td>"
    shade = round(SHADES * abs(value) / most) if most and abs(value) < float("inf") else 0
    name = f' class="{"p" if value > 0 else "n"}{shade}"' if shade else ""
    return f"<td{name}>{_number(value)}</td>"


def _number(value: Any) -> str:
    """A number in six digits, and all of it as the machine reads it."""
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


def _form(value: Mapping[str, Any]) -> str:
    shape = ", ".join(map(str, value["shape"])) + ("," if len(value["shape"]) == 1 else "")
    return f"({shape}) {escape(value['dtype'])}"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
