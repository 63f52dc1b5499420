"""The examples of docs/platform-api.md run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import trio

from tests.needs import ROOT, skipped_without
from tests.web.door import open_node
from tests.web.test_platform import platform

PAGE = ROOT / "docs" / "platform-api.md"
needs_curl = skipped_without(None if shutil.which("curl") else "no `curl` here: apt-get install curl")


def run(line: list[str], text: str, folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        [*line, text], cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@needs_curl
async def test_the_examples_do_what_the_page_says(tmp_path: Path) -> None:
    found = re.findall(r"^```(sh|python)\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    assert [kind for kind, _ in found] == ["sh"] * 4 + ["python"] * 2 + ["sh", "sh", "python"]
    async with open_node(tmp_path / "home") as door:
        await door.person("Lotus")
        env = {"DOOR": door.url, "TOKEN": platform(door).token or ""}
        (tmp_path / "work").mkdir()
        said = []
        for kind, text in found:
            line = ["bash", "-euo", "pipefail", "-c"] if kind == "sh" else [sys.executable, "-c"]
            said.append(await trio.to_thread.run_sync(run, line, text, tmp_path / "work", env))
        one, many, operations, single, _, _, feed, hook, _ = said
        assert '"recovery_words":"' in one
        assert [row.count('"status":200') for row in many.splitlines()] == [1, 1, 0]
        assert [row.count('"status":200') for row in operations.splitlines()] == [1, 1, 0]
        assert "post has no parameter 'txet'; did you mean 'text'?" in operations
        assert '"id":"react-5","status":200' in single
        assert feed.count('"text":"số 149') == 2
        assert '"secret":"whsec_' in hook
