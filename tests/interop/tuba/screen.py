"""Tuba on a screen that nobody sees: Xvfb, a message bus, a keyring, and a home folder of its own.

The server's name and certificate are known inside a mount namespace alone; nothing of the machine is changed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import ImageGrab

from tests.interop.tuba.tunnel import ADDRESS, NAME
from tests.needs import OWN_MOUNTS

PACKAGES = "tuba xvfb dbus-daemon at-spi2-core gnome-keyring python3-gi gir1.2-atspi-2.0 openssl"
"""Of Debian 13."""
PROGRAMS = ("tuba", "Xvfb", "dbus-run-session", "gnome-keyring-daemon", "openssl", "unshare")
TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
WAIT_S = 20.0
HANDS = Path(__file__).with_name("hands.py")
_START = f"""
mount --bind "$1" {TRUSTED}
mount --bind "$2" /etc/hosts
exec 3>&1 >&2  # the bus and the app say things too
exec dbus-run-session -- sh -ec 'printf x | gnome-keyring-daemon --unlock --components=secrets >/dev/null
exec /usr/bin/python3 -W ignore {HANDS} tuba tuba'
"""
_SETTINGS = """
[dev/geopjr/Tuba]
monitor-network=false
window-w={width}
window-h={height}

[org/gnome/desktop/interface]
gtk-enable-animations=false
"""
_BROWSER = """
[Desktop Entry]
Type=Application
Name=Browser
Exec={program} %u
MimeType=x-scheme-handler/https;
"""
SIZE = (1_000, 860)


class Screen:
    """What a person sees of the app and does with it. Everything waits until it can be done."""

    def __init__(self, home: Path, display: str, hands: subprocess.Popen[str]) -> None:
        self._home, self._display, self._hands = home, display, hands

    def _ask(self, **asked: Any) -> Any:
        assert self._hands.stdin is not None
        assert self._hands.stdout is not None
        self._hands.stdin.write(json.dumps(asked) + "\n")
        self._hands.stdin.flush()
        return json.loads(self._hands.stdout.readline() or "null")

    def _until(self, what: str, **asked: Any) -> None:
        deadline = time.monotonic() + WAIT_S
        while not self._ask(**asked):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: {asked}; shown is {self.shown()}")
            time.sleep(0.1)

    def press(self, name: str = "*", **more: str) -> None:
        """name: with a star at its end, the beginning. more: `description`, `role`, `action`."""
        self._until("nothing can be pressed", do="press", name=name, **more)

    def point(self, x: int, y: int) -> None:
        """A click of the mouse. x, y: pixels of the screen, at whose corner the window stands."""
        self._ask(do="point", x=x, y=y)

    def write(self, text: str) -> None:
        """At the beginning of the last field."""
        self._until("there is no field", do="write", text=text)

    def shown(self) -> list[str]:
        found: list[str] = self._ask(do="look") or []
        return list(dict.fromkeys(found))

    def wait(self, *words: str, gone: bool = False) -> None:
        """Until all of them are in what is shown; or none is."""
        deadline = time.monotonic() + WAIT_S
        while True:
            every = "\n".join(self.shown())
            lacking = [word for word in words if (word in every) == gone]
            if not lacking:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"{'still' if gone else 'not'} shown: {lacking}; shown is {every}")
            time.sleep(0.1)

    def link(self) -> str:
        """The address that the app gave to the browser."""
        deadline = time.monotonic() + WAIT_S
        while not (self._home / "links").exists():
            assert time.monotonic() < deadline, "the app opened no browser"
            time.sleep(0.1)
        return (self._home / "links").read_text().split()[-1]

    def open(self, uri: str) -> None:
        self._ask(do="open", uri=uri)

    def picture(self, path: Path) -> None:
        ImageGrab.grab(xdisplay=self._display).save(path)


def missing() -> list[str]:
    """Programs that are not here."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@contextmanager
def screen(home: Path, cert: Path) -> Iterator[Screen]:
    """home: a new folder. cert: of the server."""
    runtime, config, data = home / "run", home / "config", home / "data"
    for folder in (runtime, config / "glib-2.0" / "settings", data / "applications"):
        folder.mkdir(parents=True)
    runtime.chmod(0o700)
    settings = _SETTINGS.format(width=SIZE[0], height=SIZE[1])
    (config / "glib-2.0" / "settings" / "keyfile").write_text(settings)
    browser = home / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >>"{home}/links"\n')
    browser.chmod(0o755)
    (data / "applications" / "browser.desktop").write_text(_BROWSER.format(program=browser))
    (config / "mimeapps.list").write_text("[Default Applications]\nx-scheme-handler/https=browser.desktop\n")
    bundle = home / "trusted.pem"
    bundle.write_bytes(Path(TRUSTED).read_bytes() + cert.read_bytes())
    hosts = home / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{ADDRESS} {NAME}\n")
    with _display() as display, (home / "log").open("w") as log:
        given = {
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_CONFIG_HOME": str(config),
            "XDG_DATA_HOME": str(data),
            "XDG_CACHE_HOME": str(home / "cache"),
            "DISPLAY": display,
            "GDK_BACKEND": "x11",
            "GDK_DEBUG": "no-portals",
            "GSK_RENDERER": "cairo",
            "GSETTINGS_BACKEND": "keyfile",
            "GTK_A11Y": "atspi",
            "G_MESSAGES_DEBUG": "Tuba",
            "LANG": "C.UTF-8",
            "PATH": os.environ["PATH"],
        }
        around = [*OWN_MOUNTS, "--pid", "--fork", "--kill-child"]
        command = [*around, "sh", "-ec", _START, "sh", str(bundle), str(hosts)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=given, stdin=pipe, stdout=pipe, stderr=log, text=True) as hands:
            try:
                yield Screen(home, display, hands)
            finally:
                hands.kill()


@contextmanager
def _display() -> Iterator[str]:
    reading, writing = os.pipe()
    width, height = SIZE
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as running:
        try:
            os.close(writing)
            with os.fdopen(reading) as said:
                yield f":{said.readline().strip()}"
        finally:
            running.terminate()
