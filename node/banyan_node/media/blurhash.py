"""BlurHash: a blurred picture in some 30 letters, shown while the picture itself is not there.

The format is that of https://github.com/woltapp/blurhash: a few coefficients of a discrete cosine transform, in base
83.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import copysign, cos, pi

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
_BASE = len(_LETTERS)
Rgb = tuple[float, float, float]


def blurhash(pixels: Sequence[tuple[int, int, int]], width: int, height: int, across: int = 4, down: int = 3) -> str:
    """pixels: sRGB, 0 to 255, row by row. across, down: how many components, 1 to 9. Costs width * height * across
    steps, so give it a picture of some 32 pixels."""
    linear = [(_LINEAR[r], _LINEAR[g], _LINEAR[b]) for r, g, b in pixels]
    columns = [[cos(pi * i * x / width) for x in range(width)] for i in range(across)]
    rows = [[cos(pi * j * y / height) for y in range(height)] for j in range(down)]
    lines = [[_sum(linear[y * width : (y + 1) * width], column) for y in range(height)] for column in columns]
    found = [
        _component(lines[i], rows[j], (1 if i == j == 0 else 2) / (width * height))
        for j in range(down)
        for i in range(across)
    ]
    most = max((abs(value) for one in found[1:] for value in one), default=0.0)
    steps = max(0, min(82, int(most * 166 - 0.5)))
    scale = (steps + 1) / 166 if len(found) > 1 else 1.0
    return (
        _text((across - 1) + (down - 1) * 9, 1)
        + _text(steps if len(found) > 1 else 0, 1)
        + _text(_average(found[0]), 4)
        + "".join(_text(_detail(one, scale), 2) for one in found[1:])
    )


def _component(lines: Sequence[Rgb], row: Sequence[float], scale: float) -> Rgb:
    """lines: the sum of each row of the picture, under the wave across it."""
    red, green, blue = _sum(lines, row)
    return red * scale, green * scale, blue * scale


def _sum(some: Sequence[Rgb], weights: Sequence[float]) -> Rgb:
    red = green = blue = 0.0
    for weight, (r, g, b) in zip(weights, some, strict=True):
        red, green, blue = red + weight * r, green + weight * g, blue + weight * b
    return red, green, blue


def _average(colour: Rgb) -> int:
    red, green, blue = map(_srgb, colour)
    return red << 16 | green << 8 | blue


def _detail(colour: Rgb, scale: float) -> int:
    red, green, blue = (max(0, min(18, int(copysign(abs(v / scale) ** 0.5, v) * 9 + 9.5))) for v in colour)
    return red * 19 * 19 + green * 19 + blue


def _text(value: int, digits: int) -> str:
    return "".join(_LETTERS[value // _BASE**k % _BASE] for k in reversed(range(digits)))


def _srgb(value: float) -> int:
    v = max(0.0, min(1.0, value))
    return int((v * 12.92 if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055) * 255 + 0.5)


_LINEAR = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (n / 255 for n in range(256))]
