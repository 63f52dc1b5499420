"""Installs what was built as a stranger would: an empty environment, no compiler, no uv, no settings of this machine,
and no registry. What is installed must run the demo: four real nodes that end with one graph."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

DEMO_SECONDS = 120


class Tried(NamedTuple):
    """Seconds: of the installation, and of the demo."""

    what: str
    install_s: float
    demo_s: float
    entries: int


@contextmanager
def stranger() -> Iterator[tuple[Path, dict[str, str]]]:
    """An empty home and an environment in which nothing can be compiled and no uv is found."""
    with tempfile.TemporaryDirectory(prefix="banyan-try-") as folder:
        home = Path(folder)
        (home / "bin").mkdir()
        for tool in ("sh", "env", "ls", "cat", "tr", "dirname", "readlink"):
            if (found := shutil.which(tool, path="/usr/bin:/bin")) is not None:
                (home / "bin" / tool).symlink_to(found)
        python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        for name in ("python3", f"python{sys.version_info[0]}.{sys.version_info[1]}"):
            (home / "bin" / name).write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
            (home / "bin" / name).chmod(0o755)
        yield (
            home,
            {
                "HOME": folder,
                "PATH": str(home / "bin"),
                "TMPDIR": folder,
                "LANG": "C.UTF-8",
                "CC": "/bin/false",
                "CXX": "/bin/false",
                "PIP_NO_INDEX": "1",
                "PIP_CONFIG_FILE": os.devnull,
            },
        )


def try_wheelhouse(wheelhouse: Path) -> Tried:
    """With Python's own venv and pip."""
    with stranger() as (home, env):
        began = time.monotonic()
        _run(home, env, "python3", "-m", "venv", "env")
        pip = home / "env/bin/pip"
        _run(home, env, pip, "install", "--quiet", "--no-index", "--find-links", wheelhouse.absolute(), "banyan-social")
        installed = time.monotonic() - began
        _run(home, env, pip, "check")
        return _demo(f"pip, from {wheelhouse.name}", home, env, [home / "env/bin/banyan"], installed)


def try_executable(file: Path) -> Tried:
    with stranger() as (home, env):
        began = time.monotonic()
        shutil.copy(file, home / "banyan")
        _run(home, env, home / "banyan", "--version")
        return _demo("the executable", home, env, [home / "banyan"], time.monotonic() - began)


def try_uv_tool(wheelhouse: Path) -> Tried:
    """With uv, from the registry, as the documentation says: only our own wheel is from the wheelhouse."""
    (ours,) = wheelhouse.glob("banyan_social-*.whl")
    with stranger() as (home, env):
        uv = shutil.which("uv")
        assert uv is not None
        cache = subprocess.run(["uv", "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
        (home / "overrides.txt").write_text("fastecdsa>=4\n")
        theirs = {"PATH": f"{env['PATH']}:{os.environ['PATH']}"}  # who has uv has more; a compiler is refused by CC
        tools = {"UV_TOOL_DIR": str(home / "tools"), "UV_TOOL_BIN_DIR": str(home / "tool-bin"), "UV_CACHE_DIR": cache}
        certificates = {
            k: v for k, v in os.environ.items() if k in ("SSL_CERT_FILE", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS")
        }
        began = time.monotonic()
        command = ("tool", "install", "--quiet", "--overrides", "overrides.txt", "--python", f"{env['PATH']}/python3")
        _run(home, env | theirs | tools | certificates, uv, *command, ours.absolute())
        return _demo("uv tool", home, env, [home / "tool-bin/banyan"], time.monotonic() - began)


def _demo(what: str, home: Path, env: dict[str, str], banyan: list[Path], installed: float) -> Tried:
    began = time.monotonic()
    said = json.loads(_run(home, env, *banyan, "demo", "--exit", "--json"))
    assert said["converged"], said
    return Tried(what, round(installed, 1), round(time.monotonic() - began, 1), said["entries"])


def _run(home: Path, env: dict[str, str], *command: str | Path) -> str:
    words = [str(word) for word in command]
    program = words[0] if "/" in words[0] else str(home / "bin" / words[0])
    done = subprocess.run(
        [program, *words[1:]],
        cwd=home,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout
