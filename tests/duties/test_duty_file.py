"""Files of duties: those of this tree are read, and a mistake in one is a sentence."""

from __future__ import annotations

from importlib.resources import files

import pytest

from banyan_duties.duty_file import read_duties, unmanned

FILES = {f.name: f.read_text() for f in files("banyan_duties").iterdir() if f.name.endswith(".toml")}
VN = FILES["vn-147-2024.toml"]


@pytest.mark.parametrize("name", sorted(FILES))
def test_each_line_of_a_file_names_its_source_and_its_role(name: str) -> None:
    file = read_duties(FILES[name], name)
    assert f"{file.name}.toml" == name
    assert all(source and role for _, source, role in file.lines())
    assert {c.keep for c in file.classes} == {"sealed", "never"}


def test_the_decree_of_viet_nam_says_what_it_says() -> None:
    file = read_duties(VN, "x")
    assert [(d.within_h, d.by) for d in file.duties] == [(24, "authority"), (48, "user")]
    assert file.strikes is not None
    assert file.strikes.many == ((5, 30), (10, 90))
    assert (min(file.strikes.lock_d), max(file.strikes.lock_d), len(file.strikes.lock_d)) == (7, 30, 3)
    assert file.reserved_in("Báo Tin Mới") == "báo"
    assert file.reserved_in("Lan Tinh") is None


def test_a_duty_without_a_person_is_found() -> None:
    file = read_duties(VN, "x")
    assert {role for _, _, role in unmanned(file, {})} == {"authorities", "complaints", "appeals", "child protection"}
    left = unmanned(file, {"authorities": "Chi", "complaints": "Chi", "appeals": " ", "child protection": "Lan"})
    assert [(name, role) for name, _, role in left] == [("appeal", "appeals")]


@pytest.mark.parametrize(
    ("was", "now", "why"),
    [
        ("within_h = 24", "withinh = 24", r"\[\[duty\]\] 1 of x has no 'withinh'; do you mean 'within_h'?"),
        ("lock_d", "lock_days", r"\[strikes\] of x has no 'lock_days'; do you mean 'lock_d'?"),
        ("[strikes]", "[strike]", "x has no 'strike'; do you mean 'strikes'?"),
        ('scope = "vn"', 'weather = "fine"\nscope = "vn"', "x has no 'weather': it has name, title"),
        ('scope = "vn"', "", "x lacks 'scope'"),
        ("within_h = 24", 'within_h = "24"', "'within_h' of .* is a whole number, not '24'"),
        ("within_h = 24", "within_h = -1", "is a whole number, not -1"),
        ('from = "authority"', 'from = "anybody"', "is one of authority, user, court, not 'anybody'"),
        ('keep = "never"', 'keep = "Never"', "is one of sealed, never, not 'Never'"),
        ("[[5, 30], [10, 90]]", "[[5]]", "many = .* in whole numbers"),
        ('"báo"', '"Báo"', "are in small letters"),
        ('source = "Art. 36"', 'source = ""', "'source' of .* is a text, not ''"),
        ('"answer complaints"', '"remove on request"', "x has two lines named 'remove on request'"),
        ("name =", "name", "x is no TOML"),
    ],
)
def test_a_mistake_is_said_in_a_sentence(was: str, now: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_duties(VN.replace(was, now, 1), "x")
