"""The rooms of hier/ have one-way doors: an earlier room never imports a later one, and an outside library
is imported only where the design lets it in. Every import counts, also those inside functions and under
TYPE_CHECKING. And `import hier` alone loads none of the heavy libraries."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import hier

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "hier"
OUTERMOST = "hier"  # hier/__init__.py, which may look into every room

ORDER = (
    "version",
    "text",
    "errors",
    "printed",
    "files",
    "settings",
    "datasets",
    "formula",
    "design",
    "kernel",
    "model",
    "estimate",
    "posterior",
    "pooling",
    "plots",
    "reporting",
    "interface",
    "jobs",
    "cli",
    OUTERMOST,
)

# The rooms within the kernel, each of which may look into those before it.
KERNEL = ("arrays", "programs", "covariance", "algebra", "search", "normal", "laplace")

ARRAYS = frozenset({"design", "kernel", "model", "estimate", "posterior", "pooling", "plots", "reporting", "jobs"})

# Outside module -> the rooms that may import it. The longest matching name decides; a library that is not in
# the table may be imported nowhere.
OUTSIDE: dict[str, frozenset[str]] = {
    "numpy": ARRAYS,
    "scipy": ARRAYS,
    "threadpoolctl": frozenset({"design"}),
    "pandas": frozenset({"datasets", "design", "estimate", "posterior", "pooling", "plots", "reporting", "jobs"}),
    "formulaic": frozenset({"design"}),
    "narwhals": frozenset({"design"}),
    "pyarrow": frozenset({"design"}),
    "jax": frozenset({"kernel", "posterior"}),
    "jaxlib": frozenset({"kernel", "posterior"}),
    "numpyro": frozenset({"posterior"}),
    "numpyro.distributions": frozenset({"model", "posterior"}),
    "arviz": frozenset({"posterior", "plots", "reporting"}),
    "arviz_base": frozenset({"posterior", "plots", "reporting"}),
    "arviz_stats": frozenset({"posterior", "plots", "reporting"}),
    "arviz_plots": frozenset({"posterior", "plots", "reporting"}),
    "matplotlib": frozenset({"plots"}),
    "jinja2": frozenset({"reporting"}),
    "typer": frozenset({"cli"}),
    "rich": frozenset({"cli", "estimate"}),
    "xarray": frozenset({"estimate", "posterior", "jobs"}),
    "h5netcdf": frozenset({"estimate", "posterior", "jobs"}),
    "h5py": frozenset({"estimate", "posterior", "jobs"}),
    "platformdirs": frozenset({"kernel", "posterior", "jobs"}),
}

HEAVY = ("jax", "jaxlib", "numpyro", "arviz", "arviz_base", "arviz_plots", "matplotlib", "formulaic", "pandas")


def room_of(module: str) -> str:
    """The room that a module of hier belongs to: `hier.design.rank` is in `design`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else OUTERMOST


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.Module, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything that the tree imports; `?` for a name known only at run time."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                home = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*home, *([base] if base else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                first = node.args[0] if node.args else None
                constant = isinstance(first, ast.Constant) and isinstance(first.value, str)
                yield node.lineno, first.value if constant else "?"


def forbidden(name: str, room: str) -> str | None:
    """Why the room may not import that name, or None where it may."""
    parts = name.split(".")
    if name == "?":
        return None if room == OUTERMOST else "imports a module that only the run time knows"
    if parts[0] == "hier":
        target = parts[1] if len(parts) > 1 and parts[1] in ORDER else OUTERMOST
        if ORDER.index(target) > ORDER.index(room):
            return f"imports the later room `{target}`"
        return None
    if parts[0] in sys.stdlib_module_names:
        return None
    known = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    library = next((each for each in known if each in OUTSIDE), None)
    if library is None:
        return f"imports `{parts[0]}`, which no room may"
    if room not in OUTSIDE[library]:
        return f"imports `{library}`, which belongs to {', '.join(sorted(OUTSIDE[library]))}"
    return None


def forbidden_in_kernel(name: str, module: str) -> str | None:
    """Why a module of the kernel may not import that name of the kernel, or None where it may."""
    home, target = module.split("."), name.split(".")
    if home[:2] != ["hier", "kernel"] or target[:2] != ["hier", "kernel"] or len(home) < 3 or len(target) < 3:
        return None
    later = KERNEL.index(target[2]) > KERNEL.index(home[2])
    return f"imports the later room `kernel.{target[2]}`" if later else None


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    """Every closed door that the source of a module goes through, as sentences with line numbers."""
    room = room_of(module)
    if room not in ORDER:
        return [f"{module}: `{room}` is not one of the rooms"]
    found = {
        (line, reason)
        for line, name in imported(ast.parse(source), module, is_package)
        if (reason := forbidden(name, room) or forbidden_in_kernel(name, module)) is not None
    }
    return [f"{module}, line {line}: {reason}" for line, reason in sorted(found)]


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=[module_of(path) for path in SOURCES])
def test_every_import_goes_through_an_open_door(path: Path) -> None:
    assert violations(path.read_text(encoding="utf-8"), module_of(path), path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "source", "reason"),
    [
        ("hier.kernel.algebra.marginal", "import hier.model", "later room `model`"),
        ("hier.kernel.algebra.marginal", "from hier.model.priors import Prior", "later room `model`"),
        ("hier.kernel.algebra.marginal", "from hier import estimate", "later room `estimate`"),
        ("hier.kernel.algebra.marginal", "from ...model import priors", "later room `model`"),
        ("hier.kernel.algebra.marginal", "from ... import jobs", "later room `jobs`"),
        ("hier.errors", "from . import datasets", "later room `datasets`"),
        ("hier.kernel.algebra.marginal", "def f():\n    from hier.posterior import x", "later room `posterior`"),
        ("hier.design.table", "if TYPE_CHECKING:\n    from hier.model import Model", "later room `model`"),
        ("hier.design.table", "import importlib\nimportlib.import_module('hier.cli')", "later room `cli`"),
        ("hier.design.table", "from importlib import import_module\nimport_module(name)", "only the run time knows"),
        ("hier.jobs.run", "import hier", "later room `hier`"),
        ("hier.jobs.run", "from hier import Model", "later room `hier`"),
        ("hier.model.model", "import jax.numpy as jnp", "`jax`, which belongs to"),
        ("hier.model.model", "import numpyro", "`numpyro`, which belongs to"),
        ("hier.model.model", "from numpyro import infer", "`numpyro`, which belongs to"),
        ("hier.model.model", "import pandas as pd", "`pandas`, which belongs to"),
        ("hier.estimate.fit", "def f():\n    import formulaic.parser", "`formulaic`, which belongs to"),
        ("hier.reporting.page", "from matplotlib import pyplot", "`matplotlib`, which belongs to"),
        ("hier.plots.trace", "import jinja2", "`jinja2`, which belongs to"),
        ("hier.jobs.run", "from rich.console import Console", "`rich`, which belongs to"),
        ("hier.estimate.fit", "import statsmodels.api as sm", "`statsmodels`, which no room may"),
        ("hier.utils", "", "not one of the rooms"),
        ("hier.kernel.algebra.dense", "from hier.kernel.normal.profile import end", "later room `kernel.normal`"),
    ],
)
def test_a_planted_violation_is_seen(module: str, source: str, reason: str) -> None:
    (found,) = violations(source, module)
    assert reason in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("hier.model.model", "from numpyro import distributions as dist"),
        ("hier.model.model", "import numpyro.distributions as dist"),
        ("hier.model.model", "from numpyro.distributions import Normal"),
        ("hier.model.model", "from hier.errors import ModelError\nfrom ..design import Design\nfrom . import priors"),
        ("hier.posterior.sample", "from hier.kernel.algebra import marginal\nimport jax\nimport numpyro.infer"),
        ("hier.jobs.run", "from hier.version import __version__\nimport tomllib"),
        ("hier.cli", "import typer\nfrom hier.interface import Model"),
        ("hier", "import importlib\nimportlib.import_module(name)\nfrom hier.interface import Model"),
    ],
)
def test_an_open_door_is_left_open(module: str, source: str) -> None:
    assert violations(source, module) == []


def test_every_part_of_the_kernel_has_its_place() -> None:
    assert {path.name for path in (PACKAGE / "kernel").iterdir() if path.name[0] not in "._"} == set(KERNEL)


def test_no_file_name_stands_twice() -> None:
    names = [path.name for path in SOURCES if path.name != "__init__.py"]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def parsed() -> dict[str, ast.Module]:
    """The source of every module of hier, as a tree."""
    return {module_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


MODULES = parsed()


def imports_of(modules: dict[str, ast.Module]) -> dict[str, set[str]]:
    """The modules of hier that each of these imports, wherever the import stands."""
    found: dict[str, set[str]] = {}
    for module, tree in modules.items():
        is_package = any(other.startswith(f"{module}.") for other in modules)
        names = [name for _, name in imported(tree, module, is_package)]
        found[module] = {nearest for name in names if (nearest := _module_within(name, modules)) != module} - {""}
    return found


def _module_within(name: str, modules: dict[str, ast.Module]) -> str:
    """The module that a dotted name is of; none where it is of no module of hier."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def circles(modules: dict[str, ast.Module]) -> list[list[str]]:
    """The sets of modules that import each other, directly or through others."""
    imports = imports_of(modules)

    def reached(start: str) -> set[str]:
        found, rest = set[str](), [start]
        while rest:
            new = imports[rest.pop()] - found
            found |= new
            rest += new
        return found

    beyond = {module: reached(module) for module in modules}
    within = {module: frozenset(m for m in beyond[module] if module in beyond[m]) for module in modules}
    return sorted(sorted(members) for members in set(within.values()) if members)


def functions(tree: ast.Module) -> Iterator[tuple[str, str, ast.FunctionDef]]:
    """Every function with its own name and that of the class that it is a method of, empty where it is of none."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from ((node.name, own.name, own) for own in node.body if isinstance(own, ast.FunctionDef))
    methods = {own for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for own in node.body}
    yield from (("", n.name, n) for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n not in methods)


def lines_of(function: ast.FunctionDef) -> int:
    """The lines of a function's body, its docstring not counted."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def many_long_methods(modules: dict[str, ast.Module]) -> list[str]:
    """Public classes with more than twelve methods of more than three lines."""
    found = []
    for module, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                long = [own.name for own in node.body if isinstance(own, ast.FunctionDef) and lines_of(own) > 3]
                found += [f"{module}.{node.name}: {', '.join(long)}"] * (len(long) > 12)
    return found


def many_arguments(modules: dict[str, ast.Module]) -> list[str]:
    """Functions with more than seven arguments, the public verbs apart: public functions, methods of public classes."""
    found = []
    for module, tree in modules.items():
        for kind, name, function in functions(tree):
            own = function.args
            names = [each.arg for each in (*own.posonlyargs, *own.args, *own.kwonlyargs)]
            count = len([each for each in names if each not in ("self", "cls")])
            if count > 7 and (kind or name) not in {*hier.__all__, "EffectVerbs"}:  # verbs of Estimate and Posterior
                found.append(f"{module}: {kind}{'.' if kind else ''}{name} has {count}")
    return found


def repeated_classes(modules: dict[str, ast.Module]) -> list[str]:
    """Classes of one name in several modules, or several times in one."""
    where: dict[str, list[str]] = {}
    for module, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                where.setdefault(node.name, []).append(module)
    return [f"{name}: {', '.join(found)}" for name, found in sorted(where.items()) if len(found) > 1]


KINDS = ("Family", "Route", "Structure", "Correlation", "Block", "Elimination")  # in the names of such records


def told_apart_by_type(modules: dict[str, ast.Module]) -> list[str]:
    """Where `isinstance` asks which family, route or structure something is, which a field of its record says."""
    found = []
    for module, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
                kinds = ast.unparse(node.args[1])
                if any(kind in kinds for kind in KINDS):
                    found.append(f"{module}, line {node.lineno}: {ast.unparse(node)}")
    return found


RULES = (many_long_methods, many_arguments, repeated_classes, told_apart_by_type)


def test_no_modules_import_each_other() -> None:
    assert circles(MODULES) == []


@pytest.mark.parametrize("offenders", RULES, ids=[rule.__name__ for rule in RULES])
def test_what_every_module_keeps_to(offenders: Callable[[dict[str, ast.Module]], list[str]]) -> None:
    assert offenders(MODULES) == []


BODY = "\n".join(["", "        'Says.'", *(f"        {name} = 1" for name in "abcd")])
THIRTEEN = "\n".join(f"    def m{k}(self):{BODY}" for k in range(13))


@pytest.mark.parametrize(
    ("offenders", "source"),
    [
        (many_long_methods, f"class Large:\n{THIRTEEN}"),
        (many_arguments, "def fit(a, b, c, d, *, e, f, g, h): ..."),
        (many_arguments, "class Fit:\n    def again(self, a, b, c, d, e, f, g, h): ..."),
        (repeated_classes, "class Fit: ...\nclass Fit: ..."),
        (told_apart_by_type, "isinstance(own, (int, CovarianceStructure))"),
    ],
)
def test_a_planted_offender_is_seen(offenders: Callable[[dict[str, ast.Module]], list[str]], source: str) -> None:
    assert len(offenders({"hier.planted": ast.parse(source)})) == 1


@pytest.mark.parametrize(
    ("offenders", "source"),
    [
        (many_long_methods, f"class _Private:\n{THIRTEEN}"),
        (many_long_methods, "class Small:\n" + THIRTEEN.replace("        d = 1", "")),
        (many_arguments, "class Model:\n    def sample(self, a, b, c, d, e, f, g, h): ..."),
        (many_arguments, "def fit(self, a, b, c, d, e, f, g): ..."),
        (told_apart_by_type, "isinstance(name, str)"),
    ],
)
def test_what_may_be_is_let_be(offenders: Callable[[dict[str, ast.Module]], list[str]], source: str) -> None:
    assert offenders({"hier.planted": ast.parse(source)}) == []


def test_a_planted_circle_is_seen() -> None:
    sources = {
        "hier": "",
        "hier.a": "def f():\n    from hier.b import g",
        "hier.b": "if TYPE_CHECKING:\n    from hier import c",
        "hier.c": "from .a import f",
        "hier.d": "import hier.a",
    }
    modules = {module: ast.parse(source) for module, source in sources.items()}
    assert circles(modules) == [["hier.a", "hier.b", "hier.c"]]


def test_relative_imports_of_a_package_start_in_it() -> None:
    assert violations("from .marginal import profile\nfrom . import optimise", "hier.kernel", is_package=True) == []
    (found,) = violations("from ..cli import main", "hier.kernel", is_package=True)
    assert "later room `cli`" in found


def run_python(program: str) -> str:
    """What a fresh interpreter prints for that program."""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_hier_loads_nothing_heavy() -> None:
    loaded = run_python("import hier, sys; dir(hier); print(*sorted({name.split('.')[0] for name in sys.modules}))")
    assert "hier" in loaded.split()
    assert set(loaded.split()).isdisjoint(HEAVY)


@pytest.mark.parametrize("name", hier.__all__)
def test_every_public_name_is_found(name: str) -> None:
    assert name in dir(hier)
    assert getattr(hier, name) is getattr(hier, name)


def test_the_type_checker_sees_the_names_that_the_run_time_finds() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    declared = {
        alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert declared == hier._HOME
    assert set(declared) < set(hier.__all__)


def test_no_room_has_the_name_of_a_public_function() -> None:
    """Python hangs every room on the package, in the place of what has its name there."""
    assert set(ORDER[:-1]).isdisjoint(hier.__all__)


def test_an_unknown_name_is_an_attribute_error_with_the_nearest() -> None:
    with pytest.raises(AttributeError, match="no attribute 'load_datset'; did you mean `load_dataset`"):
        hier.load_datset  # noqa: B018
