"""What is installed is what was locked: every file of every package by its hash, from one registry."""

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
REGISTRY = {"registry": "https://pypi.org/simple"}


def unlocked(lock: dict[str, Any]) -> list[str]:
    """The packages that could be another one than was locked; this project's own tree is here."""
    wrong = []
    for package in lock["package"]:
        if package["source"] == {"editable": "."}:
            continue
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        hashed = files and all(file.get("hash", "").startswith("sha256:") for file in files)
        if not hashed or package["source"] != REGISTRY:
            wrong.append(package["name"])
    return wrong


def test_every_file_of_every_package_is_locked_by_its_hash() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))
    assert len(lock["package"]) > 50
    assert unlocked(lock) == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = {package["name"] for package in lock["package"]}
    assert {name.partition(">")[0].partition("=")[0] for name in project["dependencies"]} <= named


def test_a_package_without_a_hash_or_from_elsewhere_is_noticed() -> None:
    good = {"name": "a", "source": REGISTRY, "wheels": [{"hash": "sha256:00"}]}
    changes: tuple[dict[str, Any], ...] = (
        {"wheels": [{"url": "x"}]},
        {"wheels": []},
        {"source": {"git": "https://x.test/a"}},
    )
    for change in changes:
        assert unlocked({"package": [good, {**good, "name": "b", **change}]}) == ["b"]


def test_ci_installs_what_is_locked() -> None:
    assert "step uv sync --locked\n" in (ROOT / ".ci" / "run").read_text("utf-8")
