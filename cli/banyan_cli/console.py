"""The console of rich, whose every line is harmless: see banyan_node.terminal_escape. Rich's own styles are added after
it."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.segment import Segment

from banyan_node.terminal_escape import plain


def harmless_console(stderr: bool) -> Console:
    """Standard output, or standard error. Square brackets and colons of a text mean nothing."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    console.push_render_hook(_Harmless())
    return console


class _Harmless(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Cleaned(each) for each in renderables]


class _Cleaned:
    """What is rendered of `inside`, without the characters that would do something to a terminal."""

    def __init__(self, inside: RenderableType) -> None:
        self._inside = inside

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text, style, control in console.render(self._inside, options):
            yield Segment(text if control else plain(text, lines=True), style, control)
