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
    _show(session)
    short = session.digest[:SHORTEST_DIGEST]
    try:
        answer = input(f'Type "{YES}" to approve plan {short}, anything else to leave it: ')
    except (EOFError, OSError, RuntimeError, NotImplementedError) as error:
        # ipykernel's StdinNotImplementedError is a NotImplementedError and a RuntimeError.
        raise ApprovalRequired(
            f"{session.id} needs an approval, and nobody can answer here.",
            hint=f'A person who has read the review may write op.approve(digest="{short}").',
        ) from error
    if answer.strip().lower() != YES:
        raise ApprovalRequired(
            f"Plan {short} was not approved.", hint="Nothing was sent. Refine it, or leave it."
        )
    return session.digest


def _show(session: Session) -> None:
    from dotai_nb.views import markdown

    if "IPython" in sys.modules:
        from IPython import get_ipython
        from IPython.display import Markdown, display

        if get_ipython() is not None:
            display(Markdown(markdown.review(session)))
            return
    sys.stdout.write(markdown.review(session) + "\n")
    sys.stdout.flush()
