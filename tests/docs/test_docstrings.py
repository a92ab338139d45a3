"""The site's reading of docstrings: fields, formulas, doctests, links."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import arraynn as nn

sys.path.append(str(Path(__file__).parents[2] / "ci" / "docs"))
import docstrings


def reworded(text: str) -> list[str]:
    return docstrings.reworded(text.splitlines())


def test_arguments_returns_and_raises_become_fields():
    found = reworded(
        "What it does.\n\nx, y : (N, 2), of\n    any library. k : at least 1.\nReturns z.\nRaises DataError."
    )
    assert found == [
        "What it does.", "",
        ":x, y: (N, 2), of any library.", ":k: at least 1.", ":Returns: z.", ":Raises: DataError.", "",
    ]  # fmt: skip


def test_doctests_and_formulas_are_unchanged():
    assert reworded("    a * b_ = |c|") == ["::", "", "    a * b_ = |c|", ""]
    assert reworded(">>> f(*x)\narray([1.])") == [">>> f(*x)", "array([1.])", ""]


def test_names_of_the_library_are_links_and_others_are_code():
    assert (
        docstrings.inline("as `Adam` or `nn.relu`")
        == "as :py:obj:`Adam <arraynn.Adam>` or :py:obj:`nn.relu <arraynn.relu>`"
    )
    assert docstrings.inline("`Model.fit`") == ":py:obj:`Model.fit <arraynn.Model.fit>`"
    assert docstrings.inline("`x.shape` and `datasets`") == "\\ ``x.shape``\\  and \\ ``datasets``\\ "


def test_text_that_looks_like_markup_is_escaped():
    assert docstrings.inline("a *kept* b * c_, |w|") == "a *kept* b \\* c\\_, \\|w\\|"


def test_every_public_docstring_keeps_its_words():
    for name in nn.__all__:
        text = inspect.getdoc(getattr(nn, name)) or ""
        kept = "".join(docstrings.reworded(text.splitlines()))
        for word in ("Returns", "Raises", ">>>"):
            assert kept.count(word) >= text.count(word) - text.count(f"`{word}"), name
