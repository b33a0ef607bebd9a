"""The rules of the house that no single room can see: imports, sizes, docstrings, secrets, pointers of the docs."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_twin.version import RUNTIME_VERSION

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "edge_twin": ROOT / "edge_twin",
    "edge_twin_models": ROOT / "reduced_models" / "edge_twin_models",
    "edge_twin_adapters": ROOT / "device_adapters" / "edge_twin_adapters",
    "edge_twin_sync": ROOT / "sync" / "edge_twin_sync",
    "edge_twin_app": ROOT / "app" / "edge_twin_app",
}
FOLDERS_THAT_ARE_NO_PACKAGES = {"app", "sync", "reduced_models", "device_adapters", "build", "tests"}
MAY_IMPORT = {
    "edge_twin": set[str](),
    "edge_twin_models": {"edge_twin"},
    "edge_twin_adapters": {"edge_twin"},
    "edge_twin_sync": {"edge_twin"},
    "edge_twin_app": {"edge_twin", "edge_twin_models", "edge_twin_adapters", "edge_twin_sync"},
}
LONGEST_FILE = 600
LONGEST_BODY = 80

# Written in pieces, so that this file does not contain what it looks for.
FORBIDDEN = {
    "path of a machine": re.compile(r"/wor" + r"k/(main|shared|\.)|/roo" + r"t/|/hom" + r"e/\w+/|/User" + r"s/\w+/"),
    "package registry": re.compile(r"pypi" + r"\.|pythonhoste" + r"d|index-ur" + r"l|/opt/(whee" + r"ls|pyp" + r"i)"),
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE" + r" KEY-----"),
    "access token": re.compile(r"\b(AKI" + r"A[0-9A-Z]{16}|gh[po" + r"su]_[0-9A-Za-z]{36})\b"),
}

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def modules(package: str) -> list[Path]:
    return sorted(path for path in PACKAGES[package].rglob("*.py") if "__pycache__" not in path.parts)


def all_modules() -> list[Path]:
    return [path for package in PACKAGES for path in modules(package)]


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# --- imports ---------------------------------------------------------------------------------------


def imported(tree: ast.AST) -> Iterator[str]:
    """Top-level names of everything that is imported, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def unlawful_imports(package: str, source: str) -> set[str]:
    forbidden = (set(PACKAGES) | FOLDERS_THAT_ARE_NO_PACKAGES) - MAY_IMPORT[package] - {package}
    return set(imported(ast.parse(source))) & forbidden


@pytest.mark.parametrize("package", PACKAGES)
def test_each_room_imports_only_what_it_may(package: str) -> None:
    found = {shown(path): unlawful_imports(package, path.read_text(encoding="utf-8")) for path in modules(package)}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("package", "source", "names"),
    [
        ("edge_twin", "import edge_twin_sync.outbox", {"edge_twin_sync"}),
        ("edge_twin_sync", "def f():\n    from edge_twin_adapters import ble", {"edge_twin_adapters"}),
        ("edge_twin_models", "import edge_twin_app", {"edge_twin_app"}),
        ("edge_twin_app", "from sync import edge_twin_sync", {"sync"}),
        ("edge_twin_adapters", "from edge_twin import codes\nfrom . import ble", set()),
    ],
)
def test_unlawful_imports_are_found(package: str, source: str, names: set[str]) -> None:
    assert unlawful_imports(package, source) == names


def test_import_contracts_are_kept() -> None:
    pytest.importorskip("importlinter", reason="import-linter comes with the dev extra")
    tool = Path(sys.executable).with_name("lint-imports")
    roots = os.pathsep.join(str(path.parent) for path in PACKAGES.values())
    environment = os.environ | {"PYTHONPATH": roots}
    command = [str(tool), "--no-cache", "--no-logo"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_import_contracts_know_every_package() -> None:
    assert set(pyproject()["tool"]["importlinter"]["root_packages"]) == set(PACKAGES)


# --- packaging -------------------------------------------------------------------------------------


def test_the_runtime_knows_its_release() -> None:
    """Bundles name the oldest runtime that they need; that runtime must not be another one than the package."""
    assert pyproject()["project"]["version"] == RUNTIME_VERSION


@pytest.mark.parametrize("package", PACKAGES)
def test_package_says_that_it_is_typed(package: str) -> None:
    assert (PACKAGES[package] / "py.typed").is_file()


def test_wheel_holds_the_five_packages() -> None:
    wheel = pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(wheel) == {shown(path) for path in PACKAGES.values()}


@pytest.mark.parametrize("extra", ["app", "imaging", "central", "distill", "demo", "dev", "all"])
def test_extra_exists(extra: str) -> None:
    assert pyproject()["project"]["optional-dependencies"][extra]


@pytest.mark.parametrize("folder", sorted(FOLDERS_THAT_ARE_NO_PACKAGES))
def test_folder_does_not_become_a_package(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()


# --- sizes and docstrings --------------------------------------------------------------------------


def functions(tree: ast.AST) -> Iterator[FunctionNode]:
    return (node for node in ast.walk(tree) if isinstance(node, FunctionNode))


def body_lines(node: FunctionNode) -> int:
    """Lines of a function without its signature and docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (node.end_lineno or node.lineno) - body[0].lineno + 1 if body else 0


def undocumented(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Public classes, functions and methods without a docstring, by qualified name."""
    for node in body:
        if not isinstance(node, ast.ClassDef | FunctionNode) or node.name.startswith("_"):
            continue
        if ast.get_docstring(node) is None and not inherits_docstring(node):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from undocumented(node.body, f"{prefix}{node.name}.")


def inherits_docstring(node: ast.ClassDef | FunctionNode) -> bool:
    """Overloads, overrides and property setters are documented where they come from."""
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return not names.isdisjoint({"overload", "override", "setter"})


def test_files_are_not_too_long() -> None:
    lengths = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in all_modules()}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_functions_are_not_too_long() -> None:
    lengths = {
        f"{shown(path)}:{node.lineno} {node.name}": body_lines(node)
        for path in all_modules()
        for node in functions(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_BODY} == {}


def test_everything_public_is_documented() -> None:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in all_modules()}
    missing = [f"{shown(path)}: {name}" for path, tree in trees.items() for name in undocumented(tree.body)]
    missing += [shown(path) for path, tree in trees.items() if ast.get_docstring(tree) is None]
    assert missing == []


def test_the_measures_find_what_they_look_for() -> None:
    lines = "\n".join(f"    x = {n}" for n in range(90))
    tree = ast.parse(f'class A:\n    def b(self): ...\n    def _c(self): ...\ndef d():\n    """D."""\n{lines}\n')
    assert list(undocumented(tree.body)) == ["A", "A.b"]
    assert {node.name: body_lines(node) for node in functions(tree)} == {"b": 1, "_c": 1, "d": 90}


# --- what must never be committed ------------------------------------------------------------------


def committed_files() -> list[Path]:
    """Files in git or about to be."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def findings(text: str) -> list[str]:
    return [what for what, pattern in FORBIDDEN.items() if pattern.search(text)]


def test_no_committed_file_holds_a_machine_path_registry_or_secret() -> None:
    found = {shown(path): findings(path.read_bytes().decode("utf-8", errors="replace")) for path in committed_files()}
    assert {path: what for path, what in found.items() if what} == {}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("open('/wor" + "k/main/x')", "path of a machine"),
        ("cd /hom" + "e/anna/twin", "path of a machine"),
        ("pip install --index-ur" + "l https://mirror.example", "package registry"),
        ("-----BEGIN EC PRIVATE" + " KEY-----", "private key"),
        ("AKI" + "A" + "Q" * 16, "access token"),
    ],
)
def test_forbidden_text_is_found(text: str, what: str) -> None:
    assert findings(text) == [what]


# --- documents that point to code ------------------------------------------------------------------

CODE_PATH = re.compile(r"`((?:edge_twin|device_adapters|sync|app|reduced_models|tests|scripts|docs|build)/[\w./-]*)`")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


@pytest.mark.parametrize("document", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_document_points_to_files_that_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = [ROOT / name for name in CODE_PATH.findall(text)]
    linked = [document.parent / name for name in LINK.findall(text)]
    assert [path.as_posix() for path in (*named, *linked) if not path.exists()] == []


def hazards() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tomllib.loads((ROOT / "docs/safety/hazards.toml").read_text(encoding="utf-8"))[
        "hazard"
    ]
    return rows


def test_hazard_ids_are_unique_and_well_formed() -> None:
    ids = [row["id"] for row in hazards()]
    assert len(ids) == len(set(ids))
    assert [name for name in ids if not re.fullmatch(r"HZ-[A-Z]+-\d{2}", name)] == []


@pytest.mark.parametrize("row", hazards(), ids=lambda row: str(row["id"]))
def test_hazard_is_complete(row: dict[str, Any]) -> None:
    assert {"id", "hazard", "harm", "measure", "source", "place", "test"} <= row.keys()
    assert all(row[key] for key in ("hazard", "harm", "measure", "source"))
    assert [place for place in row["place"] if not (ROOT / place).exists()] == []


@pytest.mark.parametrize("row", hazards(), ids=lambda row: str(row["id"]))
def test_hazard_names_a_test_that_exists(row: dict[str, Any]) -> None:
    assert row["test"], "no test is named"
    file, _, name = row["test"].partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name.partition("[")[0] in {node.name for node in functions(tree)}
