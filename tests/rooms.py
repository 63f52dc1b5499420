"""The rooms of the product, as the wheel has them: for whatever walks them all."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES = [ROOT / path for path in SETUP["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]
ROOMS = tuple(package.parent.name for package in PACKAGES)
"""Their folders."""
