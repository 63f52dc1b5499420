"""Mistakes in the rules of reading/: who sees a post."""

from tests.mutants.mutant import Mutant

_TABLE = ("tests/reading/test_visibility.py",)
_RULES = ("tests/node/test_interactions.py",)

IN_READING = (
    Mutant("a mute never ends", "Viewer.hides", "lasts(self.mutes[account], now_ms)", "True", _TABLE),
    Mutant("who reposts is not asked about", "visibility._whose", "by is None", "True", _TABLE),
    Mutant("moderators limit followers too", "visibility._why_not", "who not in viewer.follows", "True", _TABLE),
    Mutant(
        "strangers see whom moderators limit",
        "visibility._why_not",
        "viewer is None and who in post.limited",
        "False",
        _TABLE,
    ),
    Mutant(
        "public timelines have what is not for everybody",
        "visibility._why_not",
        "post.audience != 'public'",
        "False",
        _TABLE,
    ),
    Mutant("filters count everywhere", "visibility._filtered", "context in one.contexts", "True", _TABLE),
    Mutant("a filter never ends", "visibility._filtered", "lasts(one.until_ms, now_ms)", "True", _TABLE),
    Mutant("a filter that warns comes first", "word_filters", "not one.hides", "one.hides", _TABLE),
    Mutant("an exclusive list changes nothing at home", "visibility._unwanted", "by in viewer.apart", "False", _TABLE),
    Mutant("a refused answer is shown everywhere", "visibility._why_not", "post.refused is not None", "False", _TABLE),
    Mutant("everybody may answer", "InteractionRules._lets", "whom == 'everybody'", "True", _RULES),
    Mutant(
        "who asks to follow may answer", "InteractionRules._lets", "relations.waits(self._q, *pair)", "False", _RULES
    ),
    Mutant("hidden answers are shown", "InteractionRules.refuses", "self._q.hides_below(target, by)", "False", _RULES),
    Mutant(
        "quotes have the words of refused answers",
        "InteractionRules.refuses",
        "self._answer(target) is not None",
        "False",
        _RULES,
    ),
    Mutant("a list shows all answers", "visibility._unwanted", "post.answers in rule.answered", "True", _TABLE),
)
