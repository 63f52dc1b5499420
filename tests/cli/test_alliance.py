"""Platforms found an alliance and decide by votes, by files alone; and what a clumsy operator is told."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from banyan_charter.acts import SetParameters
from banyan_charter.values import Authority, Parameters, Scope, plain_seat
from banyan_cli import errors
from banyan_crdt.codec import encode
from banyan_crdt.ids import AccountId, H, account_to_text
from banyan_crdt.realm import MAIN
from banyan_node.alliance.invitations import REFUSED, answer
from banyan_node.alliance.papers import Invitation, ledger_of, read_file
from banyan_node.alliance.seat_file import read_seat
from banyan_node.api.alliance_rows import ROLL_CALL_MS, changes, next_steps
from banyan_node.operator_errors import CallError
from tests.charter.alliance import Alliance as Signers
from tests.cli.shell import Ran, banyan, clean_environment, node_up


class Alliance:
    """Homes a, b, c ... in a folder, and one file of acts that goes from hand to hand."""

    def __init__(self, path: Path) -> None:
        self.path, self.acts = path, path / "acts"

    def run(self, who: str, *words: object) -> Ran:
        return banyan("--home", self.path / who, "alliance", *words)

    def did(self, who: str, *words: object) -> Any:
        ran = self.run(who, *words, "--json")
        assert ran.code == 0, ran.err
        return ran.json

    def sign(self, who: str, *words: object) -> Any:
        return self.did(who, *words, "--in", self.acts, "--out", self.acts, "--yes")

    def account(self, who: str) -> str:
        return account_to_text(AccountId(H("test", who.encode())))

    def seat(self, who: str, *, at: str = "") -> list[object]:
        own = [] if (self.path / who / "keys").exists() else ["--account", self.account(who)]
        return ["--domain", f"{at or who}.vn", *own]

    def invitations(self, founders: int) -> list[str]:
        asked = self.did("a", "found", "Viet", "--founders", founders, *self.seat("a"))
        return list(asked["invitations"])

    def card(self, who: str, invitation: str, *words: object) -> Path:
        card = self.path / f"{who}.card"
        self.did(who, "join", invitation, "--out", card, *(words or self.seat(who)))
        return card

    def found(self, names: str = "abcd") -> None:
        """The first one invites the others; the acts are in the file."""
        invitations = dict(zip(names[1:], self.invitations(len(names)), strict=True))
        cards = [word for who in names[1:] for word in ("--in", self.card(who, invitations[who]))]
        self.did("a", "found", "Viet", *cards, "--out", self.acts, "--yes")
        for who in names[1:]:
            said = self.sign(who, "join", invitations[who])
        assert said["epoch"] == 0

    def adopt(self, voters: str, author: str, *words: object) -> Any:
        """What the author proposes, once all of these voted and committed."""
        number = self.did("a", "status", "--in", self.acts)["number"]
        said = self.sign(author, *words)
        for who in (voters + author) * 2:
            if said["epoch"] < number:
                said = self.sign(who, "vote")
        assert said["epoch"] == number, said
        return said

    def domains(self) -> list[str]:
        rows = self.run("a", "members", "--in", self.acts, "--json").lines
        return sorted(row["domain"] for row in rows)


@pytest.fixture
def alliance(tmp_path: Path) -> Alliance:
    return Alliance(tmp_path)


@pytest.fixture
def founded(alliance: Alliance) -> Alliance:
    alliance.found()
    return alliance


def refused(ran: Ran, *said: str) -> None:
    assert ran.code in (errors.USAGE, errors.FAILED, errors.STORAGE), ran.out + ran.err
    assert "Traceback" not in ran.err
    assert ran.err.splitlines()[-1].startswith("banyan: "), ran.err
    for text in said:
        assert text in ran.err


def test_four_platforms_found_admit_expel_and_verify_by_files_alone(founded: Alliance) -> None:
    assert founded.domains() == ["a.vn", "b.vn", "c.vn", "d.vn"]
    (invitation,) = founded.did("b", "invite", "--in", founded.acts)["invitations"]
    card = founded.card("e", invitation)
    said = founded.adopt("acd", "b", "propose", card, "--note", "They asked in May.")
    assert said["members"] == 5
    said = founded.sign("e", "join", invitation)
    assert said["epoch"] == 1
    founded.adopt("bde", "a", "propose", "--expel", "c.vn")
    assert founded.domains() == ["a.vn", "b.vn", "d.vn", "e.vn"]
    first, second = founded.run("d", "history", "--in", founded.acts, "--json").lines
    assert first["changes"][1:] == ["Note: They asked in May.", "4 votes become 5, of which 4 are needed."]
    assert second["author"] == "a.vn"
    assert "c.vn" not in second["signed"]
    one, other = (founded.did(who, "verify", "--in", founded.acts) for who in "ae")
    assert one == other
    assert one["epoch"] == 2


def votes_nothing(founded: Alliance, who: str, says: str) -> None:
    """Neither a vote nor a commit of it is signed, nor a proposal."""
    seat, files = founded.path / who / "alliance" / "seat", ("--in", founded.acts, "--out", founded.acts, "--yes")
    founded.sign("a", "propose", "--note", "Without you.")
    refused(founded.run(who, "propose", "--note", "With me.", *files), says, ": let another member propose it.")
    for others in ("b", "c", "b"):
        before = founded.acts.read_bytes()
        refused(founded.run(who, "vote", *files), says, "and this content gives it none.")
        assert (founded.acts.read_bytes(), read_seat(seat).acts()) == (before, [])
        founded.sign(others, "vote")
    for others in "ca":
        stands = founded.sign(others, "vote")["epoch"]
    assert stands == founded.did("a", "status", "--in", founded.acts)["number"] - 1


def test_who_was_expelled_votes_for_nothing_and_signs_nothing(founded: Alliance) -> None:
    founded.adopt("bc", "a", "propose", "--expel", "d.vn")
    votes_nothing(founded, "d", "d.vn has no seat in epoch 1")


def test_nothing_is_proposed_or_voted_on_before_all_founders_signed(alliance: Alliance) -> None:
    (invitation,) = alliance.invitations(2)
    card, files = alliance.card("b", invitation), ("--in", alliance.acts, "--out", alliance.acts, "--yes")
    alliance.did("a", "found", "Viet", "--in", card, "--out", alliance.acts, "--yes")
    for words in (["propose", "--note", "Early."], ["vote"]):
        refused(alliance.run("a", *words, *files), "The founding is not signed by all yet")


def test_who_missed_two_roll_calls_is_put_to_sleep_and_wakes_by_one_signature(founded: Alliance) -> None:
    founded.adopt("bc", "a", "roll-call")
    assert "missed a roll call" in founded.did("b", "status", "--in", founded.acts)["next"][0]
    answers = []
    for who in "bc":
        answers.append(founded.path / f"{who}.answer")
        founded.did(who, "answer", "--in", founded.acts, "--out", answers[-1])
    founded.adopt("bc", "a", "propose", *answers, "--roll-call")
    said = founded.run("a", "propose", "--sleep", "b.vn", "--in", founded.acts, "--out", founded.acts, "--yes")
    refused(said, "b.vn missed 1 roll calls; who missed 2 may sleep")
    assert founded.adopt("bc", "a", "propose", "--sleep", "d.vn")["votes"] == 3
    votes_nothing(founded, "d", "d.vn has no vote while it is asleep (`answer` wakes it) in epoch 3")
    waking = founded.path / "waking"
    founded.did("d", "answer", "--in", founded.acts, "--out", waking)
    assert founded.adopt("bc", "a", "propose", waking)["votes"] == 4


def test_a_seat_whose_file_is_lost_gets_other_keys_by_its_spare_one(founded: Alliance) -> None:
    lost = founded.path / "d" / "alliance" / "seat"
    before = read_seat(lost).seat.root
    lost.unlink()
    asks = founded.path / "asks"
    founded.did("d", "renew", "--account", founded.account("d"), "--in", founded.acts, "--out", asks)
    said = founded.adopt("bc", "a", "propose", asks)
    assert said["epoch"] == 1
    founded.adopt("ad", "b", "propose", "--note", "With other keys.")
    assert read_seat(lost).seat.root != before


def test_an_invitation_is_good_once_and_not_if_it_was_altered(alliance: Alliance) -> None:
    first, second = alliance.invitations(3)
    card = alliance.card("b", first)
    alliance.did("a", "found", "Viet", "--in", card)
    alliance.did("a", "found", "Viet", "--in", card)  # the same again
    again = alliance.card("c", first)
    refused(alliance.run("a", "found", "Viet", "--in", again), "b.vn used this invitation already; each is good once")
    refused(alliance.run("d", "join", second[:-6] + "AAAAA=", *alliance.seat("d")), "cut short or was altered")
    changed = Invitation.of(second)._replace(name="Another").text
    wrong = alliance.card("d", changed)
    refused(alliance.run("a", "found", "Viet", "--in", wrong), "was not made with the invitation", "altered")
    same = alliance.card("e", second, *alliance.seat("e", at="b"))
    refused(alliance.run("a", "found", "Viet", "--in", same), "b.vn has a seat already")


def test_a_peer_that_answers_no_invitation_is_told_so_whatever_it_sends(alliance: Alliance) -> None:
    (invitation,) = alliance.invitations(2)
    key, folder = Invitation.of(invitation).signer.key, alliance.path / "a" / "alliance"
    seat = plain_seat(read_seat(folder / "seat").seat)[:7]
    odd: list[Any] = [0, [], [1, 2], [[], b""], [b"x", b""], [[*seat[:6], 7], b""], [seat, 9], [seat, b""], [seat, []]]
    for card in [b"", b"\xff", *map(encode, odd)]:
        for asked in (key, bytes(32)):
            state, said = answer(folder, asked, card, bytes(64), None)
            assert (state, said.endswith(b".")) == (REFUSED, True), said
    assert answer(alliance.path / "none", key, encode([seat, b""]), bytes(64), None)[1] == b"nobody was invited here."
    for held in (b"", b"\x80", encode([b"", 1, 2])):
        (folder / "invited").write_bytes(held)
        state, said = answer(folder, key, encode([seat, b""]), bytes(64), None)
        assert (state, b"of another version" in said) == (REFUSED, True), said
    refused(alliance.run("a", "found", "Viet"), "has invitations of another version of this program")


def test_what_a_file_is_not_is_said_in_one_sentence(founded: Alliance, tmp_path: Path) -> None:
    acts, seat = founded.acts, tmp_path / "a" / "alliance" / "seat"
    vote = ["vote", "--out", tmp_path / "out", "--yes", "--in"]
    refused(founded.run("a", *vote, seat), "is a seat, and a list of acts is needed")
    refused(founded.run("a", *vote, tmp_path / "nowhere"), "cannot be read (No such file or directory)")
    refused(founded.run("a", *vote, tmp_path), "is nothing of an alliance")
    (tmp_path / "cut").write_text(acts.read_text()[:-20])
    refused(founded.run("a", *vote, tmp_path / "cut"), "is a list of acts that is cut short or was altered")
    refused(founded.run("a", *vote, acts), "No content is open")
    refused(founded.run("a", "vote", "--in", acts, "--yes"), "say with --out where")
    refused(founded.run("z", *vote, acts), "There is no seat in")
    refused(founded.run("a", *vote, acts, "--seat", acts), "is a list of acts, and a seat is needed")
    refused(founded.run("a", "propose", "--expel", "x.vn", *vote[1:], acts), "'x.vn' is no member; members are")
    refused(founded.run("a", "propose", "--change", "b.vn", *vote[1:], acts), "A domain is a DNS name")
    refused(founded.run("a", "propose", "--change", "b.vn=host", *vote[1:], acts), "b.vn is that already")
    both = ["propose", "--expel", "b.vn", "--change", "b.vn=no-vote"]
    refused(founded.run("a", *both, *vote[1:], acts), "b.vn is expelled and changed")
    (tmp_path / "p.toml").write_text("quotta = 5\n")
    refused(founded.run("a", "propose", "--parameters", tmp_path / "p.toml", *vote[1:], acts), "`quotta`")
    (tmp_path / "p.toml").write_text("quota = 0\n")
    refused(founded.run("a", "propose", "--parameters", tmp_path / "p.toml", *vote[1:], acts), "a quota of 0")
    assert not (tmp_path / "out").exists()
    other = Alliance(tmp_path / "other")
    other.path.mkdir()
    other.found("ab")
    refused(founded.run("a", *vote, other.acts), "is a seat in charter", "and these acts are of")
    refused(founded.run("a", *vote, acts, "--in", other.acts), "is of another charter")


def test_votes_that_cannot_be_enough_yet_open_no_further_ballots(founded: Alliance) -> None:
    founded.sign("a", "propose", "--expel", "b.vn")
    for who in "bcabcabca":
        founded.sign(who, "vote")
    (row,) = founded.did("a", "status", "--in", founded.acts)["contents"]
    assert (row["ballot"], row["missing"], {*row["voted"]}) == (1, ["d.vn"], {"a.vn", "b.vn", "c.vn"})
    assert founded.sign("d", "vote")["epoch"] == 0
    for who in "ca":
        said = founded.sign(who, "vote")
    assert said["epoch"] == 1
    refused(founded.run("b", "propose", "--note", "No.", "--in", founded.acts, "--out", founded.acts), "has no seat in")
    (row,) = founded.run("a", "history", "--in", founded.acts, "--json").lines
    assert row["changes"] == ["b.vn is expelled.", "4 votes become 3, of which 3 are needed, as before."]


def test_who_signed_two_histories_is_said_before_it_matters(founded: Alliance) -> None:
    seat, other = founded.path / "d" / "alliance" / "seat", Alliance(founded.path)
    other.acts = founded.path / "other"
    shutil.copy(seat, founded.path / "copy")
    shutil.copy(founded.acts, other.acts)
    founded.sign("d", "propose", "--note", "One.")
    shutil.copy(founded.path / "copy", seat)
    other.sign("d", "propose", "--note", "Two\nEpoch 9 of Viet stands: 1 member.")
    said = founded.did("a", "status", "--in", founded.acts, "--in", other.acts)
    assert said["struck"] == ["d.vn"]
    assert sorted(row["changes"][0] for row in said["contents"])[1] == "Note: Two Epoch 9 of Viet stands: 1 member."


def test_nothing_is_signed_unless_somebody_says_yes(founded: Alliance) -> None:
    refused(founded.run("a", "roll-call", "--in", founded.acts, "--out", founded.acts), "say --yes")
    assert founded.did("a", "status", "--in", founded.acts)["contents"] == []


def test_founders_read_who_may_order_before_they_sign(alliance: Alliance) -> None:
    rules, clerk = alliance.path / "rules.toml", account_to_text(AccountId(bytes(32)))
    alliance.path.mkdir(exist_ok=True)
    rules.write_text(f'[[authorities]]\naccount = "{clerk}"\nscopes = ["vn"]\ncap = 7\n')
    asked = alliance.did("a", "found", "Viet", "--founders", 2, *alliance.seat("a"), "--parameters", rules)
    card = alliance.card("b", asked["invitations"][0])
    shown = alliance.run("a", "found", "Viet", "--in", card, "--out", alliance.acts)
    assert f"{clerk}, which orders for vn, alone 7 posts a day" in (shown.out + shown.err).replace("\n", " ")


def test_the_same_command_twice_gives_the_same_signatures(founded: Alliance) -> None:
    once = founded.sign("a", "propose", "--note", "Once.")
    again = founded.sign("a", "propose", "--note", "Once.")
    assert (once["acts"], once["digest"]) == (again["acts"], again["digest"])
    voted = founded.sign("b", "vote")
    assert founded.sign("b", "vote")["digest"] == voted["digest"]


_KILLED = """
import os, signal, sys
from banyan_cli.main import main
from banyan_node.alliance.seat_file import SeatFile
keep = SeatFile.keep
def keep_and_die(*given):
    keep(*given)
    os.kill(os.getpid(), signal.SIGKILL)
SeatFile.keep = keep_and_die
main(sys.argv[1:])
"""
_FULL = """
import resource, sys
from banyan_cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
sys.exit(main(sys.argv[1:]))
"""


def _python(code: str, a: Alliance, who: str, *words: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", code, "--home", a.path / who, "alliance", *words, "--in", a.acts, "--out", a.acts]
    return subprocess.run(
        [*map(str, line), "--yes"], env=clean_environment(), capture_output=True, text=True, timeout=120
    )


def test_a_vote_that_is_killed_behind_its_promise_is_given_away_by_the_next_command(founded: Alliance) -> None:
    founded.sign("a", "propose", "--note", "Once.")
    seat, before = founded.path / "b" / "alliance" / "seat", founded.acts.read_bytes()
    assert _python(_KILLED, founded, "b", "vote").returncode == -signal.SIGKILL
    assert founded.acts.read_bytes() == before
    (promised,) = read_seat(seat).acts()
    founded.sign("b", "vote")
    assert read_seat(seat).acts() == [promised]
    assert promised in list(ledger_of([founded.acts]).acts(1))


def test_a_seat_on_a_disk_that_takes_nothing_signs_nothing(founded: Alliance) -> None:
    founded.sign("a", "propose", "--note", "Once.")
    seat, before = founded.path / "b" / "alliance" / "seat", founded.acts.read_bytes()
    held = seat.read_bytes()
    ran = _python(_FULL, founded, "b", "vote")
    assert ran.returncode == errors.STORAGE
    assert ran.stderr.endswith("so nothing was signed.\n")
    assert (seat.read_bytes(), founded.acts.read_bytes()) == (held, before)
    refused(founded.run("z", "found", "Viet", *founded.seat("z"), "--seat", "/proc/none/seat"), "cannot be written")


def test_a_copy_of_a_seat_signs_nothing_that_the_newer_one_could_contradict(founded: Alliance) -> None:
    seat, copy = founded.path / "b" / "alliance" / "seat", founded.path / "copy"
    shutil.copy(seat, copy)
    founded.sign("a", "propose", "--note", "Once.")
    founded.sign("b", "vote")
    vote = ["vote", "--seat", copy, "--in", founded.acts, "--out", founded.acts, "--yes"]
    refused(founded.run("b", *vote), "is a copy: its seat signed in ballot 1 of number 1 with a newer one")


def test_the_key_of_a_number_that_is_over_is_overwritten_where_it_was(founded: Alliance) -> None:
    seat, held = founded.path / "b" / "alliance" / "seat", founded.path / "held"
    founded.sign("a", "propose", "--note", "Once.")
    founded.sign("b", "vote")
    at, seed = read_seat(seat).keys.secret
    os.link(seat, held)
    for who in "cab":
        founded.sign(who, "vote")
    assert set(held.read_bytes()) == {0}
    assert (at, read_seat(seat).keys.secret[0]) == (1, 2)
    assert seed not in b"".join(read_file("seat", seat)[3][1:2])
    assert seat.stat().st_mode & 0o777 == 0o600


def test_after_ninety_days_of_the_operators_clock_a_roll_call_is_next(founded: Alliance) -> None:
    mine, ledger = read_seat(founded.path / "a" / "alliance" / "seat"), ledger_of([founded.acts])
    founded.sign("a", "propose", "--note", "It has seen the founding.")
    mine = read_seat(founded.path / "a" / "alliance" / "seat")
    assert next_steps(ledger, mine, mine.rolled_ms + ROLL_CALL_MS) == []
    assert "roll-call" in next_steps(ledger, mine, mine.rolled_ms + ROLL_CALL_MS + 1)[0]
    assert ledger.realm is MAIN


def _inited(alliance: Alliance, *names: str) -> None:
    for who in names:
        assert banyan("--home", alliance.path / who, "init", "--name", who, "--realm", "test").code == 0


def test_a_node_keeps_the_acts_of_its_charter_and_its_operator_votes_without_files(alliance: Alliance) -> None:
    _inited(alliance, "a", "b", "c")
    alliance.found("abc")
    refused(alliance.run("a", "status"), "This node follows no charter")
    with node_up(alliance.path / "a") as node:
        events = node.events()
        assert next(events)["event"] == "begin"
        assert alliance.did("a", "follow", alliance.acts)["epoch"] == 0
        assert next(one for one in events if one["event"] == "charter" and one["epoch"] == 0)["digest"]
        proposed = alliance.did("a", "propose", "--note", "Once.", "--yes")
        assert proposed["file"] is None
        (row,) = node.call("alliance.status")["contents"]
        assert row["voted"] == ["a.vn"]
        alliance.did("a", "acts", "--out", alliance.acts)
        for who in "bcb":
            alliance.sign(who, "vote")
        alliance.did("a", "follow", alliance.acts)
        assert alliance.did("a", "vote", "--yes")["epoch"] == 1
        own = node.call("id")["account"]
        assert alliance.did("a", "quota", "a.vn")["member"] == own
        node.call("account.create", name="bot", hosted=True)
        bots = alliance.path / "bots"
        bots.write_text("bot\n\n")
        (alliance.path / "large").write_bytes(b"x" * 4_000_001)
        (alliance.path / "many").write_text("bot\n" * 20_001)
        assert alliance.did("a", "hosted", "--in", bots, "--as", "attested") == {"accounts": 1, "batches": 1}
        assert alliance.did("a", "quota", own)["attested"] == 1
        assert "1 attested, 0 vouched for" in alliance.run("a", "quota", "a.vn").out
        for words, says in (
            (["quota", "z.vn"], "is no member"),
            (["hosted"], "Name accounts"),
            (["hosted", "--in", alliance.path / "none"], "none cannot be read (No such file or directory)."),
            (["hosted", "--in", alliance.path / "large"], "large has more than 4,000,000 bytes: split it."),
            (["hosted", "--in", alliance.path / "many"], "These are 20,001 accounts; one call takes 20,000: split"),
            (["hosted", alliance.account("z"), "--as", "attested"], "is not hosted here"),
            (["hosted", "bot", "--as", "host"], "attested or hosted or none"),
        ):
            assert says in alliance.run("a", *words).err
        assert node.call("alliance.offer", acts=["AAAA"])["refused"] != []
        with pytest.raises(CallError, match="is base64"):
            node.call("alliance.offer", acts=["?"])
        done = [line["do"] for line in node.call("audit.list")["acts"]]
        assert {"alliance.follow", "alliance.offer"} <= {*done}
    after = alliance.did("a", "verify")
    assert (after["epoch"], alliance.did("a", "history")["changes"][0]) == (1, "Note: Once.")
    alliance.did("a", "acts", "--out", alliance.acts)
    assert alliance.did("b", "verify", "--in", alliance.acts)["digest"] == after["digest"]


def test_a_successor_is_followed_by_one_command_that_shows_who_is_in_both(alliance: Alliance, tmp_path: Path) -> None:
    other = Alliance(tmp_path / "other")
    other.path.mkdir()
    _inited(alliance, "a", "b")
    _inited(other, "a", "c")
    alliance.found("ab")
    other.found("ac")
    alliance.did("a", "follow", alliance.acts)
    said = alliance.run("a", "follow", other.acts)
    refused(said, "In both: nobody.", "In Viet alone: a.vn, b.vn.", "In the new one alone: a.vn, c.vn.", "say --yes")
    first = alliance.did("a", "verify")["charter"]
    assert alliance.did("a", "follow", other.acts, "--yes")["charter"] != first
    alliance.did("a", "leave")
    refused(alliance.run("a", "members"), "This node follows no charter")


def test_a_voter_reads_who_orders_who_carries_out_and_who_judges() -> None:
    made = Signers(2)
    epoch = made.ledger.epochs[-1]
    one, two = epoch.seats
    clerk, judge = AccountId(b"\x01" * 32), AccountId(b"\x02" * 32)
    new = Parameters(authorities=(Authority(clerk, (b"vn",), 50),), scopes=(Scope(b"vn", (one, two), (judge,)),))
    content, after = made.signers[0].content(epoch, [SetParameters(new)])
    said = "\n".join(changes(epoch, after, content))
    assert f"gets {account_to_text(clerk)}, which orders for vn, alone 50 posts a day." in said
    assert f"vn, where m0.example, m1.example carry out orders and {account_to_text(judge)} judge appeals." in said
