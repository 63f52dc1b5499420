"""Mistakes in events: in their order, in who may change them, and in what is still to come."""

from tests.mutants.mutant import Mutant

_EVENT, _SCHEDULED = "schema/banyan_schema/social/event.py", "storage/banyan_storage/scheduled.py"
_CALENDAR, _NOTICES = "node/banyan_node/api/methods/calendar.py", "node/banyan_node/hosting/hearing.py"
_LAWS, _FOLD, _APP = (
    ("tests/schema/test_event.py",),
    ("tests/storage/test_scheduled.py",),
    ("tests/node/test_calendar.py",),
)

IN_EVENTS = (
    Mutant(
        "an event before 1970 is after all others",
        _EVENT,
        'return (ms + (1 << 63)).to_bytes(8, "big")',
        'return (ms % (1 << 64)).to_bytes(8, "big")',
        _LAWS,
    ),
    Mutant(
        "a time out of its bounds is read",
        "schema/banyan_schema/fields.py",
        "        if not least <= found <= most:\n",
        "        if False:\n",
        _LAWS,
    ),
    Mutant(
        "a zone of any form is read",
        "schema/banyan_schema/fields.py",
        "        if not form.fullmatch(value):\n",
        "        if not value:\n",
        _LAWS,
    ),
    Mutant(
        "of events that begin together a page has those of one account",
        _SCHEDULED,
        "start if who > other else after_prefix(start)",
        "after_prefix(start)",
        _FOLD,
    ),
    Mutant(
        "a group shows events of those who are no members",
        _SCHEDULED,
        "found.event.group == group.target and group.lets(target)",
        "found.event.group == group.target",
        _FOLD,
    ),
    Mutant(
        "an event is over when it begins", _EVENT, "else max(self.begins_ms, self.ends_ms)", "else self.begins_ms", _APP
    ),
    Mutant(
        "anybody changes an event",
        _CALENDAR,
        "    if view.target.account != account:\n",
        "    if False:\n",
        _APP,
    ),
    Mutant(
        "a zone that does not exist is written",
        _CALENDAR,
        "    except (KeyError, ValueError, OSError):\n",
        "    except KeyError:\n        return event\n    except (ValueError, OSError):\n",
        _APP,
    ),
    Mutant(
        "an invitation to an event that was called off is told",
        _NOTICES,
        "one.who == one.event.account and event_of(q, one.event) is not None",
        "one.who == one.event.account",
        _APP,
    ),
)
