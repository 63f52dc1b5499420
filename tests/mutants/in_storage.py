"""Mistakes in the store: entries, indexes, content and views disagree."""

from tests.mutants.mutant import Mutant

_STORE, _PENDING, _IDS = (f"storage/banyan_storage/{m}.py" for m in ("store", "pending", "id_index"))
_REWRITING, _CONTENT, _BATCH, _ENTRIES = (
    f"storage/banyan_storage/{m}.py" for m in ("rewriting", "content_store", "batch", "entry_reader")
)
_READER, _RECORDS, _GRANTS = (f"storage/banyan_storage/{m}.py" for m in ("reader", "records", "grant_rows"))
_CHECK, _VIEWS, _VIEW_ROWS = (f"storage/banyan_storage/{m}.py" for m in ("check", "views/folding", "view_rows"))
_HOOKS = "storage/banyan_storage/views/hooks.py"
_STANDING, _BUILDING, _CHANGES, _REFOLDING, _PROOF = (
    f"storage/banyan_storage/views/{m}.py" for m in ("standing", "building", "changes", "refolding", "proof")
)
_SLOTS = "storage/banyan_storage/slots.py"

_STORED = ("tests/storage/test_store.py", "tests/storage/test_check.py", "tests/replica/test_ingest.py")
_FOUND = ("tests/storage/test_id_index.py", "tests/storage/test_store.py")
_READ = ("tests/storage/test_store.py", "tests/replica/test_ingest.py", "tests/replica/test_serve.py")
_GRANTED = ("tests/storage/test_grant_rows.py",)
_CHECKED = ("tests/storage/test_check.py",)
_BUILT = ("tests/storage/test_views_rebuilt.py",)
_PROVED = ("tests/storage/test_views_proved.py",)
_SHOWN = ("tests/storage/test_views.py", "tests/storage/test_queries.py")

IN_STORAGE = (
    # -- entries
    Mutant(
        "what is appended may hang on another entry than the last",
        _STORE,
        "if first.seq != old.length or first.prev != old.id or head.length",
        "if first.seq != old.length or head.length",
        _STORED,
    ),
    Mutant(
        "a later signature of an entry is not written when its log is rewritten",
        _REWRITING,
        "                if e.sig and not record_signed(was.raw):\n",
        "                if e.sig and record_signed(was.raw):\n",
        _STORED,
    ),
    Mutant(
        "signature marks of stretches are lost when a log is rewritten with unsigned copies",
        _REWRITING,
        "if e.sig or (was and record_signed(was.raw)):",
        "if e.sig:",
        _STORED,
    ),
    Mutant(
        "entries that came right after a parent that goes still point at it",
        _REWRITING,
        "        self._part_from_parents(log, lid, old, ns)\n",
        "",
        _STORED,
    ),
    Mutant(
        "entries that a log no longer consists of stay",
        _REWRITING,
        "                self._delete(was.n, entry)\n",
        "                pass\n",
        _STORED,
    ),
    Mutant(
        "each rewriting makes what does not count young again",
        _REWRITING,
        "row = was.loose if was else None",
        "row = None",
        ("tests/storage/test_store.py", "tests/replica/test_counting.py"),
    ),
    Mutant(
        "what counted once is noted as what never did",
        _REWRITING,
        "t.BRANCH if was is None else t.QUARANTINED, now_s)",
        "t.BRANCH, now_s)",
        ("tests/storage/test_store.py", "tests/replica/test_counting.py"),
    ),
    Mutant(
        "a stretch goes over entries that are signed",
        _BATCH,
        "if was_signed or n != first + size:",
        "if n != first + size:",
        _STORED,
    ),
    Mutant(
        "a stretch goes over a gap of arrival numbers",
        _BATCH,
        "if was_signed or n != first + size:",
        "if was_signed:",
        _STORED,
    ),
    Mutant(
        "the first entry of a run is said to have come right after its parent",
        _BATCH,
        "after = self._end is not None and entries[0].header.prev == self._end",
        "after = entries[0].header.prev is not None",
        _STORED,
    ),
    Mutant(
        "of a run in columns the first entry is said to have come right after its parent",
        _RECORDS,
        "records[0], records[-1] = encode_record(lid, first, after_parent)",
        "records[0], records[-1] = encode_record(lid, first, True)",
        ("tests/storage/test_store.py", "tests/replica/test_ingest.py"),
    ),
    Mutant(
        "shortening keeps a signed mark that is gone",
        _REWRITING,
        "t.chain_value(stretch.n, kept, False))",
        "t.chain_value(stretch.n, kept, stretch.signed))",
        _STORED,
    ),
    Mutant(
        "shortening leaves the rows of what counts no more",
        _REWRITING,
        "            self._write.delete(t.CHAIN, t.chain_key(lid, stretch.seq))\n            kept",
        "            kept",
        _STORED,
    ),
    Mutant(
        "content of what counts no more is still asked for after shortening",
        _REWRITING,
        "            rows.append((t.loose_key(lid, row.seq, record_id(raw)), t.loose_value(row)))\n"
        "            self._unwant(row.n)\n",
        "            rows.append((t.loose_key(lid, row.seq, record_id(raw)), t.loose_value(row)))\n",
        _STORED,
    ),
    Mutant(
        "content of what counts no more is still asked for after rewriting",
        _REWRITING,
        "                self._unwant(row.n)\n            rows[t.loose_key",
        "            rows[t.loose_key",
        _STORED,
    ),
    Mutant(
        "content of what counts again is not asked for",
        _REWRITING,
        "            if was is None or was.loose is not None:\n                self._want",
        "            if was is None:\n                self._want",
        _STORED,
    ),
    Mutant(
        "that something is held beside is not noticed while it is pending",
        _REWRITING,
        "        self._write.put_many(t.LOOSE, sorted(rows))\n"
        "        self._any_loose = None\n"
        "        self._erase_again(entries)",
        "        self._write.put_many(t.LOOSE, sorted(rows))\n        self._erase_again(entries)",
        _STORED,
    ),
    Mutant(
        "shortening does not say that something is held beside now",
        _REWRITING,
        "        self._write.put_many(t.LOOSE, sorted(rows))\n        self._any_loose = None\n        self._set_head",
        "        self._write.put_many(t.LOOSE, sorted(rows))\n        self._set_head",
        _STORED,
    ),
    Mutant(
        "an entry that counts may be dropped from beside a log",
        _REWRITING,
        "            if not self._write.delete(t.LOOSE, t.loose_key(lid, record_name(raw).seq, entry)):\n",
        "            if self._write.delete(t.LOOSE, t.loose_key(lid, record_name(raw).seq, entry)) is None:\n",
        _STORED,
    ),
    Mutant(
        "a later signature is not marked in the chain",
        _REWRITING,
        "            size = seq + 1 - stretch.seq\n"
        "            rows = [(t.chain_key(lid, stretch.seq), t.chain_value(stretch.n, size, True))]",
        "            size = seq + 1 - stretch.seq\n"
        "            rows = [(t.chain_key(lid, stretch.seq), t.chain_value(stretch.n, size, stretch.signed))]",
        _STORED,
    ),
    Mutant(
        "a later signature takes the mark of the one above it away",
        _REWRITING,
        "rest = t.chain_value(n + 1, stretch.size - size, stretch.signed)",
        "rest = t.chain_value(n + 1, stretch.size - size, False)",
        _STORED,
    ),
    Mutant(
        "a later signature of an entry beside the chain is marked in the chain",
        _REWRITING,
        "if stretch is not None and stretch.n + seq - stretch.seq == n:",
        "if stretch is not None:",
        _STORED,
    ),
    Mutant(
        "ids of entries that go stay in the index",
        _REWRITING,
        "        self._ids.remove(entry, n)\n",
        "",
        _STORED,
    ),
    Mutant(
        "content of entries that go stays",
        _REWRITING,
        "for table in (t.PARTS, t.WITHHELD):",
        "for table in (t.WITHHELD,):",
        _STORED,
    ),
    Mutant(
        "content of entries that go is still asked for",
        _REWRITING,
        "            self._write.delete_range(table, t.part_key(n, 0), t.part_key(n + 1, 0))\n"
        "        self._unwant(n)\n",
        "            self._write.delete_range(table, t.part_key(n, 0), t.part_key(n + 1, 0))\n",
        _STORED,
    ),
    Mutant(
        "that content was erased is forgotten when its entry goes",
        _REWRITING,
        "        if erased:\n",
        "        if not erased:\n",
        _STORED,
    ),
    Mutant(
        "erased content is taken again once its entry is appended again",
        _STORE,
        "            self._erase_again([e for append in batch for e in append.entries])\n",
        "            pass\n",
        _STORED,
    ),
    Mutant(
        "erased content is taken again once its entry comes beside a log",
        _REWRITING,
        "        self._any_loose = None\n        self._erase_again(entries)\n",
        "        self._any_loose = None\n",
        _STORED,
    ),
    Mutant(
        "erased content is taken again once its entry comes with a rewriting",
        _REWRITING,
        "        self._erase_again([e for e in (*chain, *loose) if e.id not in old])\n",
        "",
        _STORED,
    ),
    Mutant(
        "the reason of an erasure is lost with its entry",
        _CONTENT,
        "self.erase_part(e.id, t.erased_op(key), reason or None)",
        "self.erase_part(e.id, t.erased_op(key), None)",
        _STORED,
    ),
    # -- content
    Mutant(
        "content of void entries is asked for",
        _STORE,
        "            if body.void:\n"
        "                self._unwant(n)\n"
        "            else:\n"
        "                self._want(n, body)\n",
        "            self._want(n, body)\n",
        _STORED,
    ),
    Mutant(
        "content that is held is asked for again",
        _CONTENT,
        "if self._write.get(t.PARTS, key) is None and self._write.get(t.WITHHELD, key) is None:",
        "if self._write.get(t.WITHHELD, key) is None:",
        _STORED,
    ),
    Mutant(
        "content that was erased is asked for again",
        _CONTENT,
        "if self._write.get(t.PARTS, key) is None and self._write.get(t.WITHHELD, key) is None:",
        "if self._write.get(t.PARTS, key) is None:",
        _STORED,
    ),
    Mutant(
        "content is taken that nothing that counts names",
        _CONTENT,
        "if n is None or key in rows or not self._unlack(key):",
        "if n is None or key in rows or (self._unlack(key) and False):",
        _STORED,
    ),
    Mutant(
        "content that is erased before it came is still asked for",
        _CONTENT,
        "        key = t.part_key(n, op)\n        self._unlack(key)\n",
        "        key = t.part_key(n, op)\n",
        _STORED,
    ),
    Mutant(
        "an erasure hides content and keeps it",
        _CONTENT,
        "        self._write.delete(t.PARTS, key)\n",
        "",
        _STORED,
    ),
    Mutant(
        "lifting an erasure asks for content of what does not count",
        _CONTENT,
        "if part is not None and self.is_counted(entry):",
        "if part is not None:",
        _STORED,
    ),
    Mutant(
        "grants beside a control log are those of before it changed",
        _STORE,
        '        self._write.put(t.ACCOUNTS, account, encode_grants(control) if control.path else b"")\n',
        "        if not self._write.get(t.ACCOUNTS, account):\n"
        "            self._write.put(t.ACCOUNTS, account, encode_grants(control))\n",
        ("tests/storage/test_grant_rows.py", "tests/replica/test_ingest.py"),
    ),
    # -- the pending transaction
    Mutant(
        "where logs stood when a transaction was lost is still believed",
        _PENDING,
        "        self._logs.clear()\n        self._any_loose = self._any_erased",
        "        self._any_loose = self._any_erased",
        _STORED,
    ),
    Mutant(
        "content that was asked for when a transaction was lost is asked for after it",
        _PENDING,
        "        self._names.clear()\n        self._wanted.clear()\n",
        "        self._names.clear()\n",
        _STORED,
    ),
    Mutant(
        "entries at hand outlive the transaction that was lost",
        _PENDING,
        "        self._wanted.clear()\n        self._recent.clear()\n        self._last",
        "        self._wanted.clear()\n        self._last",
        _STORED,
    ),
    Mutant(
        "arrival numbers of a lost transaction are not given again",
        _PENDING,
        'self._last = self._noted = t.number(self._write.get(t.META, t.LAST_KEY) or b"")',
        'self._last = self._noted = max(self._last, t.number(self._write.get(t.META, t.LAST_KEY) or b""))',
        _STORED,
    ),
    Mutant(
        "that something is held beside is believed after the transaction was lost",
        _PENDING,
        "        self._any_loose = self._any_erased = None\n        self._names",
        "        self._any_erased = None\n        self._names",
        _STORED,
    ),
    Mutant(
        "the list of lacking content is not written with a commit",
        _PENDING,
        "        self._ids.flush()\n        self._flush_wanted()\n",
        "        self._ids.flush()\n",
        _STORED,
    ),
    Mutant(
        "ids of a lost transaction stay in memory",
        _PENDING,
        "        self._ids.rolled_back()\n",
        "",
        ("tests/storage/test_store.py", "tests/storage/test_id_index.py"),
    ),
    Mutant(
        "content that was just asked for is not known to lack",
        _PENDING,
        "        self._flush_wanted()\n        return super().lacks_part(entry, op)",
        "        return super().lacks_part(entry, op)",
        _STORED,
    ),
    # -- the index of ids
    Mutant(
        "ids that go while they are moved into the index are moved all the same",
        _IDS,
        "            self._gone.add(half)\n        self._txn.delete",
        "            pass\n        self._txn.delete",
        _FOUND,
    ),
    Mutant(
        "ids that go and come again while they are moved are in the index with both numbers",
        _IDS,
        "if stay := self._gone | (self._again & self._young.keys()):",
        "if stay := self._gone:",
        _FOUND,
    ),
    Mutant(
        "the mark of how far the index reaches is moved before all ids are in it",
        _IDS,
        "            if self._ready == len(self._queue):\n",
        "            if self._ready:\n",
        _FOUND,
    ),
    Mutant(
        "a snapshot is offered ids of the writer that begin after what its index has",
        _IDS,
        "next((held for held in offer() if held.after <= after), None)",
        "next(iter(offer()), None)",
        _FOUND,
    ),
    Mutant(
        "after a rollback the index goes on behind what was not made durable",
        _IDS,
        "        self._fresh.clear()\n        self._ready = self._done\n",
        "        self._fresh.clear()\n",
        _FOUND,
    ),
    Mutant(
        "after a rollback ids that went are not found",
        _IDS,
        "            self._gone.discard(half)\n            if gone:",
        "            if gone:",
        _FOUND,
    ),
    # -- reading
    Mutant(
        "a fork at the first entry is left out of the frontier",
        _ENTRIES,
        "            if head.length or head.flag:\n",
        "            if head.length:\n",
        _READ,
    ),
    Mutant(
        "the entry right above the end of what counts is taken to count",
        _ENTRIES,
        "if stretch.seq + stretch.size > first:",
        "if stretch.seq + stretch.size >= first:",
        _READ,
    ),
    Mutant(
        "entries that share half of their id are taken for one another",
        _ENTRIES,
        "if raw is not None and record_id(raw).startswith(entry):",
        "if raw is not None and record_id(raw)[:16] == entry[:16]:",
        _READ,
    ),
    Mutant(
        "of what is held beside, the highest are named even before what a pin stands above",
        _READER,
        "key=lambda row: (row.kind != t.VOUCHED, -row.seq))",
        "key=lambda row: -row.seq)",
        _READ,
    ),
    Mutant(
        "entries of other branches are taken for children of a fork",
        _READER,
        "(e for e in found if e.header.prev == parent)",
        "(e for e in found)",
        _READ,
    ),
    Mutant(
        "a list of lacking content begins with the last one of the list before",
        _READER,
        'after + b"\\0" if after else b""',
        "after",
        _READ,
    ),
    Mutant(
        "an arrival is told once more to whoever has it",
        _ENTRIES,
        "t.u48(min(after + 1, t.MAX_ARRIVAL))",
        "t.u48(min(after, t.MAX_ARRIVAL))",
        _READ,
    ),
    Mutant(
        "content of entries on both sides of a gap comes with that of those in the gap",
        _READER,
        "while end < len(ns) and ns[end] == ns[end - 1] + 1:",
        "while end < len(ns):",
        _READ,
    ),
    # -- grants
    Mutant(
        "grants of several writers are stored in the order of writers",
        _GRANTS,
        "sorted((g for of in grants.grants.values() for g in of), key=lambda g: g.order)",
        "(g for of in grants.grants.values() for g in of)",
        _GRANTED,
    ),
    Mutant(
        "a cut that keeps nothing is not stored",
        _GRANTS,
        "    for writer, kept in sorted(grants.cuts.items()):\n",
        "    for writer, kept in sorted((w, k) for w, k in grants.cuts.items() if k):\n",
        _GRANTED,
    ),
    Mutant(
        "a grant of no collections is stored as one of all",
        _GRANTS,
        "kind = (colls is not None) * COLLS",
        "kind = bool(colls) * COLLS",
        _GRANTED,
    ),
    Mutant(
        "that an account is closed is not stored",
        _GRANTS,
        "out = [bytes([grants.closed])]",
        'out = [b"\\0"]',
        _GRANTED,
    ),
    # -- the check
    Mutant(
        "the check does not look at signature marks",
        _CHECK,
        "            if signed != (e.sig is not None):\n",
        "            if signed is None:\n",
        _CHECKED,
    ),
    Mutant(
        "the check lets a signature vouch over more bytes than a run has",
        _CHECK,
        "            if size > MAX_RUN_BYTES:\n                return\n",
        "",
        _CHECKED,
    ),
    Mutant(
        "the check lets a signature vouch for control entries below it",
        _CHECK,
        "range(MAX_RUN_ENTRIES - 1 if self.log.log else 0)",
        "range(MAX_RUN_ENTRIES - 1)",
        _CHECKED,
    ),
    Mutant(
        "the check does not look whether wanted content is held",
        _CHECK,
        '        if reader.txn.get(t.PARTS, key) is not None:\n            yield StoreProblem("lacking"',
        '        if reader.txn.get(t.PARTS, key) == b"":\n            yield StoreProblem("lacking"',
        _CHECKED,
    ),
    Mutant(
        "the check does not compare wanted content with what its entry names",
        _CHECK,
        "        if named.part(key) != t.wanted_part(raw):\n",
        "        if named.part(key) is None:\n",
        _CHECKED,
    ),
    Mutant(
        "the check believes skip links of branches",
        _CHECK,
        "yield from self._entry(n, e, parent, self._ancestor(e))",
        "yield from self._entry(n, e, parent, e.header.skip)",
        _CHECKED,
    ),
    Mutant(
        "the check does not look whether entries lie in no place or in two",
        _CHECK,
        "    if rows[t.ENTRIES] != counted + rows[t.LOOSE]:\n",
        "    if rows[t.ENTRIES] < rows[t.LOOSE]:\n",
        _CHECKED,
    ),
    # -- views
    Mutant(
        "views keep what stopped counting",
        _HOOKS,
        "        clear(txn, numbers_of(txn, {account})[account], at)\n",
        "",
        _SHOWN,
    ),
    Mutant(
        "what an edit covered does not live again when the edit stops counting",
        _HOOKS,
        "if isinstance(op, Del | Tomb) or (isinstance(op, Put) and op.refs):",
        "if isinstance(op, Del | Tomb):",
        _SHOWN,
    ),
    Mutant(
        "what a deletion ended does not live again when the deletion stops counting",
        _HOOKS,
        "if isinstance(op, Del | Tomb) or (isinstance(op, Put) and op.refs):",
        "if isinstance(op, Del) or (isinstance(op, Put) and op.refs):",
        _SHOWN,
    ),
    Mutant(
        "a cover is forgotten when what it covered stops counting",
        _HOOKS,
        "if not live and not any(txn.beginning(TOMBS,",
        "if False and not any(txn.beginning(TOMBS,",
        _SHOWN,
    ),
    Mutant(
        "covers of entries that stopped counting still cover",
        _VIEWS,
        "for table in (CELLS, TOMBS, COVERS, SHOWN):",
        "for table in (CELLS, TOMBS, SHOWN):",
        _SHOWN,
    ),
    Mutant(
        "a cover that comes first does not wait for its target",
        _VIEWS,
        "        if waiting:\n            self._txn.put_many(COVERS, sorted(waiting))\n",
        "",
        _SHOWN,
    ),
    Mutant(
        "a put covers writes of other cells in the views",
        _VIEWS,
        "found[0][4:12] == coll and (key is None or found[0][12:] == REGISTER + key)",
        "found[0][4:12] == coll",
        _SHOWN,
    ),
    Mutant(
        "a tomb spares the elements of a set in the views",
        _VIEWS,
        "for kind, size in ((REGISTER, 25), (ELEMENT, 41)):",
        "for kind, size in ((REGISTER, 25),):",
        _SHOWN,
    ),
    Mutant(
        "what comes after its tomb shows",
        _VIEWS,
        "fresh = self._without_covered(self._without_dead(self._fresh))",
        "fresh = self._without_covered(self._fresh)",
        _SHOWN,
    ),
    Mutant(
        "an edit without its content shows the text before it",
        _VIEW_ROWS,
        "        if slot[12:13] == REGISTER:\n            return None\n",
        "",
        _SHOWN,
    ),
    Mutant(
        "of two writes of one time the one that arrived last shows",
        _SLOTS,
        "        ordered.sort(key=lambda stamp: (stamp[:8], _name(reader, stamp[8:])[0], stamp[14:]))\n",
        "        pass\n",
        _SHOWN,
    ),
    # -- views that are built again
    Mutant(
        "rows beyond the builder's cursor are kept in step, too",
        _STANDING,
        "    return cursor is None or account + slot[4:] <= cursor\n",
        "    return True\n",
        _BUILT,
    ),
    Mutant(
        "accounts beyond the builder's cursor are folded, too",
        _STANDING,
        "    return cursor is None or account <= cursor[:32]\n",
        "    return True\n",
        _BUILT,
    ),
    Mutant(
        "a step that ends inside an account passes over the rest of it",
        _BUILDING,
        "                last = account + showing.slot[4:]\n",
        "                last = account + WHOLE\n",
        _BUILT,
    ),
    Mutant(
        "a view that is to be built while all are has the cursor of the others",
        _BUILDING,
        "    if SHOWN_NAME in cursors(txn):\n",
        "    if SHOWN_NAME in wanted:\n",
        _BUILT,
    ),
    Mutant(
        "a view that is built is not noted to be",
        _BUILDING,
        "        note_versions(txn, {name: version_of(name)})\n",
        "",
        ("tests/storage/test_views_upgraded.py",),
    ),
    Mutant(
        "counters of a store of the version before are taken to be there",
        "storage/banyan_storage/upgrade.py",
        '"relations", "followers"), 1)',
        '"relations", "followers"), 2)',
        ("tests/storage/test_views_upgraded.py",),
    ),
    Mutant(
        "what one account says twice counts twice",
        _CHANGES,
        "        if counter.once is None:\n",
        "        if counter.rows:\n",
        _BUILT,
    ),
    Mutant(
        "a counter counts what was there before as new",
        _CHANGES,
        "came, gone = after - before, before - after",
        "came, gone = after, before - after",
        _BUILT,
    ),
    Mutant(
        "content that a grant does not cover shows once it is built again",
        _REFOLDING,
        "        one = read_single(ops) if anything else None\n",
        "        one = read_single(ops)\n",
        ("tests/storage/test_views_rebuilt.py",),
    ),
    Mutant(
        "an account of which a block is written is still taken to show nothing",
        _REFOLDING,
        "self._waiting, self._empty, [], set(), 0",
        "self._waiting, self._empty, [], self._empty, 0",
        _BUILT,
    ),
    Mutant(
        "one account that cannot be folded takes those beside it along",
        _REFOLDING,
        "            for read in waiting:\n",
        "            for read in waiting[:0]:\n",
        _BUILT,
    ),
    # -- views that are proved
    Mutant(
        "the check does not look for rows that no entry gives",
        _PROOF,
        "                if self._txn.count(table) != self._rows[table]:\n",
        "                if self._txn.count(table) < self._rows[table]:\n",
        _PROVED,
    ),
    Mutant(
        "the check does not look at counters of nothing",
        _PROOF,
        "sorted(wanted.keys() | held.keys())",
        "sorted(wanted.keys())",
        _PROVED,
    ),
    Mutant(
        "the check does not look for covers that are lost",
        _PROOF,
        "        for row in sorted(needed - held):\n",
        "        for row in sorted(needed - held - needed):\n",
        _PROVED,
    ),
)
