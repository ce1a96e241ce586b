"""The layout of the tree: what is imported is ours, and every module has its tests."""

from __future__ import annotations

import ast
import functools
import importlib
import re
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("server", "inference", "protos")
# Modules this small are part of what their users are tested for.
SMALL_LINES = 40
MAX_LINES = 400

# What is tested through the door of its room and not by being imported: module, and that door.
# The programs themselves are started as processes.
PROGRAMS = {"server.__main__", "inference.__main__"}
DOORS = {
    # Routes and the doing of jobs, by requests to the whole application.
    r"server\.web\.(canvases|compatibility|events|jobs|login|middleware|operation|pages)": "server.app",
    r"server\.generation\.(finite|live|producer)": "server.app",
    # Live pictures, by calls of the whole service.
    r"inference\.live": "inference.serve",
    # What is painted, by its pictures.
    r"inference\.procedural\..+": "inference.procedural",
}


def modules() -> dict[str, Path]:
    """Return our own modules by dotted name; generated code is not ours."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for package in ("server", "inference")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "__init__.py"
    }


@functools.cache
def imported_by_tests() -> set[str]:
    """Return every dotted name that a test imports, of modules and of what is in them."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def lines_of(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_imported_is_this_tree(package: str) -> None:
    # A distribution of the same name may be installed, and would win elsewhere.
    file = importlib.import_module(package).__file__

    assert file is not None
    assert Path(file).is_relative_to(ROOT)


def test_the_tests_are_no_package() -> None:
    # One would shadow the packages that it is named after.
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_no_two_test_files_bear_the_same_name() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]

    assert sorted(names) == sorted(set(names))


def test_no_module_is_named_after_one_of_the_standard_library() -> None:
    # Run as a file, its folder comes first on the path and breaks whatever imports the other one.
    risky = {
        "queue",
        "types",
        "logging",
        "signal",
        "select",
        "code",
        "token",
        "http",
        "json",
        "time",
        "random",
    }

    assert not risky & {path.stem for path in modules().values()}


@pytest.mark.parametrize("name", modules())
def test_a_module_of_some_size_is_imported_by_a_test(name: str) -> None:
    if lines_of(modules()[name]) <= SMALL_LINES or name in PROGRAMS:
        return
    doors = {door for pattern, door in DOORS.items() if re.fullmatch(pattern, name)}

    assert imported_by_tests() & {name, *doors}


@pytest.mark.parametrize("pattern", [*DOORS, *map(re.escape, PROGRAMS)])
def test_an_exception_speaks_of_modules_that_are_there(pattern: str) -> None:
    assert any(re.fullmatch(pattern, name) for name in modules())


@pytest.mark.parametrize("name", modules())
def test_a_module_is_short_enough_to_be_read(name: str) -> None:
    assert lines_of(modules()[name]) <= MAX_LINES


@pytest.mark.parametrize("name", modules())
def test_a_module_says_what_it_is_for(name: str) -> None:
    docstring = ast.get_docstring(ast.parse(modules()[name].read_text()))

    assert docstring
    assert re.match(r"[A-Z`]", docstring)
