"""Who plays in the demo, and what they say."""

from __future__ import annotations

from typing import NamedTuple


class CastMember(NamedTuple):
    """One node: its name, its role, and the people whom it hosts."""

    name: str
    role: str
    people: tuple[str, ...]


CAST = (
    CastMember("lotus", "platform", ("Nguyễn Minh Anh", "Trần Thị Lan", "Đỗ Quang Huy")),
    CastMember("mango", "platform", ("Adaeze Okafor", "Olúwaṣeun", "Zainab")),
    CastMember("cedar", "platform", ("Inês Conceição", "João", "花子")),
    CastMember("pi", "hobbyist", ()),
)
NAMES = tuple(part.name for part in CAST)
ISLAND = 2
"""The platform that is cut off for a while."""

FIRST_WORDS = {
    "Nguyễn Minh Anh": ("Thật tuyệt vời, hôm nay trời đẹp quá! ☀️", "vi"),
    "Trần Thị Lan": ("Ai có công thức phở bò ngon không?", "vi"),
    "Adaeze Okafor": ("Market day. The mangoes are finally in 🥭", "en"),
    "Olúwaṣeun": ("A graph that nobody owns. About time.", "en"),
    "Inês Conceição": ("Bom dia a todas e a todos ☕", "pt"),
    "花子": ("桜が咲きました 🌸", "ja"),
    "pi": ("Hello from a small computer on a bookshelf 👋", "en"),
}
ISLAND_WORDS = (
    ("João", "The cable is cut again; we write on."),
    ("Inês Conceição", "Estamos sozinhos, mas não calados 🏝️"),
    ("花子", "まだ、ここにいます。"),
)
MAINLAND_WORDS: tuple[tuple[str, str], ...] = (
    ("Đỗ Quang Huy", "cedar im lặng quá, chuyện gì vậy?"),
    ("Zainab", "Cedar went quiet. Leaving the light on 🕯️"),
    ("pi", "Three of us left, still writing."),
)
