"""If another system cannot be installed or run, the bench says so in one sentence. No test here asks a registry."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench import peers
from bench.__main__ import main
from bench.harness import ROOT, BenchError
from bench.rig import npm


def program(folder: Path, name: str, script: str) -> None:
    """A stand-in for a program on the PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def alone(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A PATH with nothing but what the test put into `folder`, and a shell."""
    folder.mkdir(exist_ok=True)
    (folder / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(folder))


def test_without_npm_the_bench_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alone(monkeypatch, tmp_path / "bin")
    assert main(["peers", "--folder", str(tmp_path / "cache"), "--json"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "bench peers: npm is not on the PATH, and other systems are installed with it; "
        "install Node.js, which brings it.\n"
    )


def test_without_the_registry_npms_own_reason_is_told_and_nothing_half_made_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["code ECONNREFUSED", "errno ECONNREFUSED", "request to the registry failed, reason: connection refused"]
    script = "\n".join(f"echo 'npm error {line}' >&2" for line in lines)
    program(tmp_path / "bin", "npm", f"{script}\nexit 1")
    alone(monkeypatch, tmp_path / "bin")
    told = (
        "npm ci failed with code 1; it needs the npm registry; "
        "npm said: request to the registry failed, reason: connection refused"
    )
    with pytest.raises(BenchError) as why:
        npm.install(tmp_path / "cache")
    assert str(why.value) == told
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_old_node_is_named_with_the_one_that_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "npm", "exit 0")
    program(tmp_path / "bin", "node", "echo v20.20.2")
    alone(monkeypatch, tmp_path / "bin")
    node = tmp_path / "bin" / "node"
    with pytest.raises(BenchError, match=f"{node} is Node.js 20.20.2, and OrbitDB needs 22 or newer; install that"):
        npm.install(tmp_path / "cache")


def test_packages_stay_out_of_the_tree() -> None:
    inside = ROOT / "bench" / "peers"
    before = sorted(os.listdir(inside))
    with pytest.raises(BenchError, match="node_modules stays out of it; name another folder with --folder"):
        npm.install(inside)
    assert sorted(os.listdir(inside)) == before
    assert "node_modules" not in before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--entries", "some"],
            "bench peers: argument --entries: 'some' is no whole number; --help lists what it takes.",
        ),
        (["--entries", "3"], "bench peers: argument --entries: 3 is less than 20; --help lists what it takes."),
        (["--system", "x"], "bench peers: unrecognized arguments: --system x; --help lists what it takes."),
    ],
)
def test_an_option_that_cannot_be_meant_is_one_sentence(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        peers.main(words)
    assert left.value.code == 2
    assert capsys.readouterr().err == f"{told}\n"


def test_every_system_is_in_every_line_of_what_is_not_equal() -> None:
    assert {frozenset(said) for said in peers.NOT_EQUAL.values()} == {
        frozenset(("banyan", "hypercore", "ssb", "orbitdb"))
    }
