"""`%load_ext dotai_nb`, then `%%operate`: sugar over `dotai_nb.sync`."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser
from typing import TYPE_CHECKING, Any, NoReturn

from dotai_nb.errors import DotAiError

if TYPE_CHECKING:
    from dotai_nb.sync import Operation


class UsageError(DotAiError):
    """The magic's line has something that it does not take."""


class _Line(ArgumentParser):
    """An argument parser that raises where argparse would end the kernel."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"%%operate: {message}.", hint=self.format_usage().strip())


def _parser() -> _Line:
    parser = _Line(prog="%%operate", add_help=False)
    parser.add_argument("name", nargs="?", default="op", help="the variable for the operation")
    parser.add_argument("-n", "--namespace", default="")
    parser.add_argument("--context", default="")
    parser.add_argument("--model", default="")
    parser.add_argument("--recording", default="")
    return parser


def load_ipython_extension(ipython: Any) -> None:
    """Register `%%operate`; called by `%load_ext dotai_nb`."""

    def operate(line: str, cell: str) -> Operation:
        """Analyse the cell's text as an intent; the operation is stored as `op`.

        %%operate [name] [-n NAMESPACE] [--context CONTEXT] [--model MODEL] [--recording NAME]
        """
        from dotai_nb import sync

        given = _parser().parse_args(shlex.split(line))
        done = sync.operate(
            cell,
            namespace=given.namespace,
            context=given.context,
            model=given.model,
            recording=given.recording,
        )
        ipython.push({given.name: done})
        return done

    ipython.register_magic_function(operate, magic_kind="cell", magic_name="operate")
