"""The door for HTTP as its clients meet it: whether it answers, how long its certificate lasts, what it remembers."""

from __future__ import annotations

import http.client
import socket
import ssl
import stat
import time
from pathlib import Path
from urllib.parse import urlsplit

from banyan_schema import dates

SECONDS = 5.0
"""How long an answer may take."""
SOON_DAYS = 14
"""A certificate that ends sooner should have been renewed: Caddy and certbot do it a month before."""
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_DAY_S = 86_400


def answers(address: str) -> tuple[bool, str]:
    """Whether /health answers. address: HOST:PORT or unix:PATH."""
    where = f"The door at {address}"
    try:
        began = time.monotonic()
        status = _health(address)
    except (OSError, http.client.HTTPException) as why:
        said = (isinstance(why, OSError) and why.strerror) or type(why).__name__
        return False, f"{where} does not answer ({said}); look at the node's log, and start it again."
    if status != 200:
        return False, f"{where} answers {status} to /health; look at the node's log."
    return True, f"{where} answers, in {1000 * (time.monotonic() - began):.0f} ms."


def _health(address: str) -> int:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if address.startswith("unix:"):
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(SECONDS)
        line.connect(address.removeprefix("unix:"))
        connection = http.client.HTTPConnection("localhost", timeout=SECONDS)
    else:
        line = socket.create_connection((_ANY.get(host, host), int(port)), SECONDS)
        connection = http.client.HTTPConnection(host, int(port), timeout=SECONDS)
    connection.sock = line
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    finally:
        connection.close()


def certificate(url: str) -> tuple[bool | None, str]:
    """How long the certificate of https://HOST lasts, and whether clients believe it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        return None, "http.url names no https address, so there is none."
    try:
        with (
            socket.create_connection((host, parts.port or 443), SECONDS) as line,
            ssl.create_default_context().wrap_socket(line, server_hostname=host) as safe,
        ):
            ends = ssl.cert_time_to_seconds(str((safe.getpeercert() or {})["notAfter"]))
    except ssl.SSLCertVerificationError as why:
        return False, f"Clients do not believe the certificate of {host}: {why.verify_message}; renew or replace it."
    except ssl.SSLError as why:
        return False, f"{host} speaks no TLS ({why.reason}); put a proxy with a certificate before the door."
    except OSError as why:
        return False, f"{url} is not reached from here ({why.strerror or why}); look at its DNS and at the proxy."
    left, day = int((ends - time.time()) // _DAY_S), dates.day(int(ends * 1000))
    if left < SOON_DAYS:
        return (
            False,
            f"The certificate of {host} ends on {day}, in {left} days; renew it (`certbot renew`, or Caddy's log).",
        )
    return True, f"That of {host} lasts until {day}, {left} days."


def remembers(path: Path) -> tuple[bool | None, str]:
    """Whether door.db can be read, and by its owner alone."""
    from banyan_web.door_store import why_unsound

    if not path.exists():
        return None, "There is none yet: nobody has logged in, and no token was made."
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return False, f"{path} has mode {mode:04o}, so others on this machine can read it; run `chmod 600 {path}`."
    if (why := why_unsound(path)) is not None:
        return False, f"{path} is damaged ({why}); stop the node and put a copy back, or remove it: people log in anew."
    return True, "Logins, tokens and apps can be read."
