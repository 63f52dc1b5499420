"""What members of the charter list, for people: what a list comes to here, and what is said of the accounts here."""

from collections import Counter
from typing import Annotated, Literal

from msgspec import Meta

from banyan_charter import hosting
from banyan_crdt.ids import AccountId, account_to_text, control_log
from banyan_node.api.declare import CommitView, MethodTable, Request, Response
from banyan_node.api.json_types import Did, did
from banyan_node.api.methods.network.alliance import ledger_here
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.list_keeper import NOT_LISTED, changes, own_member, people_of, write
from banyan_node.hosting.member_lists import batches, host_of
from banyan_node.operator_errors import conflict, not_found
from banyan_storage.alliance_tables import LISTED_AS

METHODS = MethodTable()


class QuotaRequest(Request):
    """member: its domain or DID. limit: how many accounts are named for each reason."""

    member: Annotated[str, Meta(title="a member", description="Its domain or its DID.", min_length=1, max_length=300)]
    limit: Annotated[int, Meta(ge=0, le=10_000)] = 10


class QuotaRefusal(Response):
    """why: a sentence about one account. accounts: some of them, the first ones."""

    why: str
    number: int
    accounts: list[Did]


class QuotaUse(Response):
    """quota: places for hosted accounts, and as many for attested ones. hosted, attested, vouched: accounts with a
    place; vouched: only those that are here. kept: accounts that are kept for it. twice: places that name an account
    again."""

    member: Did
    domain: str
    quota: int
    hosted: int
    attested: int
    vouched: int
    kept: int
    twice: int
    refused: list[QuotaRefusal]


class StandingRequest(Request):
    """accounts: DIDs, or names of accounts hosted here."""

    accounts: Annotated[list[str], Meta(min_length=1, max_length=20_000)]
    standing: Literal["hosted", "attested", "vouched", "none"] = "none"


class StandingSet(Response):
    """accounts: of which it was said. batches: of the list that were written."""

    accounts: int
    batches: int


@METHODS.read("alliance.quota", "not_found", "refused", slow=True)
def quota(at: CommitView, ask: QuotaRequest) -> QuotaUse:
    """What a member's list comes to at this node: how many accounts have a place, how many are kept for it, and why the
    others are not."""
    epochs = ledger_here(at).epochs
    if not epochs:
        raise not_found("The charter does not stand yet: not all founders signed.")
    epoch = epochs[-1]
    seat = next((s for s in epoch.seats.values() if ask.member in (s.domain.decode(), account_to_text(s.member))), None)
    if seat is None:
        raise not_found(f"'{ask.member}' is no member: give the domain or the DID of one (`banyan alliance members`).")
    found = hosting.places(epoch.parameters, batches(at.queries(), seat.member))
    of, why = Counter(found.placed.values()), dict[str, list[AccountId]]()
    for account, standing in found.placed.items():
        host, held = host_of(at.store, account), at.store.head(control_log(account)).length
        if not (held and hosting.counts_for(seat.member, standing, host)):
            said = "it names another host" if host else "it names no host" if held else "it has not come here"
            why.setdefault(said, []).append(account)
            of[hosting.Standing.VOUCHED] -= standing is hosting.Standing.VOUCHED  # nobody may have made it
    kept = len(found.placed) - sum(map(len, why.values()))
    if found.waiting:
        why["the quota is used up by those before it"] = [*found.waiting]
    rows = [QuotaRefusal(said, len(some), [did(one) for one in some[: ask.limit]]) for said, some in why.items()]
    return QuotaUse(
        did(seat.member),
        seat.domain.decode(),
        epoch.parameters.quota,
        of[hosting.Standing.HOSTED],
        of[hosting.Standing.ATTESTED],
        of[hosting.Standing.VOUCHED],
        kept,
        found.twice,
        rows,
    )


@METHODS.write("alliance.hosted", "not_found", "refused", audited=True)
def set_standing(c: Context, ask: StandingRequest, now: float) -> StandingSet:
    """Sets what the member that is hosted here says of accounts: hosted, attested, vouched (also of accounts
    elsewhere), or none: they are on its list no longer, and their places are free. People here are hosted unless
    something else was set."""
    epoch = c.replica.charter.epoch
    member = None if epoch is None else own_member(c, epoch)
    if epoch is None or member is None:
        raise conflict("No account that is hosted here is a member of a charter that stands.")
    accounts = [hosted.account_of(c, text) for text in ask.accounts]
    said = NOT_LISTED if ask.standing == "none" else int(hosting.Standing[ask.standing.upper()])
    for account in accounts:
        here = hosted.is_hosted(c.store, account)
        if ask.standing in ("hosted", "attested") and not here:
            raise conflict(f"{account_to_text(account)} is not hosted here; a member can vouch for it (vouched).")
        usual = hosting.Standing.HOSTED if here else NOT_LISTED
        LISTED_AS.put(c.store, account, None if said == usual else said)
    if not write(c, member, changed := changes(c, member, people_of(c, epoch)), now) and changed:
        raise conflict("This node may not write for the member, so its list stays as it is.")
    return StandingSet(len({*accounts}), len(changed))
