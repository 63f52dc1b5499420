"""The archive that Twitter (X) makes: `data/*.js`, each an array behind `window.YTD.NAME.part0 =`.

Tweets come with whole links, and long ones with the text of note-tweet.js. Of an edited tweet the last text comes,
under the id of the first. Tweets of a protected account were for followers only, so they do not come. The archive
knows other people by number; the names of those who were mentioned are taken from the tweets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from banyan_cli.importing.archives import Archive, no_such_files
from banyan_cli.importing.html_text import unescaped
from banyan_cli.importing.model import (
    BROKEN,
    PRIVATE,
    REPOSTS,
    ArchiveContents,
    Attachment,
    Found,
    Item,
    Omission,
    ProfileLine,
    ProfilePicture,
    Tie,
    TieKind,
    dicts,
    iso_ms,
    line,
    ms,
    plain,
)
from banyan_cli.importing.streams import Broken, items, unread

SERVICE = "twitter"
LIKE = "❤️"
EDITED = "earlier texts of edited tweets"
FOLLOWERS = "Followers are not brought: they follow you here when they come themselves."
LOST = "long texts whose tweet is not in the archive"
_FILE = re.compile(
    r"(?:^|/)(tweets?|note-tweet|account|profile|follower|following|block|mute|like|protected-history)(?:-part\d+)?\.js$"
)
_PEOPLE: dict[str, tuple[TieKind, str]] = {
    "following": ("follow", "following"),
    "block": ("block", "blocking"),
    "mute": ("mute", "muting"),
}
_NO_LANGUAGE = {"und", "zxx", "art", "qam", "qct", "qht", "qme", "qst"}
_OLD_LANGUAGES = {"in": "id", "iw": "he", "ji": "yi"}


def wants(name: str) -> bool:
    return _FILE.search(name) is not None


@dataclass
class _Known:
    """What one reading of all tweets tells. first: the first version of each edited tweet, by version; last: the last
    one, of those that are here, by the first. names: of people, by number. notes: long texts by second, each with its
    links. media: the folder of pictures and films."""

    first: dict[str, str] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    notes: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    media: str = "tweets_media"


def reading(archive: Archive) -> ArchiveContents:
    """Raises BadInput if there are no such files."""
    if not archive.files:
        raise no_such_files(archive, "twitter", "data/tweets.js")
    account = next((one for _, one in _objects(archive, "account", "account") if isinstance(one, dict)), {})
    username = line(account.get("username")) or "i"
    protected = _is_protected(archive)
    known = _look(archive)

    def read() -> Iterator[Found]:
        yield ProfileLine("name", line(account.get("accountDisplayName")))
        for where, one in _objects(archive, "profile", "profile"):
            about = one.get("description") if isinstance(one, dict) else None
            if isinstance(about, dict):
                yield from (ProfileLine(name, plain(about.get(name))) for name in ("bio", "location", "website"))
            if isinstance(one, dict):
                yield from _pictures(archive, one, line(account.get("accountId")), where)
        used = set[str]()
        for where, tweet in _tweets(archive):
            if isinstance(tweet, Omission):
                yield tweet
            elif protected:
                yield Omission(PRIVATE, where, _id(tweet))
            else:
                yield _tweet(tweet, where, known, username, used)
        for several in known.notes.values():
            yield from (Omission(LOST, "note-tweet.js", i) for note in several if (i := _note_id(note)) not in used)
        for name, (kind, key) in _PEOPLE.items():
            for where, one in _objects(archive, name, key):
                yield _person(one, kind, where, known)
        for where, one in _objects(archive, "like", "like"):
            liked = line(one.get("tweetId")) if isinstance(one, dict) else ""
            if liked:
                yield Tie("react", (), known.first.get(liked, liked), emoji=LIKE, place=where)
            else:
                yield Omission(BROKEN, where)

    notes = ["This account is protected: its tweets were for followers only, and do not come."] if protected else []
    if any((kind := _FILE.search(file)) is not None and kind[1] == "follower" for file in archive.files):
        notes.append(FOLLOWERS)
    return ArchiveContents(SERVICE, read, tuple(notes))


def _pictures(archive: Archive, profile: dict[str, Any], number: str, where: str) -> Iterator[ProfilePicture]:
    """As the archive names them: the number of the account, and the last part of the address; a banner's address does
    not say its type."""
    folder = f"{where.rpartition('/')[0]}/profile_media".lstrip("/")
    for name, word in (("avatar", "avatarMediaUrl"), ("banner", "headerMediaUrl")):
        address = line(profile.get(word))
        last = re.sub(r"/\d+x\d+$", "", address).rpartition("/")[2]
        if not address.startswith("http") or not last or "default_profile" in last:
            continue
        path = f"{folder}/{number}-{last}"
        whole = next((n for n in sorted(archive.names) if n.startswith(f"{path}.")), path)
        yield ProfilePicture(name, Attachment(whole), where)


def _objects(archive: Archive, name: str, key: str) -> Iterator[tuple[str, dict[str, Any] | Broken | None]]:
    """(place, what is under the key) of each item of `name.js` and its parts."""
    for file in sorted(archive.files):
        found = _FILE.search(file)
        if found is None or found[1] != name:
            continue
        with archive.open(file) as stream:
            for number, one in enumerate(items(stream), 1):
                inside = one.get(key, one) if isinstance(one, dict) else None
                what = one if isinstance(one, Broken) else inside if isinstance(inside, dict) else None
                yield f"{file}, item {number}", what


def _tweets(archive: Archive) -> Iterator[tuple[str, dict[str, Any] | Omission]]:
    for name in ("tweets", "tweet"):
        for where, one in _objects(archive, name, "tweet"):
            if isinstance(one, dict) and _id(one) and isinstance(one.get("full_text", one.get("text")), str):
                yield where, one
            else:
                yield where, unread(one, where, "it is no tweet")


def _is_protected(archive: Archive) -> bool:
    """Whether the account was protected at the end."""
    every = [one for _, one in _objects(archive, "protected-history", "protectedHistory") if isinstance(one, dict)]
    found = [(line(one.get("protectedAt")), line(one.get("action"))) for one in every]
    return bool(found) and max(found)[1].lower() == "protect"


def _look(archive: Archive) -> _Known:
    known = _Known()
    if any("/tweet_media/" in f"/{name}" for name in archive.names):  # until 2022
        known.media = "tweet_media"
    for _, one in _tweets(archive):
        if isinstance(one, Omission):
            continue
        versions = _versions(one)
        if len(versions) > 1:
            known.first.update(dict.fromkeys(versions, versions[0]))
            before = known.last.get(versions[0])
            if before is None or versions.index(_id(one)) > versions.index(before):
                known.last[versions[0]] = _id(one)
        for who in dicts(_entities(one, "user_mentions")):
            known.names[line(who.get("id_str"))] = line(who.get("screen_name"))
    for _, note in _objects(archive, "note-tweet", "noteTweet"):
        at = iso_ms(note.get("createdAt")) if isinstance(note, dict) else None
        if isinstance(note, dict) and at is not None and isinstance(note.get("core"), dict):
            known.notes.setdefault(at // 1000, []).append(note)
    return known


def _id(tweet: dict[str, Any]) -> str:
    return line(str(tweet.get("id_str") or tweet.get("id") or ""))[:64]


def _versions(tweet: dict[str, Any]) -> list[str]:
    """The ids of the versions of an edited tweet, first to last, if it is one of them."""
    info = tweet.get("edit_info")
    for around in ("initial", "edit"):
        inside = info.get(around) if isinstance(info, dict) else None
        inside = inside.get("editControlInitial", inside) if isinstance(inside, dict) else None
        ids = inside.get("editTweetIds") if isinstance(inside, dict) else None
        if isinstance(ids, list) and _id(tweet) in ids:
            return [line(one) for one in ids]
    return []


def _entities(tweet: dict[str, Any], name: str) -> Any:
    """Media are whole in extended_entities only."""
    for key in ("extended_entities", "entities"):
        inside = tweet.get(key)
        if isinstance(inside, dict) and inside.get(name):
            return inside[name]
    return []


def _tweet(tweet: dict[str, Any], where: str, known: _Known, username: str, used: set[str]) -> Item | Omission:
    this = _id(tweet)
    first = known.first.get(this, this)
    if known.last.get(first, this) != this:
        return Omission(EDITED, where, this)
    raw = plain(tweet.get("full_text", tweet.get("text")))
    if raw.startswith("RT @"):
        return Omission(REPOSTS, where, line(raw)[:200])
    time_ms = _time(tweet.get("created_at"))
    text = _whole(tweet, raw)
    note = _note(known, raw, time_ms)
    if note is not None:
        used.add(_note_id(note))
        text = _links(plain(note["core"].get("text")), dicts(note["core"].get("urls")), "shortUrl", "expandedUrl")
    answers = tweet.get("in_reply_to_status_id_str") or tweet.get("in_reply_to_status_id") or ""
    parent = line(str(answers))[:64] or None
    answered = line(tweet.get("in_reply_to_screen_name")) or "i"
    folder = where.rpartition("/")[0]
    return Item(
        first,
        text,
        time_ms,
        where,
        None if parent is None else known.first.get(parent, parent),
        _language(tweet.get("lang")),
        tags=tuple(line(tag.get("text")) for tag in dicts(_entities(tweet, "hashtags"))) or None,
        media=tuple(_media(tweet, this, f"{folder}/{known.media}".lstrip("/"))),
        link=f"https://x.com/{username}/status/{this}",
        answers=None if parent is None else f"https://x.com/{answered}/status/{parent}",
    )


def _whole(tweet: dict[str, Any], raw: str) -> str:
    """The text with the links as they were typed, and without those of its own pictures."""
    text = _links(raw, dicts(_entities(tweet, "urls")), "url", "expanded_url")
    for medium in dicts(_entities(tweet, "media")):
        if short := line(medium.get("url")):
            text = text.replace(short, "")
    return unescaped(text).strip()


def _links(text: str, urls: list[dict[str, Any]], short: str, whole: str) -> str:
    for url in urls:
        before, after = line(url.get(short)), line(url.get(whole))
        if before and after.startswith("http"):
            text = text.replace(before, after)
    return text


def _media(tweet: dict[str, Any], this: str, folder: str) -> Iterator[Attachment]:
    """As the archive names them: the id of the tweet, and the last part of the address."""
    for medium in dicts(_entities(tweet, "media")):
        address = line(medium.get("media_url_https") or medium.get("media_url"))
        info = medium.get("video_info")
        films = dicts(info.get("variants")) if isinstance(info, dict) else []
        best = max(
            films, key=lambda one: int(one["bitrate"]) if str(one.get("bitrate", "")).isdigit() else -1, default={}
        )
        address = line(best.get("url")).partition("?")[0] or address
        if address:
            yield Attachment(f"{folder}/{this}-{address.rpartition('/')[2]}", "")


def _note(known: _Known, raw: str, time_ms: int | None) -> dict[str, Any] | None:
    """The long text of a tweet: made in the same second, and begun in the same way."""
    if time_ms is None or not known.notes:
        return None
    begin = _bare(raw)[:40]
    near = [note for second in (0, -1, 1) for note in known.notes.get(time_ms // 1000 + second, ())]
    return next((note for note in near if begin and _bare(plain(note["core"].get("text"))).startswith(begin)), None)


def _note_id(note: dict[str, Any]) -> str:
    return line(note.get("noteTweetId"))


def _bare(text: str) -> str:
    """Without links, dots at the end, and differences of spaces."""
    return " ".join(re.sub(r"https?://\S+", "", unescaped(text)).split()).rstrip("…. ")


def _language(found: Any) -> str | None:
    lang = line(found)
    return None if not lang or lang in _NO_LANGUAGE else _OLD_LANGUAGES.get(lang, lang)


def _time(found: Any) -> int | None:
    """`Wed Nov 02 10:55:03 +0000 2022`, whatever the language of this machine; old archives have ISO 8601."""
    words = line(found).split()
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    if len(words) != 6 or words[1] not in months:
        return iso_ms(found)
    iso = f"{words[5]}-{months.index(words[1]) + 1:02d}-{words[2].zfill(2)}T{words[3]}{words[4]}"
    try:
        return ms(datetime.strptime(iso, "%Y-%m-%dT%H:%M:%S%z"))
    except ValueError:
        return None


def _person(one: dict[str, Any] | Broken | None, kind: TieKind, where: str, known: _Known) -> Tie | Omission:
    number = line(one.get("accountId")) if isinstance(one, dict) else ""
    if not number:
        return unread(one, where, "it has no accountId")
    name = known.names.get(number)
    return Tie(kind, (f"@{name}", number) if name else (number,), place=where)
