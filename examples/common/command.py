# SPDX-License-Identifier: MIT
"""A command line made of a function: its parameters, and the fields of those that are data."""

from collections.abc import Callable, Sequence

import tyro

ONE_OF = tyro.conf.create_mutex_group(required=True)
"""Marks parameters of which exactly one must be given."""


def run(
    main: Callable[..., None], name: str, description: str | None, args: Sequence[str] | None = None
) -> None:
    """Calls `main` as `args`, or the command line, says.

    Args:
      main: documents its parameters; a field of one that is a named tuple or a data class is an
        option of its own.
      name: of the command.
      description: the docstring of its module.
      args: those of the command line, if not given.
    """
    how = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    tyro.cli(main, prog=name, description=description, args=args, config=how)
