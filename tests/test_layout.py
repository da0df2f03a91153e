"""How the package is laid out: imports point one way, and nothing lies outside its room."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "musex"
# From what knows least to what knows most: each may import what stands before it, and itself.
ROOMS = (
    "config",
    "errors",
    "system",
    "settings",
    "plans",
    "audio",
    "analysis",
    "metrics",
    "prediction",
    "separation",
    "seams",
    "planning",
    "rendering",
    "views",
    "exports",
    "inspection",
    "extension",
    "editing",
    "files",
    "stem_files",
    "loop_files",
    "versions",
    "batches",
    "mixes",
    "mixing",
    "playing",
    "diagnosis",
    "training",
    "evaluation",
    "studio",
    "cli",
)
MODULES = {path: ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")}


def imported(path: Path) -> Iterator[str]:
    """What a module imports of musex, by the names below it, wherever in the module; not for its types alone."""
    tree = ast.parse(path.read_text("utf-8"))
    guards = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    for_types = {inner for guard in guards for inner in ast.walk(guard)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in for_types and (node.module or "").startswith("musex"):
            home = (node.module or "").removeprefix("musex").removeprefix(".")
            found = [f"{home}.{name.name}".removeprefix(".") for name in node.names if name.name != "__version__"]
            yield from (name if name in MODULES.values() else home for name in found)
        elif isinstance(node, ast.Import):
            yield from (name.name.removeprefix("musex.") for name in node.names if name.name.startswith("musex."))


def test_every_module_has_its_room() -> None:
    rooms = {name.split(".")[0] for name in MODULES.values()} - {"__init__", "__main__"}
    assert rooms == set(ROOMS)


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.parent != PACKAGE or path.stem in ROOMS], ids=MODULES.get
)
def test_imports_point_one_way(path: Path) -> None:
    own = ROOMS.index(MODULES[path].split(".")[0])
    beyond = [name for name in imported(path) if ROOMS.index(name.split(".")[0]) > own]
    assert not beyond, f"{MODULES[path]} knows less than what it imports"


def test_no_modules_import_each_other() -> None:
    arrows = {name.removesuffix(".__init__"): set(imported(path)) for path, name in MODULES.items()}
    left = {name: {each for each in found if each in arrows} for name, found in arrows.items()}
    while leaves := [name for name, found in left.items() if not found & left.keys()]:
        for name in leaves:
            del left[name]
    assert not left, "they lie on circles, or lead to them"


def test_few_arguments_are_told_by_their_place() -> None:
    many = []
    for path, name in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and not name.startswith("cli."):  # whose commands Typer calls
                places = [each.arg for each in (*node.args.posonlyargs, *node.args.args) if each.arg != "self"]
                keras = name == "training.networks.pointer" and node.name == "call"
                many += [f"{name}.{node.name}"] * (len(places) > 4 and not keras)
    assert not many


def test_commands_are_short() -> None:
    """Without its docstring a command has 40 lines at most: it calls, and tells."""
    lengths = {}
    for path, name in MODULES.items():
        for node in ast.parse(path.read_text("utf-8")).body if name.startswith("cli.") else ():
            if isinstance(node, ast.FunctionDef):
                body = node.body[ast.get_docstring(node) is not None :]
                lengths[f"{name}.{node.name}"] = (node.end_lineno or 0) - body[0].lineno + 1
    assert len(lengths) > 20
    assert not {name: length for name, length in lengths.items() if length > 40}
