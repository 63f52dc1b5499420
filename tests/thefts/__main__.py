"""Prints the tables of docs/security.md; with --write, writes them into it."""

from __future__ import annotations

import sys

from tests.thefts.page import PAGE, act_all, failed, filled, tables


def main() -> int:
    done = act_all()
    made = tables(*done)
    if "--write" in sys.argv[1:]:
        PAGE.write_text(filled(PAGE.read_text("utf-8"), made), "utf-8")
    else:
        print("\n\n".join(made.values()))
    for sentence in failed(*done):
        print(f"not met: {sentence}", file=sys.stderr)
    return 1 if failed(*done) else 0


if __name__ == "__main__":
    raise SystemExit(main())
