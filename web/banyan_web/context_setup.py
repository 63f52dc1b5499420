"""Puts together what endpoints share, in the process that serves the door, whichever it is."""

from __future__ import annotations

from urllib.parse import urlsplit

from banyan_node.home.sections import HttpSettings
from banyan_web.door_files import DoorFiles
from banyan_web.door_store import DoorStore
from banyan_web.endpoint import DoorBackend, DoorContext, Firehose, ServerInfo
from banyan_web.firehose.tail import RUNS, Tail
from banyan_web.mastodon.cards.link_cards import LinkCards
from banyan_web.mastodon.push.crypto import PushIdentity
from banyan_web.mastodon.push.subscriptions import PushSubscribers
from banyan_web.mastodon.streaming.hub import Hub
from banyan_web.outbound_http import OutboundHttp
from banyan_web.rate_limits import RateLimits
from banyan_web.server_rules import ServerRules


def web_of(
    backend: DoorBackend,
    door: DoorStore,
    files: DoorFiles,
    rules: ServerRules,
    http: HttpSettings,
    url: str,
    tail: Tail,
    hub: Hub,
    bounds: RateLimits,
    push_key: bytes,
) -> DoorContext:
    """url: where the door listens, by which clients know it if no setting says otherwise. push_key: see
    mastodon/push/crypto.py."""
    known = http.url or url
    info = ServerInfo(
        http.domain or urlsplit(known).netloc, http.title, http.description, http.email, rules, http.browser_accounts
    )
    pushes = PushSubscribers(PushIdentity(push_key), OutboundHttp(http.local_push))
    cards = LinkCards(http.cards, OutboundHttp(http.local_cards, plain=True), known)
    firehose = Firehose(tail, Tail(backend, RUNS))
    outside = OutboundHttp(http.local_webhooks)
    return DoorContext(backend, door, known, info, firehose, files, bounds, outside, parts=(hub, pushes, cards))
