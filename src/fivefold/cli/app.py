"""The verbs put together, and what happens when one of them cannot do what was asked."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from fivefold.base.errors import FivefoldError

from . import methods, phases, runs, sets
from .console import log, say

app = typer.Typer(
    name="fivefold",
    help="Every machine-learning method as five parts, carried the whole way, with evidence.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
methods.register(app)
runs.register(app)
sets.register(app)
phases.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        from fivefold import __version__

        say(f"fivefold {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error (with any verb).")] = False,
) -> None:
    """Every machine-learning method as five parts, carried the whole way, with evidence."""


def execute(words: list[str], *, debug: bool = False) -> int:
    """Run one command line; errors of ours become one line on stderr and status 2."""
    try:
        # Not command.main(): it would swallow KeyboardInterrupt, whose message says how to go on.
        command = typer.main.get_command(app)
        with command.make_context("fivefold", words) as context:
            result = command.invoke(context)
    except FivefoldError as error:
        if debug:
            raise
        log(f"fivefold: {error}")
        return 2
    except (KeyboardInterrupt, typer.Abort) as error:
        if debug and isinstance(error, KeyboardInterrupt):
            raise
        log(f"fivefold: {error}" if str(error) else "fivefold: Interrupted.")
        return 130
    except BrokenPipeError:
        # The reader of a pipe (head, say) has gone; what was asked is done as far as anybody looks.
        sys.stderr.close()
        return 0
    except typer.Exit as error:
        return int(error.exit_code)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _usage(error)
    return result if isinstance(result, int) else 0


def _usage(error: Exception) -> int:
    """Print what typer refused, with the usage of the verb and a hint at near options."""
    if type(error).__name__ == "NoArgsIsHelpError":
        log(error.format_message())  # type: ignore[attr-defined]
        return 2
    context = getattr(error, "ctx", None)
    if context is not None:
        log(context.get_usage())
    log(f"fivefold: {error.format_message()}")  # type: ignore[attr-defined]
    return 2
