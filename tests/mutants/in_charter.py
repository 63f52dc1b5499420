"""Mistakes in the rules of charter/: who belongs to an alliance."""

from tests.mutants.mutant import Mutant

LEDGER, BALLOTS, ACTS = "tests/charter/test_ledger.py", "tests/charter/test_ballots.py", "tests/charter/test_acts.py"
FLOODS, FILES = "tests/charter/test_floods.py", "tests/cli/test_alliance.py"
HOSTING = "tests/charter/test_hosting.py"

IN_CHARTER = (
    Mutant(
        "half of the votes are enough", "rules.enough", "total.bit_count() * 2", "total.bit_count() * 1.5", (LEDGER,)
    ),
    Mutant(
        "who leaves by a content does not count for it",
        "electorate",
        "keys[m, s.root, number - s.since] = bits(m)",
        "m in there and keys.update({(m, s.root, number - s.since): bits(m)})",
        (LEDGER,),
    ),
    Mutant(
        "half of the votes leave at once", "next_epoch", "lost * 3 > len(votes)", "lost * 2 > len(votes)", (LEDGER,)
    ),
    Mutant("a seat is given to other keys", "rules._admit", "seat.member in d.was.seats", "False", (LEDGER,)),
    Mutant("the votes of the next epoch are not asked", "rules.locks", "enough(consent, who.new)", "True", (LEDGER,)),
    Mutant(
        "a vote counts without the lock that it names",
        "rules.count",
        "not v.unlock or (v.unlock, v.content) in locked",
        "True",
        (LEDGER,),
    ),
    Mutant("a certificate needs no commits", "rules.count", "enough(done, e.old)", "True", (LEDGER,)),
    Mutant(
        "of two certificates any stands",
        "rules.outcome",
        "locks(rest, f.votes & ~out, f.consent) and enough(f.commits & ~out, rest.old)",
        "True",
        (LEDGER,),
    ),
    Mutant(
        "nobody is struck", "rules.outcome", "who._replace(old=who.old & ~out, new=who.new & ~out)", "who", (LEDGER,)
    ),
    Mutant(
        "a member that never missed a roll call is put to sleep",
        "rules._sleep",
        "seat.missed < ROLL_CALLS",
        "False",
        (ACTS,),
    ),
    Mutant("any key of a seat signs any number", "signer_key", "by.leaf == number - seat.since", "True", (LEDGER,)),
    Mutant(
        "whose keys are another's is admitted",
        "rules._admit",
        "verify(d.realm, seat.spare, join_id(d.was.charter, seat), p.sig)",
        "pass",
        (ACTS,),
    ),
    Mutant(
        "a charter stands before all founders signed",
        "ActLedger.settle",
        "len(signed) < len(first.seats)",
        "not signed",
        (LEDGER,),
    ),
    Mutant(
        "a founder is signed for by another",
        "ActLedger.settle",
        "signer_key(a.by, 0, first.seats[a.member])",
        "True",
        (LEDGER,),
    ),
    Mutant(
        "what stood on an undone epoch stands", "ActLedger._forget_from", "del self.epochs[number:]", "pass", (LEDGER,)
    ),
    Mutant(
        "a member fills a node", "ActLedger.why_not", "self._signed[_slot(act)] >= MOST_DOUBLES", "False", (LEDGER,)
    ),
    Mutant(
        "a verifier believes any seats",
        "skipping._is",
        "named == (content.charter, content.number, id_of(realm, body_of(Content, content[1:-1])), content.state)",
        "True",
        (LEDGER,),
    ),
    Mutant("a verifier asks a third", "skipping._vouched", "enough(signed, total)", "signed", (LEDGER,)),
    Mutant("a member votes against its commit", "ballots.vote", "unlock < mine.ballot", "False", (BALLOTS,)),
    Mutant(
        "a member without a vote believes that it voted",
        "ballots._check_seat",
        "has_no(there.get(member))",
        "False",
        (FILES,),
    ),
    Mutant(
        "a member without a vote commits",
        "ballots.commit",
        "has_no(ledger.epochs[number - 1].seats.get(keys.member))",
        "False",
        (FILES,),
    ),
    Mutant("a member votes twice in a ballot", "_winnable", "last + 1", "max(1, last)", (BALLOTS,)),
    Mutant(
        "members that vote one after the other never meet",
        "_winnable",
        "c.voted.get((ballot, x), 0) | may_vote",
        "may_vote",
        (BALLOTS,),
    ),
    Mutant(
        "a ballot in which too few can commit is waited for",
        "_winnable",
        "enough(commits, who.old)",
        "True",
        (BALLOTS,),
    ),
    Mutant(
        "a ballot in which nothing can be certified is waited for",
        "ballots._is_open",
        "max(closed + 1, lowest, ledger.joint(number))",
        "max(closed + 1, ledger.joint(number))",
        (BALLOTS,),
    ),
    Mutant(
        "a member opens one ballot after another alone",
        "ballots.vote",
        "not _is_open(ledger, number, ballot, content)",
        "False",
        (BALLOTS,),
    ),
    Mutant(
        "an act is known by its id, whoever signed it",
        "ledger._name",
        "(act.id, _key(act))",
        "(act.id, (b'', 0))",
        (LEDGER,),
    ),
    Mutant("two keys of a seat are good for one number", "_renew", "p.root == was.root", "False", (ACTS,)),
    Mutant("a content admits thousands", "next_epoch", "kinds[Admit] > MOST_ADMITTED", "False", (ACTS,)),
    Mutant(
        "who signs much keeps a node from what the others adopted",
        "ActLedger.why_not",
        "sum(key in voters for key in votes) * 3 <= len(votes)",
        "True",
        (FLOODS,),
    ),
    Mutant("one key fills a node ballot after ballot", "ActLedger.joint", "(len(reached) - 1) // 3", "0", (FLOODS,)),
    Mutant(
        "who is struck depends on contents that nobody else voted for",
        "rules.outcome",
        "lasting(c, acts)",
        "[a for a in acts if isinstance(a, Content) or a.content in c.who and signed_by(c.who[a.content], a)]",
        (FLOODS,),
    ),
    Mutant("a member hosts who never came", "hosting.counts_for", "host == member", "True", (HOSTING,)),
    Mutant("the newest have the places", "hosting.places", "batch.accounts", "batch.accounts[::-1]", (HOSTING,)),
    Mutant("a list has no end", "hosting.places", "room[batch.standing] -= 1", "pass", (HOSTING,)),
    Mutant("who lists and drops costs as much as he likes", "HostingPace.takes", "self._left < 1", "False", (HOSTING,)),
    Mutant(
        "nodes compare what only some took",
        "ActLedger.digest_of",
        "self.lasting(number)",
        "self.acts(number)",
        (FLOODS,),
    ),
    Mutant(
        "acts above a bound are refused, so a settled number is not learned from its certificate",
        "ActLedger.why_not",
        "sum(b > most for b in self._ballots[number][_key(act)]) >= MOST_DOUBLES",
        "True",
        (FLOODS,),
    ),
    Mutant(
        "of number 0 anything is taken",
        "ActLedger.why_not",
        "(act.ballot, act.content) == (1, self.founding.id)",
        "act",
        (FLOODS,),
    ),
    Mutant("a cheat that votes first leads all", "ballots.favourite", "supported(voters, old)", "True", (BALLOTS,)),
)
