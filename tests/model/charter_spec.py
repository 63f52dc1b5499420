"""The rules of a charter, as plainly as we can write them: an alliance of members that nobody owns.

Nothing here imports the product, reads a clock or draws a random number. Signatures are tuples: an act that names a
key was signed with it, and the adversary of `charter_history.py` makes such acts only for keys that he holds.

    state_of(acts, genesis) -> the chain of epochs that stand, and who signed two histories
    Ledger                  -> the same, act by act in any order
    skip(known, bundle)     -> what a verifier that knows only an old epoch accepts

# The rules

**Epochs.** A charter is a chain of epochs. An epoch's content is the whole list of seats and the proposals that
made it from the list before. Each seat has a key. The seats of epoch n that are awake are its *votes*.

**Ballots.** One question is open at a time: the content of epoch n+1. There are ballots 1, 2, ... Each has two steps.

1. *Vote* (ballot b, content X, unlock v). A member votes once in a ballot, and never in a ballot below one it
   signed in. Content X is **locked** in ballot b when more than 2/3 of the votes of n voted for it in b, and more
   than 2/3 of the votes that X gives to n+1 voted for it in b or before (they *consent*).
2. *Commit* (b, X). A member that sees X locked in b signs this, if it has signed in no later ballot. From now on it
   is locked on X at b. The **certificate** of X is a lock of X in some ballot and commits in that ballot by more
   than 2/3 of the votes of n. Of the certificates of one content the one of the lowest ballot is meant.

**The unlock rule.** A member that committed X at b votes in later ballots for X, or for another content Y only with
b < v, where Y was locked in ballot v. The vote names v, and does not count where the votes that lock Y in v are
missing (v = 0: the signer says that it committed to nothing else). So breaking one's lock leaves two signatures
that prove it: commit (b, X) and vote (b', Y, v) with v < b < b'.

**Why there are not two certificates**, if less than 1/3 of the votes of n are Byzantine. Let X have one in ballot
b. In the same ballot, a lock of Y needs 1/3 that voted twice. Let b' be the first later ballot in which some Y is
locked. More than 1/3 of the votes committed X at b and voted Y at b'. Their v is below b' and Y was locked there;
so v < b, or v = b, which was excluded, because b' is the first. So more than 1/3 broke their locks. This also says
who: two certificates always prove more than 1/3 of the votes double signers.

**Why a split vote ends.** Once the honest have the same acts, those that see a lock vote for the content of the
highest one, which unlocks each of them. Where there is none, nobody is locked, and they follow the seat whose turn
the ballot is (a convention of `choice`, not a rule: a wrong turn costs a ballot, no safety). No step waits for a
time.

**Consent is given once,** for a content, not for a ballot, and not in commits. Otherwise newcomers could consent to
X, so that everybody is locked on it, and be silent in all commits or later ballots: the alliance would be stuck.
Safety does not depend on it. It counts from its ballot on, so a certificate needs no act of a later ballot.

**Who leaves by a content signs it like everybody.** Votes and commits are counted among the votes of n, whoever of
them X keeps. If those that leave did not count, some could vote until X is locked and then be silent: the honest that
stay would be too few to commit, and the one that did commit may vote for nothing else. So who is expelled and refuses
to sign is one of the less than 1/3.

**Keys.** A seat has a root: it fixes one key for each number, and whoever holds the key of a number can make those of
later numbers and none of earlier ones (forward security). A signature of number n counts only by the key of n. An
honest member destroys the key of n when it sees the epoch stand, because ballots need it until then. Who left by that
epoch may keep it and turn hostile. Of n votes, f of which are Byzantine and h left and are hostile, at least q - f -
h signed with keys that are gone (q: the least number above 2n/3). Another content needs q of the other n - (q - f -
h). So it has them only if f + h >= 2q - n, which is more than n/3: less than a third are harmless, whatever is stolen
later. *A content takes the vote from at most a third*, so those who leave are not enough alone; and it does not give
the seat of an account that it expels to other keys, which would be leaving by another name. A stolen key is good for
later numbers too, until a content gives the seat another root, which its second key, the spare one, may ask for. Keys
follow from seats and numbers alone: if they followed from signatures, a hidden one that appears later would change
who may sign, and undo an epoch.

**Sleep.** A roll call is a proposal; answers are signed and listed by a content. A content may put to sleep who has
answered none of the last two roll calls, as the contents list it. It is adopted by more than 2/3 of the votes
before it, those that fall asleep included, and at least half of all seats stay awake. A sleeping seat has no vote
and is in no total. Its signature, listed by the next content, wakes it: it is a vote of n+1 and counts in the
consent to it, but not among the votes of n. *No rule asks whether an act is absent*, because it can arrive later.
That an answer is missing is what the signers say.

**Two certificates** for one number strike those whose double signing is proved by two signatures that count, for the
contents that have one, in ballots up to that of the certificate. A node need not keep all that a Byzantine vote signs
for other contents, so these must not change who is struck. The content whose lock and commits are more than 2/3 of the
rest stands, if it is one. Otherwise the charter stays at n. Without two certificates
nobody is struck. Members are struck for that count; expelling them is a proposal.

**Skipping.** A verifier that knows epoch m takes epoch n with its certificate and epoch n-1, which n names by hash,
if more than 2/3 of the votes of m that it knows are among those that committed n, by keys of the roots that it knows.

# What is not claimed

- One third: 1/3 or more of the votes can block every epoch, and split votes can be kept alive while messages are
  kept from some. With 1/3 or more Byzantine, two certificates can be made; they are found, and may leave the
  charter at n. Honest keys of n are destroyed then, so only a successor that operators choose by hand goes on.
- One half: half of the seats awake is the least; a sleeping half is brought back by its own signatures only if a
  content lists them. Honest votes refuse one that omits a signature that they hold, which needs 1/3 of them.
- Two thirds: more than 2/3 of the votes decide all: they expel, admit, put to sleep, and may lie about answers. A
  quorum that is lost (1/3 or more are dead, and not put to sleep in time) never comes back, and no time changes
  that.
- A verifier that skips assumes that at most 2/3 of the votes it knows are Byzantine, or have left and collude. Who
  was away for long asks somebody it trusts. Before it sees both of two certificates it can stand at either.
- A key that is stolen before its owner saw the epoch stand counts as a Byzantine vote of that epoch.
- Leaving needs a margin: if Byzantine votes and hostile leavers of one number are n/3 or more together, honest members
  that did not hear yet of the epoch can be brought to certify another one with them.
- That a proposal is good, that members are different people, that bytes are decoded rightly: not modelled.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

Key = tuple[int, int, int]
"""(member, root, number): with it the member signs for that number alone."""
SPARE = -1
"""In the place of the number: the spare key of the root."""
Proposal = tuple[Any, ...]
"""admit member root | expel member | renew member root by | roll | answer member by | sleep member
wake member by | note n

`by` is the key that signed it."""


class Rules(NamedTuple):
    """The rules in force, and switches to show what each is for. Only RULES is the protocol."""

    above: tuple[int, int] = (2, 3)
    consent: str = "lock"
    """"none": the votes of n+1 are not asked; "ballot": they are asked anew in each; "commit": they must commit, too;
    "only": the votes of n are not asked."""
    lock: str = "proof"
    """"ignored": a member votes as if it had committed to nothing; "claim": the number in a vote unlocks, without
    proof."""
    one_step: bool = False
    """A vote is a commit: a content voted for by a quorum stands."""
    old_keys: bool = False
    leavers_sign: bool = True
    most_leave: tuple[int, int] = (1, 3)
    sleep: str = "out"
    """"total": sleeping seats are in the total; "vote": they may sign; "rest": a content is adopted by those that it
    leaves awake."""
    half_awake: bool = True
    missed: int = 2
    wake_now: bool = False
    """A seat that X wakes is a vote of n."""
    strike: str = "proof"
    """"always": who signed twice, whatever for, is not counted, also with one certificate; "none": the smaller content
    stands."""
    skip_above: tuple[int, int] = (2, 3)


RULES = Rules()


class Seat(NamedTuple):
    """`missed`: roll calls since its last listed answer."""

    member: int
    root: int = 0
    awake: bool = True
    missed: int = 0

    def key(self, number: int) -> Key:
        return self.member, self.root, number


class Content(NamedTuple):
    """`id` stands for the hash of all the rest; `prev` is that of the epoch before."""

    id: int
    number: int
    prev: int
    seats: tuple[Seat, ...]
    proposals: tuple[Proposal, ...] = ()


class Vote(NamedTuple):
    number: int
    ballot: int
    content: int
    unlock: int
    key: Key


class Commit(NamedTuple):
    number: int
    ballot: int
    content: int
    key: Key


Act = Content | Vote | Commit


class Certificate(NamedTuple):
    """Masks of members (bit 1 << member)."""

    content: int
    ballot: int
    votes: int
    commits: int
    consent: int


class State(NamedTuple):
    """`chain`: ids of the epochs that stand, from 0. `struck`: of each number with two certificates who signed both."""

    chain: tuple[int, ...]
    struck: tuple[tuple[int, int], ...] = ()


def enough(signed: int, total: int, above: tuple[int, int]) -> bool:
    return signed.bit_count() * above[1] > total.bit_count() * above[0]


def mask(members: Iterable[int]) -> int:
    out = 0
    for m in members:
        out |= 1 << m
    return out


def too_many(leaving: int, votes: int, rules: Rules) -> bool:
    return enough(leaving, votes, rules.most_leave)


def votes_of(seats: tuple[Seat, ...]) -> int:
    return mask(s.member for s in seats if s.awake)


@cache
def applied(
    seats: tuple[Seat, ...], number: int, proposals: tuple[Proposal, ...], rules: Rules
) -> tuple[Seat, ...] | None:
    """The seats of epoch `number`, None if a proposal may not be adopted. Answers, sleep, waking, then a roll call."""
    by = {s.member: s for s in seats}
    was = dict(by)
    if sum(p[0] == "roll" for p in proposals) > 1:
        return None
    for kind, *rest in sorted(proposals, key=lambda p: ORDER.index(p[0])):
        m = rest[0] if rest else -1
        if kind == "note":
            continue
        if kind == "roll":
            by = {n: s._replace(missed=s.missed + s.awake) for n, s in by.items()}
        elif kind == "admit":
            if m in by or m in was:
                return None
            by[m] = Seat(m, rest[1])
        elif m not in by:
            return None
        elif kind == "expel":
            del by[m]
        elif kind == "sleep":
            if not by[m].awake or by[m].missed < rules.missed:
                return None
            by[m] = by[m]._replace(awake=False)
        elif rest[-1] != was[m].key(number) and (kind, rest[-1]) != ("renew", was[m].key(SPARE)):
            return None
        elif kind == "renew":
            if rest[1] == was[m].root:
                return None
            by[m] = by[m]._replace(root=rest[1])
        elif by[m].awake if kind == "wake" else not by[m].missed:
            return None
        else:
            by[m] = by[m]._replace(missed=0, awake=by[m].awake or kind == "wake")
    awake = sum(s.awake for s in by.values())
    if not awake or (rules.half_awake and awake * 2 < len(by)):
        return None
    if too_many(votes_of(seats) & ~votes_of(tuple(by.values())), votes_of(seats), rules):
        return None
    return tuple(by[m] for m in sorted(by))


ORDER = ("answer", "sleep", "wake", "renew", "expel", "admit", "roll", "note")


class Electorate(NamedTuple):
    """Who may sign a content after an epoch: `old` and `new` are the votes of n and n+1, `keys` gives bits for keys."""

    old: int
    new: int
    keys: dict[Key, int]


def electorate(epoch: Content, x: Content, rules: Rules) -> Electorate:
    old, new = votes_of(epoch.seats), votes_of(x.seats)
    here = {s.member: s for s in epoch.seats}
    there = {s.member: s for s in x.seats}
    keys = {}
    for m, s in here.items():
        if not (s.awake or rules.sleep == "vote" or (rules.wake_now and m in there and there[m].awake)):
            continue
        if m in there or rules.leavers_sign:
            keys[s.key(x.number)] = 1 << m
    for m, s in there.items():
        if s.awake and not (m in here and here[m].awake):
            keys[here.get(m, s).key(x.number)] = 1 << m
    if rules.sleep == "total":
        old, new = mask(here), mask(there)
    elif rules.sleep == "rest":
        old &= new
    elif rules.sleep == "vote":
        old |= mask(m for m, s in here.items() if s.key(x.number) in keys)
    if rules.wake_now:
        old |= new & mask(here)
    if rules.old_keys:
        keys |= {s.key(n): 1 << m for m, s in here.items() for n in range(x.number)}
    return Electorate(old, new, keys)


def locks(who: Electorate, signed: int, consent: int, rules: Rules) -> bool:
    """`signed`: who voted for it in the ballot. `consent`: who did in that or an earlier one."""
    if rules.consent == "ballot":
        consent = signed
    if rules.consent == "only":
        return enough(signed & who.new, who.new, rules.above)
    return enough(signed & who.old, who.old, rules.above) and (
        rules.consent == "none" or enough(consent & who.new, who.new, rules.above)
    )


def commits(who: Electorate, signed: int, rules: Rules) -> bool:
    if rules.consent in ("only", "commit") and not enough(signed & who.new, who.new, rules.above):
        return False
    return rules.consent == "only" or enough(signed & who.old, who.old, rules.above)


class Count(NamedTuple):
    """Of one number: votes that count and commits, as masks by (ballot, content), and the certificates."""

    who: dict[int, Electorate]
    voted: dict[tuple[int, int], int]
    committed: dict[tuple[int, int], int]
    consent: dict[int, int]
    certificates: list[Certificate]


def count(epoch: Content, acts: Iterable[Act], rules: Rules) -> Count:
    """`acts`: those of the number after the epoch."""
    acts = list(acts)
    who = {
        x.id: electorate(epoch, x, rules)
        for x in acts
        if isinstance(x, Content)
        and x.prev == epoch.id
        and x.number == epoch.number + 1
        and applied(epoch.seats, x.number, x.proposals, rules) == x.seats
    }
    voted: dict[tuple[int, int], int] = {}
    committed: dict[tuple[int, int], int] = {}
    consent = dict.fromkeys(who, 0)
    for c in acts:
        if isinstance(c, Commit) and c.content in who:
            at = (c.ballot, c.content)
            committed[at] = committed.get(at, 0) | who[c.content].keys.get(c.key, 0)
    votes = [a for a in acts if isinstance(a, Vote) and a.content in who and a.ballot > 0]
    locked: set[tuple[int, int]] = set()
    found: dict[int, Certificate] = {}
    for b in sorted({v.ballot for v in votes}):
        for v in votes:
            if v.ballot == b:
                bit = who[v.content].keys.get(v.key, 0)
                consent[v.content] |= bit
                if not v.unlock or rules.lock != "proof" or (v.unlock, v.content) in locked:
                    voted[b, v.content] = voted.get((b, v.content), 0) | bit
        for x in who:
            signed = voted.get((b, x), 0)
            if locks(who[x], signed, consent[x], rules):
                locked.add((b, x))
                done = signed if rules.one_step else committed.get((b, x), 0)
                if x not in found and commits(who[x], done, rules):
                    found[x] = Certificate(x, b, signed, done, consent[x])
    return Count(who, voted, committed, consent, list(found.values()))


def double_signers(c: Count, acts: Iterable[Act], rules: Rules) -> int:
    """Who is proved to have voted twice in a ballot, committed twice in one, or voted against its lock. Both signatures
    count for contents that have a certificate, and are of no later ballot."""
    out = 0
    top = {f.content: f.ballot for f in c.certificates}
    seen: dict[Key, list[Vote | Commit]] = {}
    for a in acts:
        if isinstance(a, Content) or a.content not in c.who or a.key not in c.who[a.content].keys:
            continue
        if a.ballot <= top.get(a.content, 0) or rules.strike == "always":
            seen.setdefault(a.key, []).append(a)
    for key, signed in seen.items():
        for a in signed:
            for b in signed:
                twice = type(a) is type(b) and a.ballot == b.ballot
                broke = isinstance(a, Vote) and isinstance(b, Commit) and a.unlock < b.ballot < a.ballot
                if a.content != b.content and (twice or broke):
                    out |= c.who[a.content].keys[key]
    return out


def stands(epoch: Content, acts: list[Act], rules: Rules) -> tuple[int | None, int | None]:
    """(The content that follows the epoch or None, who is struck or None.)"""
    c = count(epoch, acts, rules)
    contents = {f.content for f in c.certificates}
    if rules.strike == "none" and contents:
        return min(contents), None
    if len(contents) < 2 and rules.strike != "always":
        return (contents.pop(), None) if contents else (None, None)
    out = double_signers(c, acts, rules)
    rest = {x: Electorate(e.old & ~out, e.new & ~out, {}) for x, e in c.who.items()}
    left = {
        f.content
        for f in c.certificates
        if locks(rest[f.content], f.votes & ~out, f.consent, rules)
        and commits(rest[f.content], f.commits & ~out, rules)
    }
    return (left.pop() if len(left) == 1 else None), (out if len(contents) > 1 else None)


def by_number(acts: Iterable[Act]) -> dict[int, list[Act]]:
    out: dict[int, list[Act]] = {}
    for a in acts:
        out.setdefault(a.number, []).append(a)
    return out


def state_of(acts: Iterable[Act], genesis: Content, rules: Rules = RULES) -> State:
    numbers = by_number(set(acts))
    epoch, chain, struck = genesis, [genesis.id], []
    while True:
        here = numbers.get(epoch.number + 1, [])
        found, out = stands(epoch, here, rules)
        if out is not None:
            struck.append((epoch.number + 1, out))
        if found is None:
            return State(tuple(chain), tuple(struck))
        epoch = next(x for x in here if isinstance(x, Content) and x.id == found)
        chain.append(found)


class Ledger:
    """A node: acts come one by one, in any order and any number of times. What it has concluded it keeps, until an act
    of that number comes."""

    def __init__(self, genesis: Content, rules: Rules = RULES) -> None:
        self.rules = rules
        self.acts: dict[int, set[Act]] = {}
        self.epochs = [genesis]
        self.struck: dict[int, int] = {}

    def add(self, a: Act) -> None:
        held = self.acts.setdefault(a.number, set())
        if a in held:
            return
        held.add(a)
        if not 0 < a.number <= len(self.epochs):
            return
        number = a.number
        while True:
            here = list(self.acts.get(number, ()))
            found, out = stands(self.epochs[number - 1], here, self.rules)
            standing = self.epochs[number].id if number < len(self.epochs) else None
            if found != standing:
                del self.epochs[number:]
                self.struck = {n: s for n, s in self.struck.items() if n < number}
            if out is not None:
                self.struck[number] = out
            if found is None or found == standing:
                return
            self.epochs.append(next(x for x in here if isinstance(x, Content) and x.id == found))
            number += 1

    @property
    def state(self) -> State:
        return State(tuple(e.id for e in self.epochs), tuple(sorted(self.struck.items())))


class Bundle(NamedTuple):
    """What a verifier that skips is shown: epoch n-1 and the acts of n."""

    before: Content
    acts: tuple[Act, ...]


def skip(known: Content, shown: Bundle, rules: Rules = RULES) -> int | None:
    """The epoch that a verifier of `known` goes to, or None: it stays."""
    if shown.before.number < known.number or (shown.before.number == known.number and shown.before != known):
        return None
    found, _ = stands(shown.before, list(shown.acts), rules)
    if found is None:
        return None
    c = count(shown.before, shown.acts, rules)
    keys = c.who[found].keys
    old = votes_of(known.seats)
    for f in c.certificates:
        signed = 0
        for s in known.seats:
            if s.awake and keys.get(s.key(shown.before.number + 1), 0) & f.commits & 1 << s.member:
                signed |= 1 << s.member
        if f.content == found and enough(signed, old, rules.skip_above):
            return found
    return None
