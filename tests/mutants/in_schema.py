"""Mistakes in content: it is read differently than it was written, or differently by two readers."""

from tests.mutants.mutant import Mutant

_FIELDS, _LAYOUT, _READING = (f"schema/banyan_schema/{m}.py" for m in ("fields", "layout", "reading"))
_POST = "schema/banyan_schema/social/post.py"

_OF_POSTS = ("tests/schema/test_post.py",)
_OF_LAWS = ("tests/schema/test_post.py", "tests/schema/test_profile.py", "tests/schema/test_reaction.py")
_OF_READING = ("tests/schema/test_reading.py",)

IN_SCHEMA = (
    Mutant(
        "a post stands at a time after its entry if its author claims one",
        _POST,
        "    return claimed if claimed < entry_time else entry_time\n",
        "    return claimed\n",
        _OF_POSTS,
    ),
    Mutant(
        "the quickest reader of a post takes a time that is not in its shortest form",
        _POST,
        ' and part[at_high] != b"\\0\\0":',
        ":",
        _OF_POSTS,
    ),
    Mutant(
        "the quickest reader of a post takes what is not UTF-8",
        _POST,
        "                part[at_text].decode()\n",
        "                part[at_text]\n",
        _OF_POSTS,
    ),
    Mutant(
        "bytes behind the content are content, if it is read by position",
        _LAYOUT,
        "if at == len(raw) else None",
        "if at <= len(raw) else None",
        _OF_POSTS,
    ),
    Mutant(
        "content that lacks fields is read",
        _LAYOUT,
        "len(found) < self.least:",
        "not found:",
        _OF_LAWS,
    ),
    Mutant(
        "content with fields that are not known here is none",
        _LAYOUT,
        "len(found) < self.least:",
        "len(found) != self.least:",
        _OF_LAWS,
    ),
    Mutant(
        "a field that is not used changes the bytes of content",
        _LAYOUT,
        "            values.pop()\n",
        "            break\n",
        _OF_POSTS,
    ),
    Mutant(
        "an integer is read by position that has a shorter form",
        _FIELDS,
        "if value >= _LEAST[head - 24]:",
        "if value >= 0:",
        _OF_POSTS,
    ),
    Mutant(
        "a string is read by position whose length has a shorter form",
        _FIELDS,
        "if head == BYTES_1 and raw[at + 1] > 23:",
        "if head == BYTES_1:",
        _OF_POSTS,
    ),
    Mutant(
        "a string past its limit is read by position",
        _FIELDS,
        "        if end - start > most:\n            raise NotContent\n        return raw[start:end].decode(), end",
        "        return raw[start:end].decode(), end",
        _OF_POSTS,
    ),
    Mutant(
        "a string past its limit is read",
        _FIELDS,
        " or len(value) > most:\n            raise NotContent\n        return value.decode()",
        ":\n            raise NotContent\n        return value.decode()",
        _OF_POSTS,
    ),
    Mutant(
        "a list past its limit is read by position",
        "schema/banyan_schema/compound.py",
        "        if not least <= count <= most:\n            raise NotContent\n        found",
        "        found",
        _OF_POSTS,
    ),
    Mutant(
        "who knows the salt finds whom one mutes",
        "schema/banyan_schema/social/private.py",
        'hmac.digest(secret, b"banyan/1/private',
        'hmac.digest(b"s", b"banyan/1/private',
        ("tests/schema/test_private.py",),
    ),
    Mutant(
        "what is private can be moved to another account",
        "schema/banyan_schema/social/private.py",
        "open_sealed(secret, account + PRIVATE + key, sealed.box)",
        "next((r for a in (account, b'a' * 32) if (r := open_sealed(secret, a + PRIVATE + key, sealed.box))), None)",
        ("tests/schema/test_private.py",),
    ),
    Mutant(
        "what looks the same is written in two ways",
        _FIELDS,
        'unicodedata.normalize("NFC", value).encode()',
        "value.encode()",
        _OF_LAWS,
    ),
    Mutant(
        "an element shows its first live add",
        _READING,
        "in reversed(adds):",
        "in adds:",
        _OF_READING,
    ),
    Mutant(
        "a register whose last write has no content shows the write before",
        _READING,
        "            (_, entry, op), _ = writes[0]\n",
        "            (_, entry, op), _ = next((w for w in writes if content_of(Ref(*w[0][1:]))), writes[0])\n",
        _OF_READING,
    ),
    Mutant(
        "a text is shorter by the characters that are not held",
        _READING,
        " or UNREADABLE",
        "",
        _OF_READING,
    ),
)
