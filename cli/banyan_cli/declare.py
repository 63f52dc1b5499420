"""What a command is: a declaration of the one call that it makes, or a function.

`act` does something and says a sentence, `rows` lists, `value` shows one answer. Such a command has the parameters of
the method that it calls, each by the type that reads it from the command line (parameters.py). A command with work of
its own is a function of the session and of what was typed.

Only those are made into commands of Typer that a command line names: to make all takes several times as long as to run
one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias, TypeVar, get_args

import typer

from banyan_cli import command_session, refs
from banyan_cli.command_session import Session
from banyan_cli.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

ANYWHERE = "With --json it answers in JSON; --home DIR names the node. Both may stand anywhere on the line."
F = TypeVar("F", bound=Callable[..., None])
Show: TypeAlias = "Callable[[Console, Any], None]"
Sentence: TypeAlias = str | Callable[[dict[str, Any]], str]
"""Of an answer: a template of its fields and of `{typed[NAME]}`, or a function of it."""
Yes = Annotated[bool, typer.Option("--yes", help="It cannot be taken back; say that you mean it.")]
After = Annotated[str | None, typer.Option(help="Continue where a page ended.")]


class Ref(NamedTuple):
    """Beside the type of a parameter: how the method calls what a person typed. look_up: of the session, the text, and
    the account that acts or reads."""

    look_up: Callable[[Session, str, str | None], str]


class _Command(NamedTuple):
    """about: the text of its help. params: how Typer reads it."""

    about: str
    params: Callable[[], Iterable[inspect.Parameter]]
    do: Callable[..., None]

    def callback(self, of_group: bool = False) -> Callable[..., None]:
        """As Typer takes it. of_group: it does nothing where a command of the group is named."""

        def call(ctx: typer.Context, **typed: Any) -> None:
            if not (of_group and ctx.invoked_subcommand):
                self.do(command_session.of(ctx), **typed)

        params = [_parameter("ctx", typer.Context), *self.params()]
        call.__dict__["__signature__"] = inspect.Signature(params)
        call.__annotations__ = {param.name: param.annotation for param in params}
        return call


class Commands:
    """A group of commands: those of the program, or those behind one word."""

    def __init__(self, about: str = "") -> None:
        self._about = about
        self._commands = dict[str, _Command]()
        self._groups = dict[str, Commands]()
        self._alone: _Command | None = None

    def group(self, name: str, about: str) -> Commands:
        """Another group in this one."""
        made = self._groups[name] = Commands(about)
        return made

    def command(self, name: str = "") -> Callable[[F], F]:
        """Decorates a function, whose docstring is the help. Its first parameter is the session."""

        def add(do: F) -> F:
            self._commands[name or do.__name__] = _of_function(do)
            return do

        return add

    def alone(self, do: F) -> F:
        """Decorates what the group does if none of its commands is named."""
        self._alone = _of_function(do)
        return do

    def act(
        self,
        name: str,
        method: str,
        about: str,
        done: Sentence,
        *,
        undone: Sentence = "Taken back.",
        sure: str = "",
        **params: Any,
    ) -> None:
        """A call, and a sentence. undone: what is said with --undo. sure: why it has to be said with --yes. params: by
        name a type, a type and its default, or a value."""

        def do(s: Session, **typed: Any) -> None:
            if sure and not typed["yes"]:
                raise BadInput(sure)
            answer = s.call(method, **_given(s, params, typed))
            said = undone if typed.get("undo") else done
            s.out.done(answer, said.format(**answer, typed=typed) if isinstance(said, str) else said(answer))

        self._declare(name, about, {**params, "yes": Yes} if sure else params, do)

    def rows(
        self,
        name: str,
        method: str,
        about: str,
        show: Show,
        none: str,
        *,
        field: str,
        seen: str = "",
        limit: int = 0,
        most: int = 1_000,
        **params: Any,
    ) -> None:
        """A call that lists. field: of the answer. none: what is said if nothing is there. seen: what is noted as shown
        (refs.note). limit: how many a page has, at most `most`; 0: it answers all."""
        if limit:
            count = Annotated[int, typer.Option("--limit", "-n", min=1, max=most, help="How many.")]
            params |= {"limit": (count, limit), "after": After}

        def do(s: Session, **typed: Any) -> None:
            page = s.call(method, **_given(s, params, typed))
            _note(s, seen, page[field])
            s.out.answers(page[field], show, none)
            if limit and page["after"]:
                s.out.note(f"More: the same with --after {page['after']}")

        self._declare(name, about, params, do)

    def value(self, name: str, method: str, about: str, show: Show, *, seen: str = "", **params: Any) -> None:
        """A call that answers one thing. seen: what is noted as shown (refs.note)."""

        def do(s: Session, **typed: Any) -> None:
            answer = s.call(method, **_given(s, params, typed))
            _note(s, seen, [answer])
            s.out.answer(answer, show)

        self._declare(name, about, params, do)

    def _declare(self, name: str, about: str, params: Mapping[str, Any], do: Callable[..., None]) -> None:
        typed = {name: kind for name, kind in params.items() if not _fixed(kind)}
        last = {name: typed.pop(name) for name in ("by",) if name in typed}
        self._commands[name] = _Command(about, lambda: map(_declared, *zip(*(typed | last).items(), strict=True)), do)

    def way(self, words: Iterable[str]) -> Iterator[str]:
        """The words that name groups, and the command after them."""
        at = self
        for word in words:
            if word in at._groups or word in at._commands:
                yield word
            if word not in at._groups:
                return
            at = at._groups[word]

    def add_to(self, app: typer.Typer, way: Sequence[str]) -> typer.Typer:
        """The app, with the commands on the way; with all, where it ends."""
        for name, command in self._commands.items():
            if name in way[:1] or not way:
                app.command(name, help=command.about, epilog=ANYWHERE)(command.callback())
        for name, group in self._groups.items():
            if name in way[:1] or not way:
                app.add_typer(group.add_to(group._typer(), way[1:]), name=name)
        return app

    def _typer(self) -> typer.Typer:
        if self._alone is None:
            return typer.Typer(help=self._about, no_args_is_help=True)
        return typer.Typer(help=self._about, invoke_without_command=True, callback=self._alone.callback(of_group=True))


root = Commands()


def _of_function(do: Callable[..., None]) -> _Command:
    def params() -> Iterator[inspect.Parameter]:
        _, *typed = inspect.signature(do, eval_str=True).parameters.values()
        return (param.replace(kind=inspect.Parameter.KEYWORD_ONLY) for param in typed)

    return _Command(inspect.getdoc(do) or "", params, do)


def _parameter(name: str, kind: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _declared(name: str, kind: Any) -> inspect.Parameter:
    """A parameter whose default is that of its type, if none is given: no flag, nothing."""
    if isinstance(kind, tuple):
        return _parameter(name, *kind)
    plain: Any = get_args(kind)[0]
    default = False if plain is bool else None if NoneType in get_args(plain) else inspect.Parameter.empty
    return _parameter(name, kind, default)


def _fixed(kind: Any) -> bool:
    """Whether it is a value and no type."""
    return not hasattr(kind[0] if isinstance(kind, tuple) else kind, "__metadata__")


def _given(s: Session, params: Mapping[str, Any], typed: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as the method takes them."""
    given = dict[str, Any]()
    for name, kind in params.items():
        value = kind if _fixed(kind) else typed[name]
        look_up = next((each.look_up for each in getattr(kind, "__metadata__", ()) if isinstance(each, Ref)), None)
        if look_up is not None and value is not None:
            by = typed.get("by")
            value = [look_up(s, each, by) for each in value] if isinstance(value, list) else look_up(s, value, by)
        given[name] = value
    return given


def _note(s: Session, kind: str, rows: list[dict[str, Any]]) -> None:
    if kind:
        refs.note(s.home, **{kind: rows})
