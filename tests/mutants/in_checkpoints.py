"""Mistakes about checkpoints, waiting items, and entries held beside a log."""

from tests.mutants.mutant import Mutant

_CHECKPOINT, _CONTROL, _STATE = (f"crdt/banyan_crdt/{m}.py" for m in ("checkpoint", "control", "state"))
_LOGS, _GRANTS = (f"crdt/banyan_crdt/{m}.py" for m in ("logs", "grants"))
_CONTROL_LOGS = "replica/banyan_replica/intake/control_logs.py"
_INGEST, _COUNTING, _OWN = (f"replica/banyan_replica/intake/{m}.py" for m in ("ingest", "counting", "own"))
_ACCOUNTS, _CONTENT, _INTAKE = (
    f"replica/banyan_replica/intake/{m}.py" for m in ("accounts", "checkpoint_content", "intake")
)
_ASKING, _SERVE, _SERVING = (f"replica/banyan_replica/sync/{m}.py" for m in ("asking", "serve", "serving"))
_PUSHES, _PREPARE = "replica/banyan_replica/gossip/pushes.py", "replica/banyan_replica/intake/prepare.py"
_CHORES = "node/banyan_node/upkeep/chores.py"
_HOSTED, _REPLICA = "node/banyan_node/hosting/hosted.py", "replica/banyan_replica/replica.py"
_DUE, _CHECK, _STORE = (f"storage/banyan_storage/{m}.py" for m in ("due", "check", "store"))

_SAID = ("tests/crdt/test_checkpoint.py",)
_WITNESSED = ("tests/crdt/test_control.py", "tests/replica/test_checkpoints.py")
_PINNED = ("tests/crdt/test_checkpoint.py", "tests/replica/test_checkpoints.py")
_TAKEN = ("tests/replica/test_checkpoints.py",)
_DAILY = ("tests/node/test_chores.py",)
_HELD = ("tests/replica/test_counting.py", "tests/replica/test_ingest.py")
_KEPT = ("tests/replica/test_counting.py",)
_ASKED = ("tests/replica/test_asking.py", "tests/replica/test_checkpoints.py")
_JUDGED = ("tests/replica/test_intake.py",)

IN_CHECKPOINTS = (
    # -- what a checkpoint is
    Mutant(
        "of two checkpoints of one number the first to come stands",
        _CHECKPOINT,
        "(a.n, a.id) < (b.n, b.id)",
        "a.n < b.n",
        _SAID,
    ),
    Mutant(
        "of two checkpoints the one with the greater id stands, whatever its number",
        _CHECKPOINT,
        "(a.n, a.id) < (b.n, b.id)",
        "a.id < b.id",
        _SAID,
    ),
    Mutant(
        "a checkpoint pins one log at two places",
        _CHECKPOINT,
        "len({(pin[0], pin[1]) for pin in pins})",
        "len({tuple(pin) for pin in pins})",
        _SAID,
    ),
    Mutant("checkpoints count from 0", _CHECKPOINT, 'if not _u(n, 48, "n"):', 'if _u(n, 48, "n") < 0:', _SAID),
    Mutant(
        "a checkpoint pins one log more than it may",
        _CHECKPOINT,
        "len(pins) > MAX_PINS",
        "len(pins) > MAX_PINS + 1",
        _SAID,
    ),
    # -- witnesses
    Mutant(
        "a writer that was cut off is a witness",
        _CONTROL,
        "if w in here.grants and w not in here.cuts]",
        "if w in here.grants]",
        _WITNESSED,
    ),
    Mutant(
        "whoever makes a checkpoint is a witness",
        _CONTROL,
        "if w in here.grants and w not in here.cuts]",
        "if w not in here.cuts]",
        _WITNESSED,
    ),
    Mutant(
        "of witnesses that contradict one another one decides",
        _CONTROL,
        "if len(vouched) != 1:",
        "if not vouched:",
        _WITNESSED,
    ),
    Mutant(
        "a witness must name the tied entry itself, none below it",
        _CONTROL,
        "if self.below(child, e):",
        "if child.id == e.id:",
        _WITNESSED,
    ),
    Mutant(
        "a witness may name an entry at a place where it does not stand",
        _CONTROL,
        "held is not None and held.header.seq == c.control.seq",
        "held is not None",
        _WITNESSED,
    ),
    Mutant(
        "what a witness named is not kept as evidence",
        _CONTROL,
        "                if c.id in vouched:\n                    keep += tree.between(c, vouched[c.id])\n",
        "",
        _WITNESSED,
    ),
    Mutant(
        "witnesses break a tie in favour of the least id",
        _CONTROL,
        "shown = [c for c in tied if c.id in vouched][:2] or tied[:2]",
        "shown = tied[:2]",
        _WITNESSED,
    ),
    Mutant(
        "an entry below the branch beside it is below a branch, too",
        _CONTROL,
        "self.place[entry.id] < first + self.size[child.id]",
        "self.place[entry.id] <= first + self.size[child.id]",
        _WITNESSED,
    ),
    Mutant(
        "the root may make no checkpoint",
        _CONTROL,
        "return writer in self.grants or self.is_root(writer)",
        "return writer in self.grants",
        _PINNED,
    ),
    Mutant(
        "after a restart no witness is heard",
        _ACCOUNTS,
        "resolve_control(entries, self._store.checkpoints(account))",
        "resolve_control(entries)",
        _TAKEN,
    ),
    # -- when they speak
    Mutant(
        "a checkpoint speaks after the logs of its writer",
        _STATE,
        "(own.grant.stratum, own.order, 0)",
        "(own.grant.stratum, own.order, 1 << 32)",
        _PINNED,
    ),
    Mutant("the latest to be granted speaks first", _STATE, "is not None], reverse=True)", "is not None])", _PINNED),
    Mutant(
        "a checkpoint pins logs of the stratum of its writer",
        _STATE,
        "if turn is not None and target is not None and target.grant.stratum > turn[0]:",
        "if turn is not None and target is not None and target.grant.stratum >= turn[0]:",
        _PINNED,
    ),
    Mutant(
        "the checkpoint of the root pins nothing in the store",
        _COUNTING,
        "is not None and turn[0] < stratum",
        "is not None and 0 <= turn[0] < stratum",
        _TAKEN,
    ),
    Mutant(
        "in the store checkpoints speak before all logs",
        _COUNTING,
        "sorted(turns, key=lambda turn: turn[:2])",
        "turns",
        _TAKEN,
    ),
    Mutant(
        "a checkpoint speaks by the highest of the grants of its writer",
        _GRANTS,
        "return min(self.grants.get(writer, ())",
        "return max(self.grants.get(writer, ())",
        _PINNED,
    ),
    Mutant(
        "who was cut off still pins by a checkpoint",
        _GRANTS,
        "if self.closed or writer in self.cuts:",
        "if self.closed:",
        _PINNED,
    ),
    # -- who takes them
    Mutant(
        "an older checkpoint takes the place of a newer one",
        _CONTROL_LOGS,
        "        if not newer(old, made):\n            return False\n",
        "",
        _TAKEN,
    ),
    Mutant(
        "a checkpoint is taken without a look at its signature",
        _PREPARE,
        "return (item.signed,) if isinstance(item, Checkpoint) else ()",
        "return ()",
        _TAKEN,
    ),
    Mutant(
        "control entries that come are judged without witnesses",
        _CONTROL_LOGS,
        "resolve_control([*held.values(), *present], self.store.checkpoints(account))",
        "resolve_control([*held.values(), *present])",
        _TAKEN,
    ),
    Mutant(
        "a log without branches is not counted again where it is cut or taken away",
        _CONTROL_LOGS,
        "if log in known.loose or (self.store.head(log).length and granted(was, log) != granted(control, log))",
        "if log in known.loose",
        _HELD,
    ),
    Mutant(
        "a checkpoint that goes leaves its bytes behind",
        _STORE,
        "        self._write.delete(t.CHECKPOINTS, log.account + log.writer)\n",
        "",
        _TAKEN,
    ),
    Mutant(
        "a checkpoint of a stranger is held",
        _CONTROL_LOGS,
        "(was is None or not was.entitles(made.writer))",
        "was is None",
        _TAKEN,
    ),
    Mutant(
        "one writer makes checkpoints without end",
        _CONTROL_LOGS,
        "if made.n > checkpoints_allowed(self.realm, now_ms):",
        "if made.n > 1 << 47:",
        _TAKEN,
    ),
    Mutant(
        "what only the older checkpoint pinned is not counted again",
        _CONTROL_LOGS,
        "[made] if old is None else [old, made]",
        "[made]",
        _TAKEN,
    ),
    Mutant(
        "a checkpoint breaks no tie that is there already",
        _CONTROL_LOGS,
        "forked = bool(self.store.loose_rows(root, limit=1))",
        "forked = False",
        _TAKEN,
    ),
    Mutant(
        "judging a checkpoint beside a forked control log costs its sender nothing",
        _CONTROL_LOGS,
        "for log in [root] * judges + sorted(named))",
        "for log in sorted(named))",
        _TAKEN,
    ),
    Mutant(
        "counting again what a checkpoint names costs its sender nothing",
        _CONTROL_LOGS,
        "for log in [root] * judges + sorted(named))",
        "for log in [root] * judges)",
        _TAKEN,
    ),
    Mutant(
        "checkpoints of whom the path grants no more stay",
        _CONTROL_LOGS,
        "if not control.entitles(c.writer):",
        "if not control.entitles(c.writer) and was.frozen:",
        _TAKEN,
    ),
    Mutant(
        "what checkpoints pin is not counted again where others may speak now",
        _CONTROL_LOGS,
        "logs |= self.slow.named_by(account, self.store.checkpoints(account))",
        "logs |= set[LogId]()",
        _TAKEN,
    ),
    Mutant(
        "the number of a checkpoint is charged like entries",
        _INGEST,
        "sum(head.length for other, head in held if not is_checkpoint(other))",
        "sum(head.length for other, head in held)",
        _TAKEN,
    ),
    # -- how they come to others
    Mutant(
        "checkpoints are not read aloud",
        _SERVING,
        "self._control(link, account, 0)",
        "control_items(self._store, account)",
        _TAKEN,
    ),
    Mutant(
        "what came since leaves out checkpoints",
        _SERVING,
        "self._control(link, log.account, first)",
        "control_items(self._store, log.account, first)",
        _TAKEN,
    ),
    Mutant(
        "a tie that witnesses broke is served without the evidence",
        _SERVE,
        "resolve_control(reader.control(account), reader.checkpoints(account))",
        "resolve_control(reader.control(account))",
        _TAKEN,
    ),
    Mutant(
        "a checkpoint that came from a peer is not found by its name",
        _REPLICA,
        "            self._fetch.remember(judged.entries[0], judged.log)\n",
        "            pass\n",
        _TAKEN,
    ),
    Mutant(
        "a checkpoint that no longer stands is found by its name",
        _PUSHES,
        "if raw is not None and stands else None",
        "if raw is not None else None",
        _TAKEN,
    ),
    Mutant(
        "a peer that has a newer checkpoint than it claimed lies",
        _ASKING,
        "return self._supersedes(log, head) if is_checkpoint(log) else self._store.has(head.id)",
        "return self._store.has(head.id)",
        _ASKED,
    ),
    Mutant(
        "checkpoints that are older than ours are asked for",
        _ASKING,
        "        if is_checkpoint(log):\n            return self._supersedes(log, theirs)\n",
        "",
        _ASKED,
    ),
    Mutant(
        "the check does not ask whether a writer may make a checkpoint",
        _CHECK,
        "if not control.entitles(held.writer):",
        "if control.closed:",
        ("tests/storage/test_check.py", *_TAKEN),
    ),
    # -- how they are made
    Mutant(
        "the next checkpoint of a forked log lets go of its pin",
        _CONTENT,
        "pin = last if head.flag else",
        "pin = None if head.flag else",
        _TAKEN,
    ),
    Mutant(
        "who speaks while an account is frozen takes their word back",
        _CONTENT,
        "(control.frozen or not store.has(old.control.id))",
        "not store.has(old.control.id)",
        _TAKEN,
    ),
    Mutant(
        "who does not hold what they named takes their word back",
        _CONTENT,
        "(control.frozen or not store.has(old.control.id))",
        "control.frozen",
        _TAKEN,
    ),
    Mutant(
        "of more logs than fit those that grew least are pinned",
        _CONTENT,
        "key=lambda row: (-row[0], row[1]))[:MAX_PINS]",
        "key=lambda row: row)[:MAX_PINS]",
        _TAKEN,
    ),
    Mutant(
        "a node makes checkpoints of an account that is frozen",
        _HOSTED,
        "if control.closed or control.frozen:",
        "if control.closed:",
        _DAILY,
    ),
    Mutant(
        "a node makes a checkpoint whenever something moved",
        _CHORES,
        "ctx.store.set_due(Work.CHECKPOINT, key, now_ms + DAY_MS)",
        "ctx.store.set_due(Work.CHECKPOINT, key, now_ms)",
        _DAILY,
    ),
    # -- what must stay
    Mutant(
        "what is below a firm entry needs no signature of its own",
        _LOGS,
        "*(entries[i] for i in keep)]",
        "*(entries[i] for i in keep if i in firm)]",
        ("tests/crdt/test_logs.py",),
    ),
    Mutant(
        "what is below a firm entry may go",
        _LOGS,
        "            at = None if at.header.prev is None else entries.get(at.header.prev)\n    keep |=",
        "            at = None\n    keep |=",
        ("tests/crdt/test_logs.py",),
    ),
    # -- room beside
    Mutant("content takes no room", _COUNTING, "sizes = [content, *(", "sizes = [0, *(", _HELD),
    Mutant(
        "content that is held takes no room",
        _COUNTING,
        "sum(self._store.sizes(ns)) + content",
        "sum(self._store.sizes(ns))",
        _HELD,
    ),
    Mutant(
        "what does not fit takes room",
        _COUNTING,
        "        if self.over:\n            self.entries, self.size = before\n        return",
        "        return",
        _HELD,
    ),
    Mutant(
        "pins vouch for entries without end",
        _COUNTING,
        "return 2 * self._realm.entries_allowed(elapsed), ",
        "return 1 << 40, ",
        _HELD,
    ),
    Mutant(
        "pins vouch for bytes without end",
        _COUNTING,
        "2 * self._realm.bytes_allowed(elapsed)",
        "1 << 60",
        _HELD,
    ),
    Mutant(
        "new branches of a control log take the room of those that are held",
        _COUNTING,
        "key=lambda e: (e.id not in held, e.header.seq)",
        "key=lambda e: e.header.seq",
        _HELD,
    ),
    Mutant(
        "control entries that were written here need room",
        _COUNTING,
        "own_tips(self._store, log) + self._named_by_witnesses(account)",
        "self._named_by_witnesses(account)",
        _HELD,
    ),
    Mutant(
        "the control path that counted until now needs room",
        _COUNTING,
        "        firm |= {e.id for e in was.path} if was else set()\n",
        "",
        _HELD,
    ),
    Mutant(
        "of what was written in a control log only the latest entry is remembered",
        _OWN,
        "tips = [tip for tip in own_tips(store, log) if tip != below]",
        "tips = list[EntryId]()",
        _HELD,
    ),
    Mutant(
        "every entry that was written in a control log takes a place among those remembered",
        _OWN,
        "if tip != below]",
        "if below or tip]",
        _HELD,
    ),
    # -- how long
    Mutant(
        "every new branch puts off when the first is forgotten",
        _COUNTING,
        "if self._store.due_at(Work.FORGET, log_name(log)) is None:",
        "if log:",
        _KEPT,
    ),
    Mutant(
        "what is beside a control log is never looked at again",
        _CONTROL_LOGS,
        "        if loose:\n            self.slow.forget_later(root, now_s)\n",
        "",
        _KEPT,
    ),
    Mutant(
        "what is left beside a log is not looked at again",
        _COUNTING,
        "            self.forget_later(log, first)\n",
        "            pass\n",
        _KEPT,
    ),
    Mutant(
        "what is deleted now is erased as if it had been deleted before",
        _COUNTING,
        "                self._store.postpone(work, account, (now_s + KEEP_S) * 1000)",
        "                pass",
        _HELD,
    ),
    Mutant(
        "what is postponed may be due sooner than before",
        _DUE,
        "        if t.number(value) < at_ms:\n",
        "        if at_ms:\n",
        ("tests/storage/test_due.py",),
    ),
    # -- what is claimed
    Mutant(
        "a claim of a length alone is a lie where the log is shorter here",
        _ASKING,
        "return asked.came or here or",
        "return here or",
        _ASKED,
    ),
    Mutant(
        "a claim of a length alone need not be served",
        _ASKING,
        "return asked.came or here or bool(mine.flag or self._store.loose_rows(log, limit=1))",
        "return True",
        _ASKED,
    ),
    Mutant(
        "a length that was reached by another way must be served again",
        _ASKING,
        "return asked.came or here or bool(",
        "return asked.came or bool(",
        _ASKED,
    ),
    Mutant(
        "a claim that waited for a control log is taken for one of now",
        _ASKING,
        "later.heads, later.root)",
        "later.heads)",
        _ASKED,
    ),
    # -- what control entries cost
    Mutant(
        "what is held of a control log is judged again for nothing",
        _INTAKE,
        "return len(item.entries) + held + len(self._store.loose_rows(log))",
        "return len(item.entries)",
        _JUDGED,
    ),
    Mutant(
        "branches of a control log are judged again for nothing",
        _INTAKE,
        "+ held + len(self._store.loose_rows(log))",
        "+ held",
        _JUDGED,
    ),
    Mutant(
        "control entries that are all held cost as much as new ones",
        _INTAKE,
        "if not held or all(self._store.has(e.id) for e in item.entries):",
        "if not held:",
        _JUDGED,
    ),
    Mutant(
        "another grant changes nothing of what is shown",
        "replica/banyan_replica/intake/control_logs.py",
        "rebuild=_regranted(was, control, logs)",
        "rebuild=False",
        ("tests/replica/test_counting.py",),
    ),
    Mutant(
        "another grant has an account folded for the price of one log",
        "replica/banyan_replica/intake/control_logs.py",
        "if log.log] if folded else logs",
        "if log.log] if False else logs",
        ("tests/replica/test_counting.py",),
    ),
    Mutant(
        "a proof of a later version is raised where nobody expects it",
        _PREPARE,
        "    except NotYet as why:\n        return CheckedLater(run.log, bare(why))",
        "    except ValueError as why:\n        return CheckedLater(run.log, bare(why))",
        ("tests/replica/test_replica.py",),
    ),
)
