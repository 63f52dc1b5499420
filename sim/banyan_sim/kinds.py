"""Every way of lying, by name."""

from __future__ import annotations

from banyan_sim import bad_servers as bad
from banyan_sim import bad_sketches as sketches
from banyan_sim import byzantine as lies

LIARS: dict[str, lies.Kind] = {
    "fork": lies.Forker,
    "garbage": lies.Garbage,
    "withhold": lies.Withholder,
    "refuse": lies.Refuser,
    "replay": lies.Replayer,
    "flood": lies.Flooder,
    "future": lies.Futurist,
    "boast": lies.Boaster,
    "impersonate": lies.Impostor,
    "stall": bad.Staller,
    "crawl": bad.Crawler,
    "brag": bad.Braggart,
    "stray": bad.Strayer,
    "spam": bad.Spammer,
    "forget": bad.Forgetter,
    "gush": bad.Gusher,
    "sketch": sketches.Sketcher,
}
