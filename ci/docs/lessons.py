"""The scripts of lessons and exercises, taken apart into the cells that `# %%` divides: for pages and for notebooks."""

import ast
import re


def heading(text):
    """(the first line of the docstring, without its full stop; the other lines)."""
    first, _, rest = ast.get_docstring(ast.parse(text)).partition("\n")
    return first.rstrip("."), rest.strip().splitlines()


def cells(text):
    """("markdown" or "code", lines) of each cell behind the docstring that is not empty."""
    parts = re.split(r"^# %%", text.split('"""', 2)[2], flags=re.MULTILINE)
    for head, cell in (["", parts[0]], *(part.partition("\n")[::2] for part in parts[1:])):
        if cell.strip():
            yield "markdown" if "[markdown]" in head else "code", cell.strip("\n").rstrip().splitlines()


def prose(lines):
    """A markdown cell. Indented formulas become blocks of text; * and [ are no markup outside of code."""
    block = False
    for line in (re.sub(r"^# ?", "", line) for line in lines):
        indented = line.startswith("    ")
        if indented != block:
            if line.strip() or indented:
                yield "```text" if indented else "```"
                block = indented
            elif block:
                yield "```"
                block = False
        yield (
            line[4:]
            if indented
            else "".join(
                part if i % 2 else re.sub(r"([\[\]*_<$|])", r"\\\1", part)
                for i, part in enumerate(re.split(r"(`[^`]*`)", line))
            )
        )
    if block:
        yield "```"


def exercise(folder, number):
    """The lines of a lesson's exercise on its page, the check and the solution folded; none where there is none."""
    path = folder / f"{number}.py"
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    first, rest = heading(text)
    solution = (folder / "solutions" / path.name).read_text(encoding="utf-8")
    (_, task), *check = cells(text)
    out = [f"## {first}", "", *prose(rest), "", *program(task), ""]
    out += [
        f"Write your lines into `examples/exercises/{path.name}`, and run it: it says what is wrong, or passes.",
        "",
    ]
    shown = [line for kind, lines in check for line in ([*prose(lines)] if kind == "markdown" else program(lines))]
    out += folded("The check", shown)
    out += folded(
        "The solution, and mistakes with what the check says of them",
        program(solution.split('"""', 2)[2].strip().splitlines()),
    )
    return out


def program(lines):
    return ["```python", *lines, "```"]


def folded(title, lines):
    """A block of a page that opens where its title is clicked."""
    return ["<details>", f"<summary>{title}</summary>", "", *lines, "", "</details>", ""]
