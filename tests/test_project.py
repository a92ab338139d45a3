"""The rules of the house that can be read off its files: who imports whom, what is public, what README promises."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import arraynn

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "arraynn"
FILES = sorted(PACKAGE.rglob("*.py"))

COMMANDS = ('pip install ".[plot]" && arraynn train spiral', 'pip install -e ".[test]" && pytest')

# Each floor may import what lies above it in this list, and nothing on its own floor or below.
FLOORS = (
    {"errors", "_habits", "_text", "_types"},
    {"_names"},
    {"_array", "_coupling", "_hyperparameters"},
    {"tree", "_ranges"},
    {"compiler", "_contract"},
    {"_contract_of_rules"},
    {"backends"},
    {"random"},
    {"initializers", "schedules", "regularizers", "metrics"},
    {"layers", "optimizers"},
    {"losses", "encoding"},  # a fused loss answers probabilities(outputs) with the activation that it fuses
    {"io", "distributed"},
    {"training"},
    {"callbacks", "explain"},
    {"model"},
    {"testing"},
    {"interop", "datasets", "plot"},
    {"learn"},
    {"sklearn"},
    {"cli"},
    {"__init__", "__main__"},
)

# Files of blocks import none beside them, but what is made to be shared; a combinator holds other layers.
BLOCKS = ("layers", "losses", "optimizers")
SHARED = {
    "layers": {
        *(
            "_answered",
            "_base",
            "_convolve",
            "_logistic",
            "_pool",
            "_recurrent",
            "_shapes",
            "_summary",
            "_window",
            "combinator",
        ),
    },
    "losses": {"_base", "_clip", "_domain", "binary", "labels", "reduction"},
    "optimizers": {"_averaging", "_base", "_moments"},
}
COMBINATORS = {
    "layers._residual",  # x + f(x), where f is a Sequential
    "layers._multi_head_attention",  # three projections, their attention, and a fourth
}

ARRAY_LIBRARIES = {
    *("array_api_strict", "cupy", "cupyx", "dask", "dpctl", "dpnp", "jax", "jaxlib", "mlx", "ndonnx"),
    *("numba", "sparse", "tensorflow", "torch"),
}
MAY_NAME_LIBRARIES = ("backends", "interop", "testing", "distributed._nccl", "distributed._torch")

# On the host and only there: files, data, numbers drawn, pictures. Whatever else touches arrays asks them.
MAY_USE_NUMPY = (
    *("backends", "cli", "compiler", "datasets", "distributed", "encoding", "initializers", "interop", "io.model_file"),
    *("io.safetensors", "layers._summary", "losses.labels", "learn", "model", "plot", "sklearn", "testing"),
    *(f"training.{name}" for name in ("advice", "consistency", "dataset", "labels", "lbfgs", "loop", "numeric")),
    *(f"training.{name}" for name in ("progress", "rate_range", "state", "step", "validation")),
    *(f"training.{name}" for name in ("host_array", "sharded_array", "shards")),
)

OPTIONAL = (
    *("mpi4py", "cupy", "torch", "jax", "matplotlib", "sklearn", "rich", "scipy", "numba", "onnx", "polars", "pandas"),
)


def dotted(file: Path) -> str:
    """The module's name inside the package: arraynn/layers/_relu.py is layers._relu."""
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts)


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes that run; what stands under `if TYPE_CHECKING` does not."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield from runtime_nodes(child)


@cache
def imports(file: Path) -> tuple[str, ...]:
    """What a file imports, at its top or inside its functions, by absolute name."""
    found: list[str] = []
    package = ["arraynn", *file.relative_to(PACKAGE).parts[:-1]]
    for node in runtime_nodes(parsed(file)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            # `from . import tree` names a module, `from .errors import ShapeError` something in one
            found += [
                f"{source}.{alias.name}" if is_module(f"{source}.{alias.name}") else source for alias in node.names
            ]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            found += [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
    return tuple(found)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return name.startswith("arraynn.") and (path.with_suffix(".py").exists() or path.is_dir())


def own_imports(file: Path) -> list[str]:
    """The modules of arraynn that a file imports, as `dotted` names them."""
    return [name.removeprefix("arraynn").lstrip(".") for name in imports(file) if name.partition(".")[0] == "arraynn"]


def within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


# ---------------------------------------------------------------- layering


def test_every_module_belongs_to_a_layer_of_the_architecture():
    known = set().union(*FLOORS)
    assert [dotted(file) for file in FILES if dotted(file).partition(".")[0] not in known] == []


def test_imports_go_to_lower_layers_only():
    level = {unit: i for i, units in enumerate(FLOORS) for unit in units}
    upward = []
    for file in FILES:
        unit = dotted(file).partition(".")[0]
        for name in own_imports(file):
            target = name.partition(".")[0] or "__init__"
            if target != unit and level.get(target, 0) >= level.get(unit, len(FLOORS)):
                upward.append(f"{dotted(file)} imports {target}")
    assert upward == []


def test_private_names_are_not_imported_across_packages():
    """`_types` and others beside the packages are everybody's; a name with an underscore in a package is its own."""
    across = []
    for file in FILES:
        package = [PACKAGE.name, *file.relative_to(PACKAGE).parts[:-1]]
        for node in ast.walk(parsed(file)):
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            source = [*package[: len(package) + 1 - node.level], *(node.module or "").split(".")]
            for name in node.names:
                parts = [part for part in (*source, name.name) if part]
                private = [i for i, part in enumerate(parts) if part.startswith("_") and not part.startswith("__")]
                if any(i > 1 and package[:2] != parts[:2] for i in private):
                    across.append(f"{dotted(file)} imports {'.'.join(parts)}")
    assert across == [], "give the name no underscore, or take what its package offers"


@pytest.mark.parametrize("package", BLOCKS)
def test_blocks_do_not_import_one_another(package):
    siblings = []
    for file in (PACKAGE / package).glob("_[!_]*.py"):
        for name in own_imports(file):
            unit, _, sibling = name.partition(".")
            if unit == package and sibling not in SHARED[package] and dotted(file) not in COMBINATORS:
                siblings.append(f"{dotted(file)} imports {name}")
    assert siblings == []


def test_array_libraries_are_named_only_in_backends_and_interop():
    named = [
        f"{dotted(file)} imports {name}"
        for file in FILES
        for name in imports(file)
        if name.partition(".")[0] in ARRAY_LIBRARIES and not within(dotted(file), MAY_NAME_LIBRARIES)
    ]
    assert named == []


def test_numpy_is_used_only_on_the_host():
    used = [
        dotted(file)
        for file in FILES
        if any(name.partition(".")[0] == "numpy" for name in imports(file)) and not within(dotted(file), MAY_USE_NUMPY)
    ]
    assert used == []


# ---------------------------------------------------------------- what is public


def literal_all(file: Path) -> list[str]:
    """The names that a file lists as its own public ones."""
    for node in parsed(file).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


@pytest.mark.parametrize("file", [f for f in FILES if literal_all(f)], ids=dotted)
def test_lists_of_public_names_are_sorted(file):
    # as ruff sorts other lists: CAPITALS, then Classes, then the rest
    names = literal_all(file)
    assert names == sorted(set(names), key=lambda name: (not name.isupper(), not name[0].isupper(), name))


def test_each_name_is_public_once_and_dir_shows_only_public_names():
    assert len(set(arraynn.__all__)) == len(arraynn.__all__)
    assert [name for name in dir(arraynn) if not name.startswith("_")] == sorted(arraynn.__all__)
    assert re.match(r"\d+\.\d+|unknown", arraynn.__version__)


def test_all_is_complete():
    missing = [name for name in arraynn.__all__ if not hasattr(arraynn, name)]
    public = [
        name
        for name, value in vars(arraynn).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    ]
    modules = ["backends", "datasets", "encoding", "initializers", "interop", "metrics", "plot", "testing", "tree"]
    blocks = [name for package in BLOCKS for name in getattr(arraynn, package).__all__]
    assert missing == []
    lacking = sorted(set(public + modules + blocks) - set(arraynn.__all__))
    assert not lacking, f"__all__ of arraynn/__init__.py, or of the package that has them, lacks {', '.join(lacking)}"


def test_everything_public_has_a_docstring():
    silent = [
        f"{dotted(file)}.{node.name}"
        for file in FILES
        if not file.stem.startswith("_") or dotted(file).partition(".")[0] in BLOCKS
        for node in parsed(file).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
        if not ast.get_docstring(node)
    ]
    silent += [f"{dotted(file)} itself" for file in FILES if not ast.get_docstring(parsed(file))]
    silent += [f"arraynn.{name}" for name in arraynn.__all__ if not inspect.getdoc(getattr(arraynn, name))]
    assert silent == []


def test_every_block_documents_its_shapes_and_what_it_returns():
    docs = {}
    for package in BLOCKS[:2]:
        for name in getattr(arraynn, package).__all__:
            value = getattr(getattr(arraynn, package), name)
            module = value.__module__.removeprefix(f"arraynn.{package}.")
            if inspect.isfunction(value) and module.startswith("_") and module not in SHARED[package]:
                docs[name] = inspect.getdoc(value) or ""
    assert len(docs) > 10
    for what, wanted in {
        "the shapes that it takes, as (N, …) or 'any shape'": r"\(N\b|any shape|any array|shaped as|as in `",
        "what it returns, as 'Returns …'": r"\bReturns\b",
        "its backward, as backward(dy) -> dx": r"\bbackward\(",
    }.items():
        silent = [name for name, doc in docs.items() if not re.search(wanted, doc)]
        assert not silent, f"the docstring of {', '.join(silent)} does not say {what}"


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("package", BLOCKS)
def test_every_block_has_its_test_file(package):
    folder = ROOT / "tests" / package
    lacking = [
        f"tests/{package}/test{name}.py" for name in block_files(package) if not (folder / f"test{name}.py").exists()
    ]
    assert not lacking, f"write {', '.join(lacking)}; ci/new-block writes a first version"


@pytest.mark.parametrize("package", BLOCKS)
def test_every_block_is_public(package):
    lacking = []
    for stem, file in block_files(package).items():
        kinds = (ast.FunctionDef, ast.ClassDef)
        own = [node.name for node in parsed(file).body if isinstance(node, kinds) and not node.name.startswith("_")]
        shown = set(literal_all(PACKAGE / package / "__init__.py"))
        if own and not shown.intersection(own):
            lacking.append(f"arraynn/{package}/__init__.py: from .{stem} import {', '.join(sorted(own))}")
    assert not lacking, f"add these lines, and the names to __all__ there: {'; '.join(lacking)}"


def block_files(package: str) -> dict[str, Path]:
    """The files of the package that hold one block each, by their stems."""
    files = sorted((PACKAGE / package).glob("_[!_]*.py"))
    return {file.stem: file for file in files if file.stem not in SHARED[package]}


def test_no_file_is_longer_than_350_lines():
    lengths = {dotted(file): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {name: length for name, length in lengths.items() if length > 350} == {}


def test_the_package_is_smaller_than_two_megabytes():
    excluded = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    excluded = excluded["tool"]["hatch"]["build"]["targets"]["wheel"]["exclude"]
    files = [file for file in PACKAGE.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    files = [file for file in files if file.name not in excluded]
    assert sum(file.stat().st_size for file in files) < 2_000_000


def test_the_core_has_three_dependencies_and_all_extras_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[^\w-]", dependency)[0] for dependency in project["dependencies"]}
    extras = {"cuda12", "cuda13", "torch", "jax", "fast", "cli", "plot", "sklearn", "onnx", "tables"}
    extras |= {"tensorboard", "test"}
    assert names == {"array-api-compat", "numpy", "threadpoolctl"}
    assert extras <= set(project["optional-dependencies"])


def test_import_and_a_first_fit_load_no_slow_module():
    names = ["array_api_compat.numpy", "numpy.f2py", "numpy.testing", "importlib.metadata"]
    if not hasattr(np, "unstack"):
        pytest.skip("NumPy follows the standard by itself from 2.1 on")
    fit = "nn.Model(nn.Dense(2), backend='numpy').fit([[1.0]] * 4, [0, 1, 0, 1], verbose=0)"
    program = f"import sys, arraynn as nn; {fit}; print([name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_import_loads_no_optional_and_no_slow_library():
    names = [*OPTIONAL, "array_api_compat.numpy", "numpy.f2py", "numpy.testing"]
    program = f"import sys, arraynn; print([name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- README


@pytest.mark.parametrize("command", COMMANDS)
def test_readme_and_ci_have_the_two_commands_verbatim(command):
    assert command in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


PAGES = (
    "README.md",
    ".github/CONTRIBUTING.md",
    *sorted(f"ci/docs/{file.name}" for file in (ROOT / "ci/docs").glob("*.md")),
)


@pytest.mark.parametrize("page", PAGES)
def test_the_python_in_the_pages_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert blocks or page != "README.md"
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:  # one after the other, as a reader pastes them
        exec(compile(block, page, "exec"), names)


@pytest.mark.parametrize(
    "page", [*PAGES, "arraynn/README.md", "ci/README.md", "ci/bench/README.md", "examples/README.md"]
)
def test_links_have_targets(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    own = r"https://(?:github\.com/arraynn/arraynn/blob|raw\.githubusercontent\.com/arraynn/arraynn)/main/([^)#]+)"
    lost = [path for path in re.findall(rf"\({own}", text) if not (ROOT / path).exists()]
    relative = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    lost += [path for path in relative if not ((ROOT / page).parent / path).exists()]
    assert lost == []
    assert page != "README.md" or relative == []  # they work on the package index, too


def test_readme_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert len(text.split()) <= 1200


@cache
def table_of_blocks() -> list[list[str]]:
    """The rows of the table of blocks, as ci/blocks prints it for the site: names, formula, source."""
    command = [sys.executable, ROOT / "ci" / "blocks"]
    table = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=ROOT, check=True).stdout
    rows = [re.split(r"(?<!\\) ?\| ?", line)[1:4] for line in table.splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    return rows


def test_the_table_of_blocks_names_every_public_one():
    no_blocks = {"Activation", "ClassLoss", "Domain", "FunctionLoss", "Layer", "Loss", "Optimizer", "as_loss"}
    public = {name for package in BLOCKS for name in getattr(arraynn, package).__all__} - no_blocks - {"check_labels"}
    for module in (arraynn.regularizers, arraynn.schedules):
        public |= {name for name in arraynn.__all__ if getattr(module, name, None) is getattr(arraynn, name)}
    initializers = arraynn.initializers
    for name, value in vars(initializers).items():
        kind = value if inspect.isclass(value) else type(value)  # a rule, or one with its numbers chosen
        if kind.__module__ == initializers.__name__ and not name.startswith("_"):
            public.add(name)
    assert {"L2", "OneCycle", "orthogonal", "he_normal", "zeros"} <= public
    named = {name for row in table_of_blocks() for name in re.findall(r"`(\w+)`", row[0])}
    lacking = sorted(public - named)
    assert not lacking, f"ci/blocks finds no docstring, or no file of their own, for {', '.join(lacking)}"
    assert named <= public


def test_every_row_of_the_table_has_a_formula_and_a_source():
    bare = [row[0] for row in table_of_blocks() if len(row[1]) < 5 or len(row[2]) < 5]
    assert not bare, f"the docstring of {', '.join(bare)} has no source: a last paragraph that cites, with its year"
