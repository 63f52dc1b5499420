"""Mistakes in profiles: which fields are pictures, which blobs they name, who fetches them, and when they go."""

from tests.mutants.mutant import Mutant

_PROFILE, _REGISTRY = "schema/banyan_schema/social/profile.py", "schema/banyan_schema/registry.py"
_NAMES, _FOLLOWING = "storage/banyan_storage/blob_names.py", "node/banyan_node/media/following.py"
_CHORES, _METHODS = "node/banyan_node/upkeep/chores.py", "node/banyan_node/api/methods"
_SCHEMA, _NODE = ("tests/schema/test_profile.py",), ("tests/node/test_profiles.py",)
_NAMED, _MOVED = ("tests/storage/test_blob_names.py",), ("tests/cli/moving/test_portraits.py",)

IN_PROFILES = (
    Mutant("a film is a picture of a profile", _PROFILE, " or not self.media.is_picture:", ":", _SCHEMA),
    Mutant(
        "a picture that was taken away is shown as an empty text",
        _PROFILE,
        'and (self.field not in PICTURES or self.value != "")',
        "",
        _SCHEMA,
    ),
    Mutant(
        "the description of a picture is not shown",
        _PROFILE,
        "self.media._replace(description=self.value or None)",
        "self.media",
        _SCHEMA,
    ),
    Mutant(
        "each usual post is read for the blobs that it may name",
        _REGISTRY,
        "return [] if head is None else beginning_with(parts, head)",
        "return [] if head is None else beginning_with(parts, min(heads.values()))",
        _SCHEMA,
    ),
    Mutant(
        "among other content a picture of a profile is overlooked",
        _REGISTRY,
        "return [k for k, head in some if beginning_with((parts[k],), head)]",
        "return [k for k, head in some if beginning_with((parts[k],), max(heads.values()))]",
        _SCHEMA,
    ),
    Mutant(
        "a check reads the entry of each post", _REGISTRY, "return _ROOT in part and bool(", "return bool(", _SCHEMA
    ),
    Mutant(
        "a store of an older program never names what that one did not know",
        _NAMES,
        "            rebuild(txn, reader)\n",
        "            pass\n",
        _NAMED,
    ),
    Mutant(
        "each start names all blobs anew",
        _NAMES,
        "    if txn.get(t.META, t.NAMING_KEY) != SOCIAL.naming_version:\n",
        "    if True:\n",
        _NAMED,
    ),
    Mutant(
        "a picture that a profile shows no more is fetched",
        _FOLLOWING,
        "if shown and said is not None else []",
        "if said is not None else []",
        _NODE,
    ),
    Mutant(
        "the preview of a picture that was replaced stays for 30 days",
        _CHORES,
        "            look_again(ctx.engine.write(), [t.part_key(number, ref.op)])  # its preview goes at once\n",
        "",
        _NODE,
    ),
    Mutant(
        "who is followed later has no picture",
        f"{_METHODS}/relations.py",
        "    look_again_at(ctx, other)\n",
        "",
        _NODE,
    ),
    Mutant(
        "a picture that was replaced stays for ever",
        _CHORES,
        "for op in ops if isinstance(op, Put | Del) and op.coll == PROFILE for ref in op.refs]",
        "for op in ops if isinstance(op, Del) and op.coll == PROFILE for ref in op.refs]",
        _NODE,
    ),
    Mutant(
        "a picture that came after what replaces it stays for ever",
        _CHORES,
        "            replaced.append(own)\n",
        "            pass\n",
        _NODE,
    ),
    Mutant(
        "a picture is erased that is shown again, because what replaced it was a thief's",
        _CHORES,
        "    if ref in ctx.queries().live(account, op):\n",
        "    if False:\n",
        _NODE,
    ),
    Mutant(
        "a picture whose content comes late is never erased",
        _CHORES,
        "    if ctx.store.txn.get(t.PARTS, key) is None:\n        return True, False\n",
        "",
        _NODE,
    ),
    Mutant(
        "the words of a profile are erased once they are changed",
        _CHORES,
        "return False, names_blobs and ctx",
        "return False, ctx",
        _NODE,
    ),
    Mutant(
        "anybody has the picture of another account erased",
        _CHORES,
        "() if entry is None or entry.account != account else _ops(entry)",
        "() if entry is None else _ops(entry)",
        _NODE,
    ),
    Mutant(
        "what an account shows not yet is erased",
        _CHORES,
        "    if waits(ctx.store.txn, account):\n",
        "    if False:\n",
        _NODE,
    ),
    Mutant(
        "a feed has large pictures beside its posts",
        _PROFILE,
        "_FACE + bytes(media.preview or media.blob)",
        "_FACE + media.blob",
        _NODE,
    ),
    Mutant(
        "a picture that was taken away on another device is shown beside posts",
        "storage/banyan_storage/faces.py",
        "            avatars[place] = None  # it was taken away, or is a text\n",
        "            pass\n",
        ("tests/storage/test_queries.py",),
    ),
    Mutant(
        "an import replaces pictures that were set here",
        f"{_METHODS}/moving.py",
        "        if not is_set(draft):\n",
        "        if True:\n",
        _NODE,
    ),
    Mutant(
        "a picture of a profile is put again by each import",
        "cli/banyan_cli/importing/portraits.py",
        '"new" if name in without else "here"',
        '"new"',
        _MOVED,
    ),
    Mutant(
        "the oldest picture of a profile comes from Facebook",
        "cli/banyan_cli/importing/facebook.py",
        "newest = max(photos,",
        "newest = min(photos,",
        _MOVED,
    ),
    Mutant(
        "an export names a picture that it does not have",
        "node/banyan_node/exporting/site.py",
        "picture.blob not in written and not write_medium(self._blobs, picture, self._sink, PICTURES)",
        "picture.blob not in written and write_medium(self._blobs, picture, self._sink, PICTURES) is None",
        _NODE,
    ),
)
