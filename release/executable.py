"""One file that carries all packages of a node, made with shiv: a zip that Python runs.

It is unpacked once, into ~/.shiv, and starts from there. It needs a Python of the version that made it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SHIV = "shiv>=1.0.8"


def build(file: Path, wheelhouse: Path) -> Path:
    """Writes the file. Raises CalledProcessError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    command = ["uv", "run", "--quiet", "--no-project", "--python", python, "--with", SHIV, "--with", "pip>=25", "shiv"]
    command += ["--console-script", "banyan", "--output-file", str(file), "--python", f"/usr/bin/env python{python}"]
    command += ["--extend-pythonpath", "--compressed", "--reproducible"]  # processes that a node starts find it too
    command += ["--quiet", "--no-index", "--find-links", str(wheelhouse), "banyan-social"]
    env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PIP_FIND_LINKS")}
    subprocess.run(command, env=env, check=True, stdin=subprocess.DEVNULL)
    return file
