"""Texts of Facebook: what the title of a post says about where it was posted, and mentions as names.

A title is a sentence in the language that the account had: "An updated her status.", "An wrote on Bình's timeline.".
Nothing else in the archive tells a post on the own timeline from one in a group or on another person's timeline. So a
post is the own timeline's only if its whole title is one of the known sentences, and what is not understood is not
guessed. Sentences that end in words of their own ("is with Bo in Hanoi") are believed only after what looks like a
name, because a group may be called so: "An a publié dans Life is in Hanoi."
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Literal, TypeAlias

from banyan_cli.importing.model import plain

Where: TypeAlias = Literal["own", "timeline", "group", "elsewhere", "saved", "unknown"]
"""elsewhere: in a group or on another's timeline, the title does not say which. saved: kept for oneself."""

_ON_A_TIMELINE = re.compile(r"['’]s? (?:timeline|wall)\b|dòng thời gian của|tường (?:nhà )?của", re.IGNORECASE)
_IN_A_GROUP = re.compile(
    r"\bposted in\b|\b(?:shared|added|posted)\b.*\bto the group\b|\bin the group\b"
    r"|\b(?:trong|vào) (?:nhóm|hội)\b|\b(?:lên|ở|tại) nhóm\b",
    re.IGNORECASE,
)
_ARROW = re.compile("[▶►▸‣→➔➜➤⮞>]")

_SHARED = "(?:link|post|photo|picture|video|live video|reel|album|memory|event|page|note|song|story|article|file|GIF)s?"
_CLOSED = (
    # English
    r"updated (?:his|her|their|its) (?:status|bio|intro|profile(?: (?:picture|photo|video))?|cover (?:photo|video))",
    r"(?:changed|added) (?:(?:his|her|their|its)|a new) (?:profile (?:picture|photo|video)|cover (?:photo|video))",
    r"(?:added|posted|uploaded|shared) (?:an?|the|\d+|several|some)?(?: new)? ?(?:photos?|videos?|photos? and videos?)"
    r"(?: to (?:the|his|her|their) album:?(?:(?! in ).)+| to (?:his|her|their) (?:own )?timeline)?",
    rf"shared (?:an?|\d+|(?:his|her|their)(?: own)?) {_SHARED}",
    r"(?:added|wrote|published|created|posted) (?:a|an|\d+)(?: new)? (?:note|life event|event|story|update|reel)s?",
    r"(?:was|is|went) live(?: on Facebook)?",
    r"checked in",
    # Vietnamese
    r"(?:vừa |đã |vừa mới )?(?:cập nhật|thay đổi|thay|đổi) "
    r"(?:trạng thái|tiểu sử|ảnh đại diện|ảnh bìa|ảnh hồ sơ|video đại diện)"
    r"(?: (?:của )?(?:mình|anh ấy|cô ấy|họ))?",
    r"(?:vừa |đã )?(?:thêm|đăng|tải lên) (?:(?:một|\d+|vài|nhiều|những) )?(?:ảnh|video|bức ảnh|tấm ảnh)(?: mới)?"
    r"(?: và (?:(?:một|\d+) )?(?:ảnh|video)(?: mới)?)?(?: vào album:?(?:(?! (?:trong|vào|lên|ở|tại) ).)+)?",
    r"(?:vừa |đã )?chia sẻ (?:(?:một|\d+|vài|nhiều) )?"
    r"(?:liên kết|bài viết|kỷ niệm|kỉ niệm|ảnh|video|album|sự kiện|trang|ghi chú|thước phim|bài hát)",
    r"(?:vừa |đã )?(?:thêm|viết|đăng|tạo) (?:một |\d+ )?(?:ghi chú|sự kiện trong đời|sự kiện)",
    r"(?:đã|đang) phát trực tiếp",
    # German
    r"hat (?:seinen|ihren) Status aktualisiert",
    r"hat (?:ein|\d+)(?: neues?)? (?:Fotos?|Videos?) (?:hinzugefügt|geteilt)",
    r"hat (?:einen (?:Link|Beitrag)|eine (?:Erinnerung|Veranstaltung)|ein (?:Foto|Video|Album)) geteilt",
    r"hat (?:sein|ihr) (?:Profilbild|Titelbild) (?:aktualisiert|geändert)",
    r"war live",
    # French
    r"a (?:mis à jour|modifié) son statut",
    r"a (?:mis à jour|modifié|changé) sa photo de (?:profil|couverture)",
    r"a partagé (?:un (?:lien|souvenir|album|évènement|événement)|une (?:publication|photo|vidéo))",
    r"a ajouté (?:une|\d+)(?: nouvelles?)? (?:photos?|vidéos?)",
    r"était en direct",
    # Spanish
    r"(?:ha )?(?:actualizó|actualizado) su (?:estado|foto de perfil|foto de portada)",
    r"(?:ha )?(?:compartió|compartido) (?:un (?:enlace|recuerdo|video|vídeo|álbum)|una (?:publicación|foto))",
    r"(?:agregó|añadió|ha añadido|ha agregado) (?:una?|\d+) (?:fotos?|videos?|vídeos?)(?: nuev[oa]s?)?",
    # Portuguese
    r"atualizou (?:(?:o )?seu (?:status|estado)|(?:a )?sua foto (?:de|do) (?:perfil|capa))",
    r"(?:compartilhou|partilhou) (?:um (?:link|vídeo|álbum)|uma (?:publicação|ligação|foto|lembrança|memória))",
    r"adicionou (?:uma?|\d+)(?: nov[oa]s?)? (?:fotos?|vídeos?)",
    # Italian
    r"ha aggiornato il suo stato",
    r"ha (?:aggiornato|cambiato) (?:la sua )?immagine (?:del profilo|di copertina)",
    r"ha condiviso (?:un (?:link|post|video|ricordo|album)|una foto)",
    r"ha aggiunto (?:una?|\d+)(?: nuov[aoei])? (?:foto|video)",
)
"""All that stands after the name."""
_OPEN = (
    r"(?:is|was) (?:feeling|with|at|in|near|listening to|watching|reading|eating|drinking|playing|celebrating|"
    r"travell?ing|looking for|attending|thinking about|supporting|visiting|engaged|married) .+",
    r"checked in (?:at|to|with) .+",
    r"(?:added|posted|uploaded) (?:an?|\d+)(?: new)? (?:photos?|videos?)(?: —)? (?:with|at) .+",
    rf"shared (?:(?! (?:in|to|on) ).)+['’]s? {_SHARED}",
    r"posted something via \w+",
    r"(?:started (?:working|studying|school|a new job)|graduated from|got (?:married|engaged)|moved to) ?.*",
    r"(?:đã|đang) (?:ở|cùng với|cảm thấy|xem|nghe|đọc|ăn|uống|chơi|ăn mừng|kỷ niệm|đi|du lịch|check[- ]?in) .+",
    r"(?:cảm thấy|cùng với|đã check[- ]?in) .+",
    r"(?:vừa |đã )?chia sẻ (?:(?:một|\d+) )?(?:liên kết|bài viết|kỷ niệm|ảnh|video|album|sự kiện|thước phim|trang) của "
    r"(?:(?! (?:trong|vào|lên|ở|tại|tới|đến) ).)+",
)
"""What stands after the name, with words of people in it."""
_PARTICLES = re.compile("d[aeio]|das|del|della|der|dos|du|el?|l[ae]|van|von|y|zu|bin|binti|al")
"""Words of names that begin small."""
_OWN_CLOSED = re.compile(rf"\S+(?: \S+){{0,7}}? (?:{'|'.join(_CLOSED)})[.!]?", re.IGNORECASE)
_OWN_OPEN = re.compile(rf"(?P<name>\S+(?: \S+){{0,7}}?) (?:{'|'.join(_OPEN)})[.!]?")
_SAVED = re.compile(
    r"\S (?:saved|(?:vừa |đã |vừa mới )?lưu|hat .+ gespeichert|a enregistré|(?:ha )?(?:guardó|guardado|salvato)"
    r"|salvou|guardou)\b",
    re.IGNORECASE,
)
_OTHER_END = re.compile(r"(?:。|다\.?|た|た\.)$")
"""Of a sentence in Chinese, Japanese or Korean, whose verb is last."""
_MENTION = re.compile(r"@\[\d+:\d*:([^\[\]]+)\]")
"""Of a person or a page: a number, a kind, the name."""


def words_of(text: Any) -> str:
    """A text of a person, plain, with the names alone of those whom it mentions."""
    return _MENTION.sub(r"\1", plain(text))


def where_of(title: str) -> Where:
    """Where a post with this title was posted. A post without a title is on the own timeline."""
    title = " ".join(unicodedata.normalize("NFC", title).split())
    if not title:
        return "own"
    if _ON_A_TIMELINE.search(title):
        return "timeline"
    if _IN_A_GROUP.search(title):
        return "group"
    if _ARROW.search(title):
        return "elsewhere"
    if _OTHER_END.search(title):
        return "unknown"
    if _OWN_CLOSED.fullmatch(title):
        return "own"
    found = _OWN_OPEN.fullmatch(title)
    if found and all(_of_a_name(word) for word in found["name"].split(" ")):
        return "own"
    return "saved" if _SAVED.search(title) else "unknown"


def _of_a_name(word: str) -> bool:
    return not word[0].islower() or _PARTICLES.fullmatch(word) is not None
