"""The verb ``phase``: train, eval, predict and export of a model of click logs on one folder, with the sources' flags."""

from __future__ import annotations

import typer

from .console import log, table


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    # The flags stand in one table of the workbench, so the help is written from it and not by typer.
    taken = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command(context_settings=taken)(phase)


def phase(context: typer.Context) -> None:
    """Train, evaluate, predict or export on files train*, eval*, predict* of one folder.

    Flags are those of the sources' runner, such as --phase train --model_dir m --data_dir d --field_size 13 --feat_size 107.
    """
    from fivefold.workbench.phases import run_phase
    from fivefold.workbench.phases_flags import FLAGS, parse_flags

    if {"-h", "--help"} & set(context.args):
        rows = [[f"--{name}", _shown(flag.default), flag.doc] for name, flag in FLAGS.items()]
        table(["flag", "default", ""], rows, title="fivefold phase --phase train|eval|predict|export [FLAGS]")
        return
    found = run_phase(parse_flags(context.args), log)
    table(["", "value"], list(found.items()), numbers=(1,))


def _shown(default: object) -> str:
    return "" if default is None else repr(default) if default == " " else str(default)
