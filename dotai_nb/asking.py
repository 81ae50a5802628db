"""Asks the person in the cell, or at the terminal; where nobody can answer, that is a refusal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dotai_nb.errors import ApprovalRequired, NotExecutable
from dotai_nb.session.approval import SHORTEST_DIGEST

if TYPE_CHECKING:
    from dotai_nb.session.session import Session
    from dotai_nb.settings import Settings

YES = "approve"


def ask(session: Session, settings: Settings) -> str:
    """Show the review and ask for a yes.

    Returns:
        The digest that was shown.

    Raises:
        NotExecutable: there is nothing to approve, with the reason.
        ApprovalRequired: the answer was not yes, or nobody can answer here.
    """
    from dotai_nb.workflow.approving import why_not

    if reason := why_not(session, settings):
        raise NotExecutable(reason)
    short = session.digest[:SHORTEST_DIGEST]
    nobody = ApprovalRequired(
        f"{session.id} needs an approval, and nobody can answer here.",
        hint=f'A person who has read the review may write op.approve(digest="{short}").',
    )
    shell = _shell()
    if shell is None and not sys.stdin.isatty():
        # A pipe could say yes without anybody having read anything.
        raise nobody
    _show(session, in_cell=shell is not None)
    try:
        answer = input(f'Type "{YES}" to approve plan {short}, anything else to leave it: ')
    except (EOFError, NotImplementedError, RuntimeError) as error:
        # ipykernel's StdinNotImplementedError is both of the latter: nbmake, papermill.
        raise nobody from error
    if answer.strip().lower() != YES:
        raise ApprovalRequired(
            f"Plan {short} was not approved.", hint="Nothing was sent. Refine it, or leave it."
        )
    return session.digest


def _shell() -> object | None:
    """The kernel's shell; None in plain Python."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module else None
    return shell if hasattr(shell, "kernel") else None


def _show(session: Session, *, in_cell: bool) -> None:
    from dotai_nb.views import markdown

    if in_cell:
        from IPython.display import Markdown, display

        display(Markdown(markdown.review(session)))
    else:
        sys.stdout.write(markdown.review(session) + "\n")
        sys.stdout.flush()
