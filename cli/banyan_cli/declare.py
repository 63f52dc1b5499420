"""What a command is: a declaration of the one call that it makes, or a function.

`act` does something and says a sentence, `rows` lists, `value` shows one answer. Each decorates a function that only
declares: its docstring is the help, its parameters are those of the method that is called, each with the type that
reads it from the command line (parameters.py). A command with work of its own is a function of the session and of what
was typed.

Only those are made into commands of Typer that a command line names: to make all takes several times as long as to run
one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias, TypeVar

import typer

from banyan_cli import command_session, refs
from banyan_cli.command_session import Session
from banyan_cli.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

ANYWHERE = "With --json it answers in JSON; --home DIR names the node. Both may stand anywhere on the line."
F = TypeVar("F", bound=Callable[..., Any])
Fields: TypeAlias = dict[str, Any]
Params: TypeAlias = Callable[[], list[inspect.Parameter]]
Show: TypeAlias = "Callable[[Console, Any], None]"
Sentence: TypeAlias = str | Callable[[Fields], str]
"""A template, or a function, of the answer's fields and of `typed` (what was typed, by parameter), `given` (what the
method got) and `short` (the digits that are shown of the answer's address)."""
Seen: TypeAlias = str | Callable[[Any], dict[str, list[Any]]]
"""What is noted as shown (refs.note): the kind of the rows or of the value, or a function of the answer."""
Wrong: TypeAlias = Callable[[Fields], str]
"""Why what was typed cannot be; empty if it can."""
Yes = Annotated[bool, typer.Option("--yes", help="It cannot be taken back; say that you mean it.")]
Cursor = Annotated[str | None, typer.Option(help="Continue where a page ended.")]


class Parser(NamedTuple):
    """Beside the type of a parameter: how the method takes what was typed. Raises BadInput."""

    value: Callable[[Any], Any]


class Resolver(NamedTuple):
    """The same, where a node or its store has to be asked: of the session, what was typed, and the account that acts or
    reads. It is done after each `Parser`."""

    look_up: Callable[[Session, Any, str | None], Any]


class Command(NamedTuple):
    """about: the text of its help. do: of the session and of what was typed. method, fixed: what it calls, and with
    which parameters that are not typed; empty if it is a function."""

    about: str
    params: Params
    do: Callable[..., None]
    method: str = ""
    fixed: Fields = {}  # noqa: RUF012

    def callback(self, of_group: bool = False) -> Callable[..., None]:
        """As Typer takes it. of_group: it does nothing where a command of the group is named."""

        def call(ctx: typer.Context, **typed: Any) -> None:
            if not (of_group and ctx.invoked_subcommand):
                self.do(command_session.of(ctx), **typed)

        params = [_parameter("ctx", typer.Context), *self.params()]
        call.__dict__["__signature__"] = inspect.Signature(params)
        call.__annotations__ = {param.name: param.annotation for param in params}
        return call

    def bare(self) -> Command:
        """The same without parameters."""
        return Command(self.about, list, lambda s: self.do(s, **{p.name: p.default for p in self.params()}))


class Commands:
    """A group of commands: those of the program, or those behind one word. alone: which of them runs if none is
    named."""

    def __init__(self, name: str = "", about: str = "", alone: str = "") -> None:
        self._name, self._about, self._same = name, about, alone
        self._commands = dict[str, Command]()
        self._groups = dict[str, Commands]()
        self._alone: Command | None = None

    def group(self, name: str, about: str, alone: str = "") -> Commands:
        """Another group in this one."""
        made = self._groups[name] = Commands(name, about, alone)
        return made

    def command(self, name: str = "") -> Callable[[F], F]:
        """Decorates a function of the session. name: else the function's, without the group's (`list_add` is `add`)."""

        return lambda do: self.add(name, do, params_of(do, 1), do)

    def alone(self, do: F) -> F:
        """Decorates a function of the session, which runs if no command of the group is named."""
        self._alone = Command("", params_of(do, 1), do)
        return do

    def act(
        self,
        method: str,
        done: str = "",
        *,
        undone: Sentence = "Taken back.",
        name: str = "",
        sure: str = "",
        wrong: Wrong | None = None,
        seen: Seen = "",
        **fixed: Any,
    ) -> Callable[[F], F]:
        """Declares a call that ends in a sentence: `done`, or what the function makes of the answer and what was typed.
        undone: what is said with --undo. sure: why it has to be said with --yes. fixed: parameters."""

        def add(declared: F) -> F:
            params = params_of(declared, 0 if done else 1)

            def do(s: Session, yes: bool = True, **typed: Any) -> None:
                _refuse(wrong, typed)
                if sure and not yes:
                    raise BadInput(sure)
                answer, given = _called(s, method, params, typed, fixed)
                _note(s, seen, answer, [answer])
                if typed.get("undo"):
                    said: Sentence = undone
                else:
                    said = done or partial(declared, answer, **typed)
                s.out.done(answer, _said(said, answer, typed, given))

            ask = _parameter("yes", Yes, False)
            asking = (lambda: _before_by(params(), [ask])) if sure else params
            return self.add(name, declared, asking, do, method, fixed)

        return add

    def rows(
        self,
        method: str,
        show: Show,
        none: Sentence,
        *,
        field: str,
        name: str = "",
        wrong: Wrong | None = None,
        seen: Seen = "",
        page: int = 0,
        most: int | None = 1_000,
        cursor: str = "after",
        more: Sentence = "the same with",
        **fixed: Any,
    ) -> Callable[[F], F]:
        """Declares a call that lists. field: of the answer. none: what is said if nothing is there. page: how many are
        asked for where --limit does not say it, at most `most`; 0: it answers all. cursor: what names the next page.
        more: the command for that, without its cursor."""
        limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=most, help="How many.")]
        paging = [_parameter("limit", limit, page), _parameter(cursor, Cursor, None)] if page else []

        def add(declared: F) -> F:
            params = cache(lambda: _before_by(params_of(declared)(), paging))

            def do(s: Session, **typed: Any) -> None:
                _refuse(wrong, typed)
                answer, given = _called(s, method, params, typed, fixed)
                found = answer[field]
                _note(s, seen, answer, found)
                s.out.answers(found, show, "" if found else _said(none, answer, typed, given))
                if page and answer[cursor]:
                    again = f"{_said(more, answer, typed, given)} --{cursor} {answer[cursor]}"
                    s.out.note(f"More: `{again}`" if again.startswith("banyan ") else f"More: {again}")

            return self.add(name, declared, params, do, method, fixed)

        return add

    def value(self, method: str, show: Show, *, name: str = "", seen: Seen = "", **fixed: Any) -> Callable[[F], F]:
        """Declares a call that answers one thing."""

        def add(declared: F) -> F:
            params = params_of(declared)

            def do(s: Session, **typed: Any) -> None:
                answer, _ = _called(s, method, params, typed, fixed)
                _note(s, seen, answer, [answer])
                s.out.answer(answer, show)

            return self.add(name, declared, params, do, method, fixed)

        return add

    def add(self, name: str, declared: F, params: Params, do: Callable[..., None], *calls: Any) -> F:
        """A command with the name and the help of `declared`, if `name` is empty."""
        own = declared.__name__.removeprefix(f"{self._name}_").replace("_", "-")
        self._commands[name or own] = Command(inspect.getdoc(declared) or "", params, do, *calls)
        return declared

    def every(self) -> Iterator[tuple[str, Command]]:
        """All commands, by their words."""
        yield from self._commands.items()
        for name, group in self._groups.items():
            yield from ((f"{name} {below}", command) for below, command in group.every())

    def calling(self, method: str) -> str | None:
        """The words of the command that calls a method."""
        return next((words for words, command in self.every() if command.method == method), None)

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
        alone = self._commands[self._same].bare() if self._same else self._alone
        if alone is None:
            return typer.Typer(help=self._about, no_args_is_help=True)
        return typer.Typer(help=self._about, invoke_without_command=True, callback=alone.callback(of_group=True))


root = Commands()


def shown(name: str) -> Show:
    """A function of a module of `show`, such as `feed.why`. It is loaded when it is called: rich takes long to load."""
    module, _, function = name.partition(".")
    return lambda console, value: getattr(import_module(f"banyan_cli.show.{module}"), function)(console, value)


def unchanged(sentence: str, *names: str) -> Wrong:
    """The sentence, if nothing was typed of what can be changed."""
    return lambda typed: sentence if all(typed[name] is None for name in names) else ""


def params_of(declared: Callable[..., Any], without: int = 0) -> Params:
    """Those of a function but its first ones, once they are asked for."""

    @cache
    def params() -> list[inspect.Parameter]:
        every = list(inspect.signature(declared, eval_str=True).parameters.values())
        return [param.replace(kind=inspect.Parameter.KEYWORD_ONLY) for param in every[without:]]

    return params


def _parameter(name: str, kind: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _before_by(params: list[inspect.Parameter], more: list[inspect.Parameter]) -> list[inspect.Parameter]:
    """Who acts or reads is the last option."""
    return sorted([*params, *more], key=lambda param: param.name == "by")


def _refuse(wrong: Wrong | None, typed: Fields) -> None:
    if wrong and (why := wrong(typed)):
        raise BadInput(why)


def _called(s: Session, method: str, params: Params, typed: Fields, fixed: Fields) -> tuple[Any, Fields]:
    """The answer, and the parameters as the method took them."""
    given = {**fixed, **typed}
    beside = [(param.name, each) for param in params() for each in getattr(param.annotation, "__metadata__", ())]
    for name, each in sorted(beside, key=lambda one: isinstance(one[1], Resolver)):
        if (value := given[name]) is not None and isinstance(each, Parser | Resolver):
            some = [_taken(s, each, one, typed.get("by")) for one in (value if isinstance(value, list) else [value])]
            given[name] = some if isinstance(value, list) else some[0]
    return s.call(method, **given), given


def _taken(s: Session, how: Parser | Resolver, value: Any, by: str | None) -> Any:
    return how.value(value) if isinstance(how, Parser) else how.look_up(s, value, by)


def _said(sentence: Sentence, answer: Fields, typed: Fields, given: Fields) -> str:
    if not isinstance(sentence, str):
        return sentence() if isinstance(sentence, partial) else sentence({**answer, "typed": typed})
    short = refs.short(answer.get("uri") or "")
    return sentence.format_map({**answer, "typed": typed, "given": given, "short": short})


def _note(s: Session, seen: Seen, answer: Any, rows: list[Any]) -> None:
    if seen:
        refs.note(s.home, **({seen: rows} if isinstance(seen, str) else seen(answer)))
