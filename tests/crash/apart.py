"""A question that LMDB may answer by ending the process: asked in one of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

MOST = 4_000
"""Bytes of an answer."""


def apart(ask: Callable[[], str]) -> str:
    """What `ask` returns, the error that it raises, or how its process ended. What it prints is dropped."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        said = ""
        try:
            os.close(read)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            said = ask()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(write, said.encode()[:MOST])
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode("utf-8", "replace")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        return f"the process ended with {signal.Signals(-status).name if status < 0 else status}"
    return said
