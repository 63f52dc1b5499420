"""Collects the wheels of all that a node needs, as uv.lock has them, so that plain pip installs them without a network.

The invariant: what is downloaded has the hash of the lock, and what comes out is written down with its hash
(requirements-3.11.txt and its like, for `pip install --require-hashes`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from release.relaxed import relax

ROOT = Path(__file__).parents[1]
PIP = "pip>=25"
FASTECDSA = (
    "fastecdsa 2.3.2 has no wheel and needs gcc and libgmp; later versions have wheels. libp2p uses it for keys of\n"
    "the NIST curves alone, which Banyan never makes."
)


def build(into: Path, pythons: tuple[str, ...] = ()) -> Path:
    """Builds the wheelhouse in a new folder. pythons: versions such as 3.12, each on this machine; none: this one's.

    Raises CalledProcessError, FileExistsError."""
    into.mkdir(parents=True)
    env = {**os.environ, "CC": "/bin/false", "CXX": "/bin/false", "SOURCE_DATE_EPOCH": _time_of_tree()}
    env = {name: value for name, value in env.items() if name not in ("VIRTUAL_ENV", "PIP_FIND_LINKS")}
    locked = into / "locked.txt"
    _run(
        *("uv", "export", "--quiet", "--locked", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate"),
        *("--format", "requirements.txt", "--output-file", str(locked)),
        env=env,
    )
    needed: dict[str, list[str]] = {}
    for python in pythons or (f"{sys.version_info[0]}.{sys.version_info[1]}",):
        part = into / python
        pip = (
            "uv",
            "run",
            "--quiet",
            "--no-project",
            "--python",
            python,
            "--with",
            PIP,
            "python",
            "-m",
            "pip",
            "wheel",
        )
        _run(*pip, "--quiet", "--no-deps", "--require-hashes", "--wheel-dir", str(part), "-r", str(locked), env=env)
        needed[python] = [wheel.name for wheel in part.glob("*.whl")]
        for wheel in part.glob("*.whl"):
            wheel.replace(into / wheel.name)
        part.rmdir()
    locked.unlink()
    (libp2p,) = into.glob("libp2p-*.whl")
    changed = relax(libp2p, {"fastecdsa": "fastecdsa>=4"}, FASTECDSA)
    libp2p.unlink()
    _run("uv", "build", "--quiet", "--wheel", "--out-dir", str(into), env=env)
    (into / ".gitignore").unlink(missing_ok=True)
    (ours,) = into.glob("banyan_social-*.whl")
    for python, names in needed.items():
        wheels = [ours, changed, *(into / name for name in names if name != libp2p.name)]
        (into / f"requirements-{python}.txt").write_text("".join(map(_line, sorted(wheels))))
    (into / "overrides.txt").write_text("fastecdsa>=4\n")
    shutil.copytree(ROOT / "deploy", into / "deploy")
    return into


def _line(wheel: Path) -> str:
    """A requirement that this file alone meets."""
    name, version, *_ = wheel.name.split("-")
    return f"{name.replace('_', '-')}=={version} --hash=sha256:{sha256(wheel.read_bytes()).hexdigest()}\n"


def _time_of_tree() -> str:
    """Of the last commit: the wheel of one tree is the same bytes each time."""
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "315532800"


def _run(*command: str, env: dict[str, str]) -> None:
    subprocess.run(command, cwd=ROOT, env=env, check=True, stdin=subprocess.DEVNULL)
