"""Write the site's sources: guide pages, lessons, the table of blocks, a page for each kind of name, the film.

pages.py FOLDER [--live]. Run by ci/docs/build. With --live, pages lead to the live page, which will lie in play/.
"""

import inspect
import re
import runpy
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from lessons import cells, exercise, heading, prose  # noqa: E402

import arraynn as nn  # noqa: E402
from arraynn.learn.play.presets import PRESETS  # noqa: E402

GUIDES = ("command-line", "saving", "scikit-learn", "workers")
SOURCE = "https://github.com/arraynn/arraynn/blob/main/"
ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="5" cy="6" r="4" fill="#0072B2"/>
<circle cx="11" cy="6" r="3" fill="#E69F00"/><circle cx="8" cy="12" r="3" fill="#C2407E"/></svg>
"""
INDEX = """# arraynn

Building blocks of neural networks, each with its hand-written backward pass beside its forward, on the Python Array
API.

```
pip install ".[plot]" && arraynn train spiral
```

```
pip install -e ".[test]" && pytest
```

<picture>
<source media="(prefers-reduced-motion: reduce)" srcset="_static/last.png">
<img src="_static/film.webp" width="560" height="348" alt="A network learns three spirals: its regions and its loss">
</picture>

`arraynn play` opens this as a page in the browser, where you change what you like.{live}

```{{toctree}}
:caption: Learn
:maxdepth: 1
course/index
```

```{{toctree}}
:caption: Use
:maxdepth: 1
{guides}
blocks
embedding
```

```{{toctree}}
:caption: Reference
:maxdepth: 1
{kinds}
```

```{{toctree}}
:caption: Know how it works
:maxdepth: 1
architecture
benchmark
```
"""
LIVE = (
    ' <a href="play/index.html">Open it here</a>: Python runs in your browser, nothing is installed, and nothing that '
    "you do leaves your machine."
)


def main(folder, live):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "_static").mkdir(exist_ok=True)
    for name in GUIDES:
        write(folder / f"{name}.md", outward((ROOT / f"ci/docs/{name}.md").read_text(encoding="utf-8"), "ci/docs"))
    for name, source in (("architecture", "arraynn"), ("benchmark", "ci/bench")):
        write(folder / f"{name}.md", outward((ROOT / source / "README.md").read_text(encoding="utf-8"), source))
    blocks(folder / "blocks.md")
    lesson(ROOT / "examples/embed_in_your_project.py", folder / "embedding.md", live)
    course(folder / "course", live)
    kinds = reference(folder / "reference")
    film(folder / "_static")
    write(folder / "_static/site.css", "dl.field-list > dt { text-transform: none }\n")
    write(folder / "_static/icon.svg", ICON)
    write(
        folder / "index.md",
        INDEX.format(guides="\n".join(GUIDES), kinds="\n".join(kinds), live=LIVE if live else ""),
    )


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def outward(text, place):
    """Links to files of the repository lead there; those to pages of the site stay."""

    def moved(found):
        words, target = found[1], found[2]
        if re.match(r"https?:|#", target):
            return found[0]
        path = (ROOT / place / target.partition("#")[0]).resolve().relative_to(ROOT)
        return f"[{words}]({SOURCE}{path})"

    return re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", moved, text)


def blocks(path):
    """The page of blocks, with its table."""
    page = (ROOT / "ci/docs/blocks.md").read_text(encoding="utf-8")
    table = runpy.run_path(str(ROOT / "ci/blocks"))["table"]()
    write(path, page.partition("The table of all of them")[0] + table.replace("### ", "## "))


def course(folder, live):
    """All lessons, and their index."""
    lessons = sorted((ROOT / "examples").glob("[0-9][0-9]_*.py"))
    for path in lessons:
        lesson(path, folder / f"{path.stem}.md", live)
    names = "\n".join(path.stem for path in lessons)
    about = (
        "Nineteen lessons, row by row along *Neural Networks from Scratch in Python*, and four behind them. Each works "
        "one thing: the formula, the numbers, the common mistake, and the check that catches it. The numbers below a "
        "program are checked: CI runs it and compares. An exercise ends each lesson; its check says what is wrong. "
        '<a href="../notebooks/00_by_hand.ipynb">As notebooks</a> they lie in the folder `notebooks` of this site.'
    )
    write(folder / "index.md", f"# The course\n\n{about}\n\n```{{toctree}}\n:maxdepth: 1\n{names}\n```\n")


def lesson(path, target, live):
    """A script of `# %%` cells as a page: prose, programs, what they print, the picture."""
    text = path.read_text(encoding="utf-8")
    first, rest = heading(text)
    rest = [line for line in rest if not line.startswith("Exercise: ")]  # the page's end has it, and the preset
    out = [f"# {first}", "", *prose(rest), ""]
    for kind, lines in cells(text):
        if kind == "markdown":
            out += [*prose(lines), ""]
        else:
            program = [line for line in lines if not line.startswith("# >")]
            printed = [line[4:] for line in lines if line.startswith("# >")]
            out += ["```python", *program, "```", ""]
            out += ["It prints", "", "```text", *printed, "```", ""] if printed else []
    picture = ROOT / "examples/images" / f"{path.stem}.png"
    if picture.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, target.parent)
        out += [f"![the picture that it draws]({picture.name})", ""]
    number = path.stem[:2]
    if number in PRESETS:
        link = f' <a href="../play/index.html#preset={number}">Open it in this browser</a>.' if live else ""
        out += [f"`arraynn play --preset {number}` opens this lesson on the live page.{link}", ""]
    out += exercise(ROOT / "examples/exercises", path.stem[:2])
    write(target, "\n".join(out))


def reference(folder):
    """A page for each kind of public name; returns their places."""
    kinds = {
        "layers": "Layers",
        "losses": "Losses",
        "optimizers": "Optimizers",
        "regularizers": "Regularizers",
        "schedules": "Schedules",
    }
    taken = set()
    places = []
    for module, title in kinds.items():
        names = [name for name in getattr(nn, module).__all__ if name in nn.__all__]
        taken |= set(names)
        places.append(page(folder, module, title, "arraynn", names))
    rest = [name for name in nn.__all__ if name not in taken and not inspect.ismodule(getattr(nn, name))]
    places.append(page(folder, "model", "Model, training, errors", "arraynn", rest))
    for module in ("datasets", "metrics", "plot", "testing"):
        thing = getattr(nn, module)
        own = getattr(thing, "__all__", None) or [
            name
            for name, value in vars(thing).items()
            if not name.startswith("_") and getattr(value, "__module__", "") == thing.__name__ and callable(value)
        ]
        places.append(page(folder, module, module.capitalize(), f"arraynn.{module}", own))
    return places


def page(folder, name, title, module, names):
    """A page that describes these names of a module, in the order of the alphabet."""
    things = [(one, getattr(sys.modules[module], one)) for one in sorted(names, key=str.lower)]
    lines = [title, "=" * len(title), ""]
    for one, thing in things:
        if inspect.isclass(thing):
            lines += [f".. autoclass:: {module}.{one}", "   :members:", ""]
        elif inspect.isroutine(thing):
            lines += [f".. autofunction:: {module}.{one}", ""]
    write(folder / f"{name}.rst", "\n".join(lines))
    return f"reference/{name}"


def film(folder):
    """The landing page's film: the spiral, learnt; and its last frame as a picture."""
    x, y = nn.datasets.spiral(100, 3)
    start = nn.initializers.he_normal
    network = nn.Sequential(nn.Dense(64, weight_initializer=start), nn.ReLU(), nn.Dense(3))
    model = nn.Model(network, nn.softmax_cross_entropy, nn.Adam(0.02), backend="numpy", seed=0)
    made = nn.plot.Film(folder / "film.webp", x, y)
    model.fit(x, y, epochs=600, batch_size=None, verbose=0, callbacks=[made])
    last = made.frames(model)[-1]
    last.save(folder / "last.png")
    extra = folder.parent / "_extra"
    extra.mkdir(exist_ok=True)
    last.crop((0, 28, 320, 348)).resize((32, 32)).save(extra / "favicon.ico")


if __name__ == "__main__":
    main(Path(sys.argv[1]), "--live" in sys.argv[2:])
