"""What a webhook brought, once it is known to be genuine: signed as Standard Webhooks says, and not old."""

import hashlib
import hmac
import time
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Mapping
from typing import Any

import msgspec

PREFIX = "whsec_"
TOLERANCE_S = 300
"""How far the sender's clock may be off, and how long a delivery may take."""


class NotGenuine(ValueError):
    """The delivery is not of the node that has the secret, was altered, or is old. Answer with 400."""


class Delivery(msgspec.Struct, frozen=True):
    """webhook: its id. id: of this delivery; the same one may come again. events: of the firehose, or what the
    documentation calls `entries` and `control`; each has a `cursor`."""

    webhook: str
    id: str
    events: list[dict[str, Any]]


def verified(
    headers: Mapping[str, str], body: bytes, secret: str, now: float | None = None, tolerance_s: int = TOLERANCE_S
) -> Delivery:
    """What a delivery says. headers: in any case. body: the bytes as they came. secret: of the webhook's making. now:
    seconds since 1970; default: this machine's clock. Raises NotGenuine; ValueError for a secret that is none."""
    given = {name.lower(): value for name, value in headers.items()}
    try:
        id, at, said = (given[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature"))
        seconds = int(at)
    except (KeyError, ValueError):
        raise NotGenuine("The headers webhook-id, webhook-timestamp and webhook-signature are missing.") from None
    key = _key(secret)
    expected = b64encode(hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256).digest())
    signatures = [one.removeprefix("v1,").encode() for one in said.split() if one.startswith("v1,")]
    if not any(hmac.compare_digest(expected, one) for one in signatures):
        raise NotGenuine("The signature is not made with this secret, or something was altered.")
    off = abs((time.time() if now is None else now) - seconds)
    if off > tolerance_s:
        raise NotGenuine(f"The delivery is dated {off:.0f} s away; {tolerance_s} s are allowed.")
    try:
        value = msgspec.json.decode(body, type=dict[str, Any])
        return Delivery(value["webhook"], id, value["events"])
    except (msgspec.DecodeError, KeyError) as error:
        raise NotGenuine(f"The body is signed and no delivery: {error}.") from error


def _key(secret: str) -> bytes:
    try:
        return b64decode(secret.removeprefix(PREFIX), validate=True)
    except Error:
        raise ValueError(f"The secret of a webhook is {PREFIX} and base64.") from None
