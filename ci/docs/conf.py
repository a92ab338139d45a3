"""Sphinx's settings for the site. ci/docs/build calls it on pages that ci/docs/pages.py has written."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from docstrings import reworded

project = "arraynn"
html_title = "arraynn"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.viewcode", "myst_parser"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/icon.svg"
html_extra_path = ["_extra"]  # favicon.ico, which browsers ask for where the theme names no icon
html_show_sphinx = False
html_copy_source = False
exclude_patterns = ["_build"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
add_module_names = False
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
nitpicky = True
# names of other libraries, and Python's own, which no page here describes
nitpick_ignore_regex = [("py:.*", r"(?!arraynn\.).*")]


def _docstring(app, what, name, obj, options, lines):
    lines[:] = reworded(lines)


def _signature(app, what, name, obj, options, signature, returned):
    """Defaults that are objects, as they are named; no addresses."""
    if signature is None:
        return None
    return re.sub(r"<(?:function|class) '?([\w.]+)'?[^>]*>", r"\1", signature), returned


def setup(app):
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
