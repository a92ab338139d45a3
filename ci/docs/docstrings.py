"""The house's docstrings as reStructuredText: paragraphs, fields `x : text`, formulas, doctests, links."""

import inspect
import re

import arraynn

FIELD = re.compile(r"^([a-z_][\w*]*(?:, [\w*]+)*) : ")
LATER = re.compile(r"\. ([a-z_]\w*(?:, \w+)*) : ")  # another field in the same line


def reworded(lines):
    """Lines of a docstring as lines of reStructuredText."""
    out = []
    for part in paragraphs(lines):
        if part[0].lstrip().startswith(">>>"):
            out += [*_flush(part), ""]  # a doctest stays to the letter
        elif all(line.startswith("    ") for line in part):
            out += ["::", "", *part, ""]  # a formula or a program
        else:
            out += [*prose(part), ""]
    return out


def paragraphs(lines):
    """Lines between empty ones."""
    part = []
    for line in [*lines, ""]:
        if line.strip():
            part.append(line)
        elif part:
            yield part
            part = []


def prose(part):
    """A paragraph: each `x : text` in it, and what is returned or raised, becomes a field; the rest is one line."""
    text = " ".join(line.strip() for line in part)
    starts = []
    position = 0
    for line in part:
        stripped = line.strip()
        indented = len(line) - len(line.lstrip())
        if not indented and (FIELD.match(stripped) or stripped.startswith(("Returns ", "Raises "))):
            starts.append(position)
        if starts:
            starts += [position + found.start(1) for found in LATER.finditer(stripped)]
        position += len(stripped) + 1
    if not starts:
        return [inline(text)]
    out = [inline(text[: starts[0]].strip()), ""] if starts[0] else []
    for begin, end in zip(starts, [*starts[1:], len(text) + 1], strict=True):
        one = text[begin:end].strip()
        found = FIELD.match(one)
        if found:
            out.append(f":{found[1].replace('*', chr(92) + '*')}: {inline(one[found.end() :])}")
        else:
            name, _, rest = one.partition(" ")
            out.append(f":{name}: {inline(rest)}")
    return out


def inline(text):
    """Text in which nothing is markup but what stands in back-ticks: a link where it is a name of ours, else code."""
    parts = re.split(r"``?([^`]+)``?", text)
    return "".join(code(part) if i % 2 else words(part) for i, part in enumerate(parts))


def words(text):
    """Text without markup, but for *emphasis*."""
    parts = re.split(r"(?<!\S)\*(\w[\w ]*)\*(?!\w)", text)
    return "".join(f"*{part}*" if i % 2 else re.sub(r"([\\*_|`])", r"\\\1", part) for i, part in enumerate(parts))


def code(text):
    name = text.removeprefix("nn.").removeprefix("arraynn.")
    target = public(name)
    return f":py:obj:`{text} <arraynn.{target}>`" if target else f"\\ ``{text}``\\ "


def public(name):
    """The name by which a page describes it, or None."""
    if not re.fullmatch(r"[A-Za-z_][\w.]*", name):
        return None
    first, _, rest = name.partition(".")
    if first not in arraynn.__all__:
        return None
    thing = getattr(arraynn, first)
    if not rest:
        return name if not hasattr(thing, "__path__") and not inspect.ismodule(thing) else None
    return name if hasattr(thing, rest) and first == "Model" and not rest.startswith("_") else None


def _flush(part):
    """A doctest without its indentation."""
    least = min(len(line) - len(line.lstrip()) for line in part)
    return [line[least:] for line in part]
