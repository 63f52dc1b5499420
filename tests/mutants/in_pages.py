"""Mistakes in the pages of a node: what strangers wrote becomes markup, or a form acts for somebody else."""

from tests.mutants.mutant import Mutant

_TEXTS, _VISITOR, _WRITING, _RENDERING, _READING, _WORDS = (
    f"web/banyan_web/page/{m}.py" for m in ("texts", "visitor", "writing", "rendering", "reading", "words")
)
_SESSIONS = "web/banyan_web/sessions.py"
_OWN_ALONE = (
    'if uri.partition("/")[0] != me.did:\n        raise Refused(403, "Only posts of one\'s own can be deleted.")'
)
_SAID, _LOOKED = ("tests/web/test_page.py",), ("tests/web/test_page_hostile.py",)

IN_PAGES = (
    Mutant("templates escape nothing", _RENDERING, "autoescape=True", "autoescape=False", _LOOKED),
    Mutant("a text is markup", _TEXTS, "*parts, escape(said[at:])", "*parts, Markup(said[at:])", _SAID),
    Mutant("any address is a link", _TEXTS, 're.fullmatch(r"https?://', 're.fullmatch(r"[a-z]+:', _SAID),
    Mutant(
        "a page says that inline scripts may run", _RENDERING, "script-src 'self'", "script-src 'unsafe-inline'", _SAID
    ),
    Mutant("a form of a page needs no proof", _SESSIONS, "    at.check(ask.params)\n", "", _SAID),
    Mutant(
        "another site may send a form", _SESSIONS, "if site not in (None,", "if False and site not in (None,", _SAID
    ),
    Mutant("a form leads to another site", _VISITOR, " or is_odd(path)", "", _SAID),
    Mutant("a path may begin with dots and two slashes", _SESSIONS, ' or "" in steps[:-1]', "", _SAID),
    Mutant("anybody deletes anybody's post", _WRITING, _OWN_ALONE, _OWN_ALONE.replace("!=", "is"), _SAID),
    Mutant(
        "strangers see the filters of the node's own account",
        "node/banyan_node/api/methods/reading.py",
        "    if by == NOBODY:\n        return None\n",
        "    by = by or None\n",
        ("tests/web/test_nobody.py",),
    ),
    Mutant(
        "what is handed in needs no signature",
        "node/banyan_node/api/methods/carrying.py",
        "                verify_run(realm, run)\n",
        "                pass\n",
        ("tests/node/test_carrying.py",),
    ),
    Mutant("a page in Vietnamese is in English", _WORDS, "{key: both[n] for key", "{key: both[0] for key", _SAID),
    Mutant(
        "a page is sent although it is known", _RENDERING, "status == 200 and tag in", "status == 0 and tag in", _SAID
    ),
)
