"""The verb ``phase``: train, eval, predict and export of a model of click logs on one folder, with the sources' flags."""

from __future__ import annotations

import typer

from .console import log, table


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(phase)


def phase(context: typer.Context) -> None:
    """Train, evaluate, predict or export on files train*, eval*, predict* of one folder.

    Flags are those of the sources' runner, such as --phase train --model_dir m --data_dir d --field_size 13 --feat_size 107.
    """
    from fivefold.workbench.phases import parse_flags, run_phase

    found = run_phase(parse_flags(context.args), log)
    table(["", "value"], list(found.items()), numbers=(1,))
