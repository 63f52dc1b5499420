"""Mistakes in moving in: what comes twice, what must not come, what an archive may do to its reader."""

from tests.mutants.mutant import Mutant

_NODE, _METHODS = "node/banyan_node/hosting/moving.py", "node/banyan_node/api/methods/moving.py"
_PACKING = "node/banyan_node/hosting/packing.py"
_HERE = "cli/banyan_cli/importing"
_MOVING, _IMPORTS = ("tests/node/test_moving.py",), ("tests/node/test_backend_imports.py",)
_MASTODON, _ARCHIVES = ("tests/cli/moving/test_mastodon.py",), ("tests/cli/moving/test_archives.py",)
_TWITTER, _FACEBOOK = ("tests/cli/moving/test_twitter.py",), ("tests/cli/moving/test_facebook.py",)
_PICTURES, _MEDIA = ("tests/cli/moving/test_pictures.py",), ("tests/node/test_moving_media.py",)
_YOUTUBE = ("tests/cli/moving/test_youtube.py",)

IN_MOVING = (
    Mutant(
        "a post that was deleted here is brought again",
        _METHODS,
        'return "deleted" if q.is_dead(post.account, POST, post.key) else "came"',
        'return "came"',
        _MOVING,
    ),
    Mutant(
        "whom one unfollowed here is followed again",
        _METHODS,
        'return "here" if stands else "undone"',
        'return "here" if stands else "came"',
        _MOVING,
    ),
    Mutant(
        "two services share keys",
        _NODE,
        "encode([service.encode(), item.encode(), part])",
        "encode([item.encode(), part])",
        _MOVING,
    ),
    Mutant(
        "a dry run writes",
        _METHODS,
        "return MovedPosts(rows, 0 if ask.dry else",
        "return MovedPosts(rows, 0 if not ask else",
        _MOVING,
    ),
    Mutant(
        "later parts of a text lose its warning",
        _NODE,
        "lang, at, warning, words.audience",
        "lang, at, warning if me.key == key else None, words.audience",
        _MOVING,
    ),
    Mutant("a date after today is kept", _METHODS, "0 <= post.time_ms <= wall_ms", "0 <= post.time_ms", _MOVING),
    Mutant("a letter is cut from its marks", _NODE, "if not unicodedata.combining(text[at])", "if text[at]", _MOVING),
    Mutant("marks without end are normalised", _NODE, "if marks > MARKS:", "if marks > 1 << 30:", _MOVING),
    Mutant(
        "an entry takes more operations than it may",
        _PACKING,
        "> MAX_OPS_BYTES - _BODY",
        "> MAX_OPS_BYTES + 4_000",
        _MOVING,
    ),
    Mutant(
        "each post has an entry of its own", _PACKING, "full = len(some) == MAX_OPS", "full = len(some) == 1", _MOVING
    ),
    Mutant(
        "posts for followers come",
        f"{_HERE}/activitystreams.py",
        'return "unlisted" if EVERYBODY & set(texts(one.get("cc"))) else None',
        'return "unlisted"',
        _MASTODON,
    ),
    Mutant(
        "the second of two items with one id comes too",
        f"{_HERE}/moving.py",
        "if item.id in self._seen:",
        "if item.id is self:",
        _MASTODON,
    ),
    Mutant(
        "names that lead out of an archive are read", f"{_HERE}/archives.py", 'or ".." in parts', "or False", _ARCHIVES
    ),
    Mutant(
        "links of a zip are read",
        f"{_HERE}/archives.py",
        "if stat.S_ISLNK(info.external_attr >> 16):",
        "if False:",
        _ARCHIVES,
    ),
    Mutant(
        "links of a folder are followed",
        f"{_HERE}/archives.py",
        "about = at.lstat()",
        "about = at.stat()",
        _ARCHIVES,
    ),
    Mutant("a bomb in a zip is unpacked", f"{_HERE}/archives.py", "if info.file_size > most:", "if False:", _ARCHIVES),
    Mutant(
        "a bomb in a tar is unpacked",
        f"{_HERE}/archives.py",
        "if kept.size + member.size > _most(packed):",
        "if False:",
        _ARCHIVES,
    ),
    Mutant(
        "an item without end fills the memory",
        f"{_HERE}/json_stream.py",
        "if cut and size > MOST_ITEM:",
        "if cut and size > 1 << 40:",
        _ARCHIVES,
    ),
    Mutant("tweets of a protected account come", f"{_HERE}/twitter.py", "elif protected:", "elif False:", _TWITTER),
    Mutant(
        "the first text of an edited tweet comes",
        f"{_HERE}/twitter.py",
        "versions.index(_id(one)) > versions.index(before)",
        "versions.index(_id(one)) < versions.index(before)",
        _TWITTER,
    ),
    Mutant(
        "a photo of a post comes again by its album",
        f"{_HERE}/facebook_albums.py",
        "        if this not in taken:\n",
        "        if True:\n",
        _FACEBOOK,
    ),
    Mutant(
        "photos of hidden posts come by their albums",
        f"{_HERE}/facebook.py",
        'key=lambda name: (_kind(name) == "albums", name)',
        "key=str",
        _FACEBOOK,
    ),
    Mutant("all pictures are copied at once", f"{_HERE}/ahead.py", "(len(self._begun) < AHEAD and", "(", _PICTURES),
    Mutant("what was said in a group comes", f"{_HERE}/facebook.py", 'if said.get("group"):', "if False:", _FACEBOOK),
    Mutant(
        "a post of Facebook with a title that is not understood comes",
        f"{_HERE}/facebook.py",
        'if place_of == "unknown" and not unknown_titles:',
        "if False:",
        _FACEBOOK,
    ),
    Mutant(
        "any words before an English title are a name",
        f"{_HERE}/facebook_texts.py",
        'if found and all(_of_a_name(word) for word in found["name"].split(" "))',
        "if found",
        _FACEBOOK,
    ),
    Mutant(
        "a quote behind a backslash ends a string that is passed over",
        f"{_HERE}/json_stream.py",
        r"""r'[^"\\]*+(?:\\.[^"\\]*+)*+'""",
        r"""r'[^"]*+'""",
        _ARCHIVES,
    ),
    Mutant(
        "comments that are not understood are lost",
        f"{_HERE}/youtube.py",
        "if not some and comments:",
        "if False:",
        _YOUTUBE,
    ),
    Mutant(
        "names of Facebook stay broken",
        f"{_HERE}/facebook.py",
        'return value.encode("latin-1").decode("utf-8")',
        "return value",
        _FACEBOOK,
    ),
    Mutant("private videos come", f"{_HERE}/youtube.py", '.lower() != "public":', '.lower() == "":', _YOUTUBE),
    Mutant(
        "a post that was edited here gets pictures",
        _METHODS,
        "view.post.media or edited_ms(q, view)",
        "view.post.media",
        _MEDIA,
    ),
    Mutant(
        "descriptions make a post larger than an entry",
        _NODE,
        "min(MAX_DESCRIPTION, room)) if room > SHORTEST",
        "MAX_DESCRIPTION) if room",
        _MEDIA,
    ),
    Mutant(
        "each part of a long text shows the pictures", _NODE, "shown = () if number else media", "shown = media", _MEDIA
    ),
    Mutant(
        "pictures of posts that are here are decoded again",
        f"{_HERE}/pictures.py",
        "if state not in PUT:",
        'if state == "deleted":',
        _PICTURES,
    ),
    Mutant(
        "a broken picture stops the import",
        f"{_HERE}/pictures.py",
        'if why.code != "bad_request":',
        "if why.code:",
        _PICTURES,
    ),
    Mutant(
        "a file of the same name in another folder is taken",
        f"{_HERE}/attached.py",
        'plain.endswith("/" + way) or',
        "True or",
        _PICTURES,
    ),
    Mutant(
        "copies of an import that runs are removed",
        f"{_HERE}/attached.py",
        "fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "pass",
        _PICTURES,
    ),
    Mutant(
        "what was ready is lost when the room ends",
        f"{_HERE}/moving.py",
        "            self._send_posts(ready, advance)\n            raise",
        "            raise",
        _PICTURES,
    ),
)
