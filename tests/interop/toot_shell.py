"""toot, loaded once and forked for each command: to load it takes longer than what it does.

A line of standard input is a command: its arguments, and two files for what it prints. A line of output: how it ended.
"""

from __future__ import annotations

import json
import os
import sys

from toot.cli import cli


def run(arguments: list[str], out: str, complaints: str) -> None:
    """Never returns."""
    code: object = 1
    try:
        for stream, path in ((0, os.devnull), (1, out), (2, complaints)):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), stream)
        cli(arguments)
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(*json.loads(line))
        os.write(1, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
