"""Mistakes in handles: what is one, and whose word makes it somebody's."""

from tests.mutants.mutant import Mutant

_HANDLE, _NAMED = "schema/banyan_schema/social/handle.py", "storage/banyan_storage/named.py"
_FOLD = ("tests/storage/test_named.py",)

IN_HANDLES = (
    Mutant(
        "anybody confirms handles of a domain",
        _NAMED,
        "return field_of(ask, platform, DOMAIN_FIELD) == domain_of(handle) and names",
        "return names",
        _FOLD,
    ),
    Mutant(
        "a platform that says two things of a handle confirms both",
        _NAMED,
        "names(ask, platform, handle) == {account}",
        "account in names(ask, platform, handle)",
        _FOLD,
    ),
    Mutant(
        "who claimed a handle once has it for good",
        _NAMED,
        "if found is not None and found.handle == handle:",
        "if found is not None:",
        _FOLD,
    ),
    Mutant(
        "a handle with a line behind it is one",
        _HANDLE,
        "FORM.fullmatch(text) is not None",
        "FORM.match(text) is not None",
        ("tests/schema/test_handle.py",),
    ),
)
