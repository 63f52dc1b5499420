"""Mistakes in the platform API: what is done twice or for somebody else, and where webhooks may go."""

from tests.mutants.mutant import Mutant

_BULK, _ONCE = "node/banyan_node/api/methods/bulk.py", "node/banyan_node/hosting/once.py"
_POSTS = "node/banyan_node/api/methods/posts.py"
_WEB = "web/banyan_web"
_NODE, _DOOR = ("tests/node/test_bulk.py",), ("tests/web/test_platform.py",)
_READING, _HOOKS = ("tests/web/test_platform_reading.py",), ("tests/web/test_platform_webhooks.py",)

IN_PLATFORM = (
    Mutant(
        "anybody has a huge archive made",
        "web/banyan_web/platform/proofs.py",
        "whole=is_platform(ask.token) or who == account",
        "whole=True",
        ("tests/web/test_costs_of_strangers.py",),
    ),
    Mutant("an id is done again", _BULK, "if before is not None:", "if before is not None and not id:", _NODE),
    Mutant("an id stands for any content", _BULK, "if before.said != said:", "if before.said == b'':", _NODE),
    Mutant(
        "two platforms share their ids", _ONCE, "encode([whose.encode(), id.encode()])", "encode([id.encode()])", _NODE
    ),
    Mutant("yesterday's ids are forgotten", _ONCE, "_of(now_ms // DAY_MS - 1)", "_of(now_ms // DAY_MS + 1)", _NODE),
    Mutant("ids are never forgotten", _ONCE, "if key >= kept:", "if key >= b'':", _NODE),
    Mutant("an account deletes what another said", _BULK, "and about != by:", "and about == b'':", _NODE),
    Mutant(
        "an operation does not see what the one before it wrote",
        _BULK,
        "self._waiting.intersection((by, about))",
        "self._waiting.intersection(())",
        _NODE,
    ),
    Mutant("posts of one millisecond lose their order", _BULK, "self.ctx.ahead.get(by, 0) + 1", "0", _NODE),
    Mutant("half of an operation stays", _BULK, "if self.ctx.replica.changes != changes:", "if not changes:", _NODE),
    Mutant(
        "an app's own token acts as anybody",
        f"{_WEB}/platform/acting.py",
        "token.account is None and token.allows(HOST)",
        "token.account is None",
        _DOOR,
    ),
    Mutant(
        "a name may have a slash",
        "node/banyan_node/api/methods/accounts.py",
        'or "/" in ask.name or',
        "or",
        _DOOR,
    ),
    Mutant(
        "of accounts of one name the last one is opened",
        f"{_WEB}/platform/hosting.py",
        "if name in names:",
        "if name == ' ':",
        _DOOR,
    ),
    Mutant(
        "a person acts as another one",
        f"{_WEB}/platform/acting.py",
        "if named in (None, ask.account) or (own is not None and named == own):",
        "if named is not None:\n        return named\n    if named is None:",
        _DOOR,
    ),
    Mutant(
        "half a line is done",
        f"{_WEB}/platform/lines.py",
        "except StopAsyncIteration:",
        "except (StopAsyncIteration, ClientDisconnect):",
        _DOOR,
    ),
    Mutant(
        "the words of a user lie open in the file",
        f"{_WEB}/platform/sealed.py",
        "self._box(name).encrypt(one.text.encode())",
        "one.text.encode()",
        _DOOR,
    ),
    Mutant("one who is muted is shown", _POSTS, "if target.account in lens.hidden:", "if lens is None:", _READING),
    Mutant(
        "an old answer counts as the new one",
        f"{_WEB}/platform/reading.py",
        "sha256(body).hexdigest()[:32]",
        "sha256(ask.request.url.path.encode()).hexdigest()[:32]",
        _READING,
    ),
    Mutant(
        "a webhook is sent into the own network",
        f"{_WEB}/outward.py",
        "if not is_public(one)]",
        "if one is None]",
        _HOOKS,
    ),
    Mutant(
        "an IPv6 address hides a private one",
        f"{_WEB}/outward.py",
        "return is_public(address.ipv4_mapped)",
        "return True",
        _HOOKS,
    ),
    Mutant(
        "an event that was not taken is skipped",
        f"{_WEB}/platform/deliveries.py",
        "return None if 200 <= status < 300 else",
        "return None if 200 <= status < 600 else",
        _HOOKS,
    ),
    Mutant(
        "a webhook is signed without its time",
        f"{_WEB}/platform/webhooks.py",
        'b"%b.%d.%b" % (id.encode(), seconds, body)',
        'b"%b.%b" % (id.encode(), body)',
        _HOOKS,
    ),
)
