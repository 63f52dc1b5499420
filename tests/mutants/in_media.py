"""Mistakes in pictures and films: what is named, kept, fetched and given, and what of a file is posted."""

from tests.mutants.mutant import Mutant

_BLOB, _WIRE = "crdt/banyan_crdt/blob.py", "replica/banyan_replica/wire/blobs.py"
_STORE, _PARTIAL = "storage/banyan_storage/blobs/blob_store.py", "storage/banyan_storage/blobs/partial.py"
_NAMES = "storage/banyan_storage/blob_names.py"
_KEEPING, _SERVING, _FETCHING, _LOOKING, _PUTTING, _CHILD, _DECODERS = (
    f"node/banyan_node/media/{m}.py"
    for m in ("keeping", "serving", "fetching", "looking", "putting", "picture_child", "decoders")
)
_LINES = "node/banyan_node/edge/blobs.py"
_HELD = ("tests/storage/test_blobs.py",)
_NAMED = ("tests/storage/test_blob_names.py",)
_BETWEEN = ("tests/node/test_media.py",)
_FILES = ("tests/node/test_media_files.py",)
_DRAFTS = ("tests/node/test_drafts.py",)
_VECTORS = ("tests/vectors/test_vectors.py",)

IN_MEDIA = (
    Mutant(
        "a root says nothing of the size", _BLOB, 'self.size.to_bytes(8, "big") + self.hashes', "self.hashes", _VECTORS
    ),
    Mutant("a list of another root is believed", _BLOB, "    if found.root != root:\n", "    if False:\n", _HELD),
    Mutant(
        "a chunk that came is not compared with the list",
        _PARTIAL,
        "or not self.list.is_chunk(chunk, raw):",
        "or False:",
        _HELD,
    ),
    Mutant(
        "who goes on after a power cut believes every mark",
        _PARTIAL,
        "                        self.held[chunk] = 0\n",
        "                        pass\n",
        _HELD,
    ),
    Mutant(
        "a byte that the disk changed is read",
        _STORE,
        "        if chunk_hash(raw) != right and not (self._owns and self._unhold(held.root, chunk)):\n",
        "        if False:\n",
        _HELD,
    ),
    Mutant(
        "what a crash left stays for ever",
        _STORE,
        "if not _belongs(name, there)]",
        "if False]",
        _HELD,
    ),
    Mutant(
        "the content of a deleted post goes on naming its blobs",
        "storage/banyan_storage/content_store.py",
        '        blob_names.unname(self._write, key, key + b"\\0")\n',
        "",
        _NAMED,
    ),
    Mutant(
        "an entry that is dropped goes on naming its blobs",
        "storage/banyan_storage/rewriting.py",
        "        blob_names.unname(self._write, t.part_key(n, 0), t.part_key(n + 1, 0))\n",
        "",
        _NAMED,
    ),
    Mutant(
        "content that comes after its entry names nothing",
        "storage/banyan_storage/content_store.py",
        "        blob_names.name(self._write, [row for row in named if row is not None])\n",
        "",
        _NAMED,
    ),
    Mutant(
        "what a post names is removed",
        _KEEPING,
        "_is_old(one, now) and not is_named(txn, root) and",
        "_is_old(one, now) and",
        _BETWEEN,
    ),
    Mutant(
        "what was put is removed before it can be posted",
        _KEEPING,
        "    return not one.pinned and one.wanted_s < now - GRACE_S\n",
        "    return not one.pinned\n",
        _BETWEEN,
    ),
    Mutant(
        "pictures of those whom somebody follows go as those of strangers",
        _KEEPING,
        "and not any(here(account) for account in namers):",
        "and True:",
        _BETWEEN,
    ),
    Mutant(
        "what was never posted is given to peers",
        _SERVING,
        "root if is_named(txn, root) else None",
        "root",
        _BETWEEN,
    ),
    Mutant(
        "a lie about a blob costs nothing",
        _FETCHING,
        "            self._charge(peer, str(error))\n",
        "            pass\n",
        _BETWEEN,
    ),
    Mutant(
        "a post may call a large blob small",
        _FETCHING,
        "            if fetch.expected not in (None, of.size):\n",
        "            if False:\n",
        _BETWEEN,
    ),
    Mutant(
        "a picture keeps what the camera wrote",
        _CHILD,
        "    made = Image.new(mode, opened.size)\n    made.paste(opened.convert(mode))\n    return made\n",
        "    return opened.convert(mode)\n",
        _FILES,
    ),
    Mutant("a picture lies on its side", _CHILD, "fresh(ImageOps.exif_transpose(opened))", "fresh(opened)", _FILES),
    Mutant(
        "a process that was ended while it waited costs a picture",
        _DECODERS,
        "        for _ in range(2):",
        "        for _ in range(1):",
        _FILES,
    ),
    Mutant("pictures of a draft go after a day", _KEEPING, " and not is_in_draft(txn, root):", ":", _DRAFTS),
    Mutant(
        "pictures of a draft are given to whoever names them",
        _SERVING,
        "root_for(txn, ask.root, peer) if ask.of_draft",
        "root if ask.of_draft",
        _DRAFTS,
    ),
    Mutant(
        "who hears a token can use it",
        _WIRE,
        'H("blob of a draft", root, draft, peer.encode())',
        'H("blob of a draft", root, draft)',
        _DRAFTS,
    ),
    Mutant(
        "a draft is published without its pictures",
        "node/banyan_node/hosting/drafts.py",
        "    if not there and (missing := lacking(ctx.blobs, draft)):\n",
        "    if False and (missing := lacking(ctx.blobs, draft)):\n",
        _DRAFTS,
    ),
    Mutant(
        "pictures of a draft that another device dropped stay for ever",
        "node/banyan_node/hosting/drafts.py",
        "        if draft is not None and one.root in blobs_of(draft):\n",
        "        if True:\n",
        _DRAFTS,
    ),
    Mutant(
        "room is made beside the thread of the store",
        "node/banyan_node/api/dispatch.py",
        "beside.on_owner(lambda: self._make_room(size))",
        "self._make_room(size)",
        _FILES,
    ),
    Mutant(
        "a bomb is decoded",
        _CHILD,
        "        if width * height > MAX_PIXELS:\n",
        "        if False:\n",
        _FILES,
    ),
    Mutant(
        "a file that changed while it was read is posted",
        _PUTTING,
        "if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):",
        "if False:",
        _FILES,
    ),
    Mutant(
        "the node's own keys can be posted",
        _PUTTING,
        "    if home is not None and Home(home).is_own(where):\n",
        "    if False:\n",
        _FILES,
    ),
    Mutant(
        "a silent peer delays the list of another",
        _FETCHING,
        "                with trio.move_on_after(HEDGE_S):\n",
        "                if True:\n",
        _BETWEEN,
    ),
    Mutant(
        "a peer that was too slow with a list is asked first for the next",
        _FETCHING,
        "2 if peer in self._slow else 1",
        "-1 if peer in self._slow else 1",
        _BETWEEN,
    ),
    Mutant(
        "an answer may take as long as it drips",
        _LINES,
        "        with trio.fail_after(max(patience, length / LEAST_RATE)):\n",
        "        if True:\n",
        ("tests/node/test_blob_lines.py",),
    ),
    Mutant(
        "an answer that is too long costs nothing",
        _LINES,
        "                self._asked[0].wrong = error\n",
        "                pass\n",
        _BETWEEN,
    ),
    Mutant("captions may run backwards", _LOOKING, "or _seconds(cue[1]) >= _seconds(cue[2]):", "or False:", _FILES),
    Mutant(
        "a list that is longer than the largest is read",
        _BLOB,
        "    if not 0 < size <= MAX_BLOB:\n",
        "    if not 0 < size:\n",
        _HELD,
    ),
    Mutant(
        "the preview of a deleted post stays until its content goes",
        "storage/banyan_storage/views/changes.py",
        "look_again(txn, [row[24:] for",
        'look_again(txn, [b"" for',
        ("tests/node/test_media.py",),
    ),
    Mutant(
        "the preview of another post goes with a deleted one",
        "node/banyan_node/media/keeping.py",
        "any(shows(q, t.part_key(*at)) for at in found)",
        "False",
        ("tests/node/test_media.py",),
    ),
    Mutant(
        "a piece with other bytes is kept",
        "storage/banyan_storage/blobs/blob_store.py",
        "of is None or not 0 <= chunk < of.chunks or not of.is_chunk(chunk, raw)",
        "of is None or not 0 <= chunk < of.chunks",
        ("tests/node/test_uploads.py",),
    ),
    Mutant(
        "an upload of which pieces lack becomes a blob",
        "node/banyan_node/api/methods/uploads.py",
        "if missing := partial.missing():",
        "if missing := partial.missing()[:0]:",
        ("tests/node/test_uploads.py",),
    ),
    Mutant(
        "uploads take room that is not there",
        "node/banyan_node/api/methods/uploads.py",
        "at.make_room(begun + size)",
        "at.make_room(size)",
        ("tests/node/test_uploads.py",),
    ),
    Mutant(
        "two puts of one file write one draft",
        "storage/banyan_storage/blobs/files.py",
        'f"{path.name}.{secrets.token_hex(8)}.tmp"',
        'f"{path.name}.tmp"',
        ("tests/storage/test_blobs.py",),
    ),
)
