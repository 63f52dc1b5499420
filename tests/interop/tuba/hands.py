"""Reads and presses what an app under GTK shows, as a screen reader does: over AT-SPI.

Debian's own Python runs it (`python3-gi`, `gir1.2-atspi-2.0`). A line of standard input is a JSON object with `do`; a
line to file 3 is the answer, null if nothing fits. It starts the app, and ends it at the end of its input.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

gi = importlib.import_module("gi")
gi.require_version("Atspi", "2.0")
Atspi = importlib.import_module("gi.repository.Atspi")
Asked = Mapping[str, Any]


def below(node: Any) -> Iterator[Any]:
    """The node, and what is below it, if it is on the screen."""
    try:
        if node.get_state_set().contains(Atspi.StateType.SHOWING):
            yield node
        children = [node.get_child_at_index(i) for i in range(node.get_child_count())]
    except Exception:  # it went away meanwhile
        return
    for child in children:
        if child is not None:
            yield from below(child)


def shown(app: str) -> Iterator[Any]:
    desktop = Atspi.get_desktop(0)
    for i in range(desktop.get_child_count()):
        one = desktop.get_child_at_index(i)
        if one is not None and one.get_name() == app:
            yield from below(one)


def text_of(node: Any) -> str:
    held = node.get_text_iface()
    return Atspi.Text.get_text(held, 0, Atspi.Text.get_character_count(held)) if held else ""


def actions(node: Any) -> list[str]:
    held = node.get_action_iface()
    return [Atspi.Action.get_action_name(held, i) for i in range(Atspi.Action.get_n_actions(held))] if held else []


def fits(node: Any, asked: Asked) -> bool:
    name, wanted = node.get_name() or "", asked.get("name", "*")
    same = name.startswith(wanted[:-1]) if wanted.endswith("*") else name == wanted
    return (
        same
        and asked.get("description") in (None, node.get_description())
        and asked.get("role") in (None, node.get_role_name())
    )


def press(app: str, asked: Asked) -> Any:
    """The first that fits and has the action; `click` if none is asked for."""
    wanted = asked.get("action", "click")
    for node in shown(app):
        if fits(node, asked) and wanted in actions(node):
            return Atspi.Action.do_action(node.get_action_iface(), actions(node).index(wanted))
    return None


def point(app: str, asked: Asked) -> Any:
    """A click of the mouse at a place of the screen: GTK does not say truly where a thing is."""
    return Atspi.generate_mouse_event(asked["x"], asked["y"], "b1c")


def write(app: str, asked: Asked) -> Any:
    """At the beginning of the last field that can be written into."""
    some = [node for node in shown(app) if node.get_state_set().contains(Atspi.StateType.EDITABLE)]
    if not some:
        return None
    said = asked["text"]
    return Atspi.EditableText.insert_text(some[-1].get_editable_text_iface(), 0, said, len(said.encode()))


def look(app: str, asked: Asked) -> Any:
    """The names, texts and descriptions."""
    return [said for node in shown(app) for said in (node.get_name(), text_of(node), node.get_description()) if said]


def main() -> None:
    name, *command = sys.argv[1:]
    does = {"press": press, "point": point, "write": write, "look": look}
    with subprocess.Popen(command, close_fds=True) as running, os.fdopen(3, "w") as answers:
        for line in sys.stdin:
            asked = json.loads(line)
            if asked["do"] == "open":  # as the desktop does with an address of the app
                subprocess.run([*command, asked["uri"]], check=True)
                said: Any = True
            else:
                said = does[asked["do"]](name, asked)
            print(json.dumps(said), file=answers, flush=True)
        running.terminate()


if __name__ == "__main__":
    main()
