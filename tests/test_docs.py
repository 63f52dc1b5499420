"""What the documentation says is so: links lead somewhere, files and commands exist, tables are the code's."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from banyan_cli.errors import EXIT_CODES
from banyan_cli.main import command_of, hoist
from banyan_storage.tables import SCHEMA
from banyan_storage.upgrade import STEPS
from docs import generate
from tests.rooms import PACKAGES, ROOMS, SETUP

ROOT = Path(__file__).parent.parent
_INSIDE = ("tests/**/*.md", "*/banyan_*/**/*.md")
COMMANDS: Any = command_of(())
PAGES = sorted(
    path
    for pattern in (
        "*.md",
        "docs/*.md",
        "bench/*.md",
        "sim/*.md",
        "release/*.md",
        "tests/**/*.md",
        "js/*.md",
        "*/banyan_*/**/*.md",
    )
    for path in ROOT.glob(pattern)
    if ".venv" not in path.parts
)
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]


KINDS = {".py", ".md", ".svg", ".json", ".js", ".html", ".toml", ".xz"}
NOT_OURS = {".venv", ".git", "node_modules"}
FILES = {
    path.relative_to(ROOT).as_posix()
    for path in ROOT.rglob("*")
    if path.suffix in KINDS and not NOT_OURS & set(path.parts)
}
PATHS = {part for name in FILES for part in ("/" + name, *(f"/{folder}/" for folder in Path(name).parents))}


IN_A_HOME = {"uploads/", "store/", "audit/", "archives/", "door.files/"}


def named(text: str) -> Iterator[str]:
    """Each source file, and each folder in code, that the text names. A pattern with a star names no file."""
    yield from re.findall(r"(?<![\w.*/<-])[\w./-]*\w\.(?:py|md)\b(?![\w*])", text)
    yield from re.findall(r"`((?:[\w.]+/)+)`", text)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def command_lines(text: str) -> Iterator[str]:
    """Each indented line and each piece of code in a sentence that calls banyan."""
    for line in text.splitlines():
        shown = line.strip().removeprefix("uv run ") if line.startswith("    ") else ""
        if shown.startswith("banyan "):
            yield re.split(r"\s#|\s\|", shown)[0]
    yield from (code for code in re.findall(r"`(?:uv run )?(banyan [^`]+)`", text.replace("\n", " ")))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_to_a_section_leads_to_one(page: Path) -> None:
    for file, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text("utf-8")):
        if "://" not in file:
            other = page.parent / file if file else page
            assert anchor in anchors(other), f"{page.name} links to a section {anchor} of {other.name}, which has none"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_file_and_folder_that_is_named_exists(page: Path) -> None:
    for name in set(named(page.read_text("utf-8"))) - IN_A_HOME:
        there = any(path.endswith("/" + name.removeprefix("./").lstrip("/")) for path in PATHS)
        assert there or (page.parent / name).exists(), f"{page.name} names {name}, which is not there"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_that_is_shown_exists_with_the_options_shown(page: Path) -> None:
    for line in command_lines(page.read_text("utf-8")):
        command = COMMANDS
        options = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
        for word in chain(*hoist(shlex.split(line)[1:])):
            if word.startswith("-"):
                assert word in options, f"{page.name}: `{line}` has {word}, which is no option"
            elif commands := getattr(command, "commands", None):
                assert word in commands, f"{page.name}: `{line}` has {word}, which is no command"
                command = commands[word]
                options |= {name for p in command.params for name in (*p.opts, *p.secondary_opts)}


@pytest.mark.parametrize("file", generate.FILES)
def test_tables_and_digests_are_those_of_the_code(file: str) -> None:
    assert (ROOT / "docs" / file).read_text("utf-8") == generate.FILES[file](), "run `uv run python -m docs.generate`"


def test_the_table_of_upgrades_ends_at_the_schema_of_the_program() -> None:
    page = (ROOT / "docs" / "operating.md").read_text("utf-8")
    table = page.partition("| the store's schema |")[2].partition("\n\n")[0]
    rows = [int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)]
    assert rows == list(range(SCHEMA, min(STEPS) - 1, -1))
    assert f"| earlier, or later than {SCHEMA} |" in table
    samples = re.findall(r"bringing it to (\d+)|this program reads (\d+)|is upgraded to (\d+)", page)
    assert {int("".join(one)) for one in samples} == {SCHEMA}


def test_the_table_of_exit_codes_is_that_of_the_command_line() -> None:
    page = (ROOT / "docs" / "operating.md").read_text("utf-8")
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in page


PURE = sorted(
    path
    for room in ("crdt", "charter", "duties", "translog", "schema")
    for path in (ROOT / room).glob("banyan_*/**/*.py")
)


def docstrings(node: ast.Module | ast.ClassDef, within: str = "") -> Iterator[tuple[str, str | None]]:
    """Each public class and function with its docstring."""
    for found in node.body:
        if isinstance(found, ast.FunctionDef | ast.ClassDef) and not found.name.startswith("_"):
            yield within + found.name, ast.get_docstring(found)
            if isinstance(found, ast.ClassDef):
                yield from docstrings(found, f"{found.name}.")


@pytest.mark.parametrize("path", PURE, ids=[path.name for path in PURE])
def test_every_public_name_of_crdt_and_schema_has_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert ast.get_docstring(tree), f"{path.name} says nothing"
    assert [name for name, said in docstrings(tree) if not said] == []


DESCRIBED = [room for room in PACKAGES if room.parent.name != "sim"]  # which stands in the page of its folder
ONE_A_SUBJECT = {"attacks", "commands", "demo", "importing", "methods", "show", "social"}
"""Folders of which each file is found by its name."""


def test_every_room_is_in_every_list_of_rooms() -> None:
    """Types, order of imports and contracts leave out in silence what they do not know."""
    tools = SETUP["tool"]
    for found in (tools["ruff"]["src"], tools["mypy"]["files"], tools["mypy"]["mypy_path"].split(":")):
        assert {*ROOMS} <= {*found}
    assert {room.name for room in PACKAGES} <= {*tools["importlinter"]["root_packages"]}


@pytest.mark.parametrize("room", DESCRIBED, ids=lambda room: room.name)
def test_every_module_is_named_where_its_room_is_described(room: Path) -> None:
    pages = [*room.parent.rglob("README.md"), *room.rglob("__init__.py")]
    said = "\n".join(page.read_text("utf-8") for page in pages)
    modules = [m for m in room.rglob("*.py") if not m.name.startswith("__") and m.parent.name not in ONE_A_SUBJECT]
    assert modules
    named = set(re.findall(r"[\w-]+\.py", said))
    assert [str(m.relative_to(room)) for m in modules if m.name not in named] == []
