"""`python -m release`: builds what strangers install, and tries it (README.md)."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from release import trying, wheelhouse

SHIV = "shiv>=1.0.8"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m release", description=__doc__)
    todo = parser.add_subparsers(dest="todo", required=True)
    parts = todo.add_parser("wheelhouse", help="build a folder from which plain pip installs")
    parts.add_argument("into", type=Path)
    parts.add_argument("--python", action="append", default=[], metavar="VERSION", help="such as 3.12; may be repeated")
    one = todo.add_parser("executable", help="build one file")
    one.add_argument("file", type=Path)
    one.add_argument("--wheelhouse", type=Path, help="one that was built before")
    tries = todo.add_parser("try", help="build, install in an empty environment, run the demo")
    tries.add_argument("what", nargs="*", metavar="WHAT", help=", ".join(TRIES))
    tries.add_argument("--all", action="store_true")
    tries.add_argument("--wheelhouse", type=Path, help="one that was built before")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="banyan-release-") as folder:
        match given.todo:
            case "wheelhouse":
                print(wheelhouse.build(given.into, tuple(given.python)))
            case "executable":
                house = given.wheelhouse or wheelhouse.build(Path(folder) / "wheelhouse")
                print(executable(given.file, house))
            case "try":
                house = given.wheelhouse or wheelhouse.build(Path(folder) / "wheelhouse")
                for what in TRIES if given.all else given.what or ["wheelhouse"]:
                    tried = _try(what, house, Path(folder))
                    print(
                        f"{tried.what}: installed in {tried.install_s} s; the demo took {tried.demo_s} s and agreed on "
                        f"{tried.entries} entries",
                        flush=True,
                    )
    return 0


def executable(file: Path, house: Path) -> Path:
    """One file that carries all packages of a node, made with shiv: a zip that Python runs.

    It is unpacked once, into ~/.shiv, and starts from there. It needs a Python of the version that made it. Raises
    CalledProcessError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    command = ["uv", "run", "--quiet", "--no-project", "--python", python, "--with", SHIV, "--with", "pip>=25", "shiv"]
    command += ["--console-script", "banyan", "--output-file", str(file), "--python", f"/usr/bin/env python{python}"]
    command += ["--extend-pythonpath", "--compressed", "--reproducible"]  # processes that a node starts find it too
    command += ["--quiet", "--no-index", "--find-links", str(house), "banyan-social"]
    subprocess.run(command, env=wheelhouse.environment(), check=True, stdin=subprocess.DEVNULL)
    return file


TRIES = ("wheelhouse", "executable", "uv")


def _try(what: str, house: Path, folder: Path) -> trying.Tried:
    match what:
        case "executable":
            return trying.try_executable(executable(folder / "banyan", house))
        case "uv":
            return trying.try_uv_tool(house)
        case _:
            return trying.try_wheelhouse(house)


if __name__ == "__main__":
    sys.exit(main())
