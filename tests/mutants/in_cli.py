"""Mistakes in the rules of cli/: what is written on paper and at the screen."""

from tests.mutants.mutant import Mutant

IN_CLI = (
    Mutant(
        "a store changes its realm",
        "config_set",
        "refuse_another_realm(s.home, REALMS[typed])",
        "REALMS[typed]",
        ("tests/cli/test_main.py",),
    ),
    Mutant(
        "posts for followers come",
        "activitystreams._told",
        "'unlisted' if EVERYBODY & set(texts(one.get('cc'))) else None",
        '"""unlisted"""',
        ("tests/cli/moving/test_mastodon.py",),
    ),
    Mutant(
        "names that lead out of an archive are read",
        "_safe",
        "'..' in parts",
        "False",
        ("tests/cli/moving/test_archives.py",),
    ),
    Mutant(
        "a part of a report stands where the last one stood",
        "Report.__init__",
        "draft_of(there) if plain else path",
        "path",
        ("tests/cli/moving/test_odd.py",),
    ),
)
