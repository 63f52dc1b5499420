"""The command `banyan`: one entry point, in which every error becomes a sentence and an exit code.

--home, --json and --debug may stand anywhere on the line; `hoist` moves them to its front, where Typer expects them.
The invariant: no traceback without --debug, and with --json exactly one error object on standard output.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from signal import SIGABRT
from typing import Annotated, Any

import typer

from banyan_cli import commands, errors
from banyan_cli.command_session import Session
from banyan_cli.declare import root
from banyan_cli.errors import BadInput
from banyan_cli.out import Out, write_json
from banyan_cli.plain_params import HELP, use_plain_params
from banyan_node.home.folder import find_home

_FLAGS = ("--json", "--debug")
_FEW = 12
"""Words of a command line that cannot be the 24."""
commands.load()
_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in errors.EXIT_CODES.items())


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"banyan {version('banyan-social')}")
        raise typer.Exit


def _root(
    ctx: typer.Context,
    home: Annotated[
        str | None,
        typer.Option(
            metavar="<path>", help="The node's folder; else BANYAN_HOME, else your data folder. May stand anywhere."
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="JSON on standard output, one value a line. May stand anywhere.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error. May stand anywhere.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    if ctx.obj is None:
        ctx.obj = Session(find_home(home), Out(json))
        ctx.call_on_close(ctx.obj.close)


def command_of(words: Iterable[str]) -> Any:
    """The program as a command of Typer, with those commands that the words name; where a word names none, with all of
    that place."""
    return _made(tuple(root.way(words)))


@cache
def _made(way: tuple[str, ...]) -> Any:
    app = typer.Typer(
        name="banyan",
        help="One social graph for many independent platforms, owned by nobody.",
        epilog=_EPILOG,
        callback=_root,
        no_args_is_help=True,
        rich_markup_mode=None,  # rich and its Markdown take longer to load than the rest of --help
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": HELP},
    )
    return use_plain_params(typer.main.get_command(root.add_to(app, way)))


def run() -> None:
    """The console script."""
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(_aborted)
    ctypes.CDLL(None).signal(SIGABRT, handler)
    sys.exit(main(sys.argv[1:]))


def _aborted(number: int) -> None:
    """LMDB aborts where a page is not what it must be. No handler of Python's `signal` would run before the end."""
    from banyan_storage.errors import CorruptStore

    why = (
        "the program was aborted, as LMDB does at a damaged page of the store; run `banyan down`, `banyan store repair`"
    )
    code = _report(CorruptStore(why), "--json" in sys.argv, False, sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)


def main(argv: Sequence[str]) -> int:
    """Run one command line; the exit code."""
    front, rest = hoist(argv)
    arguments, json, debug = front + rest, "--json" in front, "--debug" in front
    try:
        for argument in arguments:
            if argument.encode(errors="replace").decode() != argument:
                raise BadInput(f"The argument {argument!r} is not UTF-8; give it in the encoding of your terminal.")
        result: Any = command_of(rest)(args=arguments, prog_name="banyan", standalone_mode=False)
        return result if isinstance(result, int) else errors.OK
    except typer.TyperException as error:
        return _usage(error, json, arguments)
    except (typer.Abort, KeyboardInterrupt):
        return errors.INTERRUPTED
    except SystemExit as ended:  # Typer's answer to a broken pipe, and the end of shell completion
        if isinstance(ended.__context__, BrokenPipeError):
            _say_no_more()
            return errors.OK
        raise
    except BrokenPipeError:
        _say_no_more()
        return errors.OK
    except Exception as error:
        return _report(error, json, debug, arguments)


def _say_no_more() -> None:
    """The reader of standard output has gone: nothing more is written to it, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def hoist(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options that every command takes, for the front of the line, and the other words. Nothing after `--` moves."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _FLAGS or word.startswith("--home="):
            front.append(word)
        elif word == "--home":
            front += [word, *([value] if (value := next(words, None)) is not None else [])]
        else:
            rest.append(word)
    return front, rest


def _usage(error: typer.TyperException, json: bool, typed: Sequence[str]) -> int:
    message = _words_noted(typed) or error.format_message()
    if json:
        write_json({"error": {"code": "usage", "message": message, "exit": errors.USAGE}})
    ctx = getattr(error, "ctx", None)
    where = f" `{ctx.command_path} --help` says what is." if ctx is not None else ""
    if message:  # else a group without a command: its help was shown
        print(f"banyan: {errors.sentence(Exception(message))}{where}", file=sys.stderr)
    return errors.USAGE


def _words_noted(typed: Sequence[str]) -> str | None:
    """What to say, in the place of an error that would repeat them, if the command line has the 24 words in it."""
    if sum(len(argument.split()) for argument in typed) <= _FEW:
        return None
    from banyan_node.home.mnemonic import has_words

    if not has_words(" ".join(typed)):
        return None
    return (
        "The 24 words are never arguments: your shell has noted them, so delete this line from its history. Leave them "
        "out and the command asks for them without showing them, or name a file with --words-file"
    )


def _report(error: Exception, json: bool, debug: bool, typed: Sequence[str]) -> int:
    if debug:
        import traceback

        traceback.print_exc(file=sys.stderr)
    code = errors.exit_code(error)
    if code == errors.USAGE and (noted := _words_noted(typed)):
        error = BadInput(noted)
    if code is None and isinstance(error, OSError):
        code = errors.STORAGE
        what = f"{error.filename} cannot be used" if error.filename else "The disk or the network failed"
        hint = "; free some room, then run the command again" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        error = BadInput(f"{what}: {error.strerror or error}{hint}")
    if code is None:
        code = errors.BUG
        error = RuntimeError(f"a mistake in banyan, {type(error).__name__}: {error}; run it again with --debug")
    said = errors.sentence(error, typed, root.calling)
    if json:
        write_json(errors.as_json(error, code, said))
    print(f"banyan: {said}", file=sys.stderr)
    return code


if __name__ == "__main__":
    run()
