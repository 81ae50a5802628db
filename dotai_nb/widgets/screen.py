"""What a panel shows of a session; imported when there is one to show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from dotai_nb.views import activity, execution, html, mermaid, proposal, words
from dotai_nb.views.activity import Fragment
from dotai_nb.views.escape import html as escaped
from dotai_nb.widgets.form import WHOLE, press
from dotai_nb.widgets.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dotai_nb.session.session import Session
    from dotai_nb.session.values import Approval
    from dotai_nb.widgets.controls import Controls


class Screen:
    """The part of a panel below its form.

    Attributes:
        box: the widget.
        approve, execute, refine: the buttons; `more` is the field beside Refine.
    """

    def __init__(self) -> None:
        self._head, self._plan, self._close = Stack(), Stack(), Stack()
        self._investigation, self._validation = Stack(), Stack()
        self._run, self._after = Stack(), Stack()
        self._diagram = widgets.Output()
        self._drawn = ""
        self.approve = widgets.Button(description="Approve", button_style="primary")
        self.execute = widgets.Button(description="Execute", button_style="danger")
        self._hint = widgets.HTML()
        self.more = widgets.Text(placeholder="Say more, or answer the question", **WHOLE)
        self.refine = widgets.Button(description="Refine")
        self._actions = _row(self.approve, self.execute, self._hint)
        self._refining = _row(self.more, self.refine)
        self._log, self._check_log = _log(self._investigation), _log(self._validation)
        self.box = widgets.VBox(
            [
                self._head.box,
                self._log,
                self._plan.box,
                self._diagram,
                self._close.box,
                self._actions,
                self._refining,
                self._run.box,
                self._check_log,
                self._after.box,
            ]
        )

    def show(  # noqa: PLR0913 - what a moment consists of
        self,
        session: Session,
        controls: Controls,
        *,
        saying: str = "",
        elapsed: float | None = None,
        replayed: bool = False,
        path: str = "",
        approval: Approval | None = None,
    ) -> None:
        """Show this moment of the session.

        Args:
            session: folded so far.
            controls: of the same moment.
            saying: words of the block that still streams.
            elapsed: seconds of the phase that runs, or ran last.
            replayed: everything comes from a file.
            path: the session's file.
            approval: the live one.
        """
        self._head.show(_head(session, elapsed=elapsed, replayed=replayed, path=path))
        self._investigation.show(activity.log(session, "investigate", saying))
        self._plan.show(_plan(session))
        self._draw(session)
        self._close.show(proposal.consequences(session, copy_button=True))
        self._show_actions(session, controls, approval)
        self._run.show(_run(session, elapsed))
        self._validation.show(activity.log(session, "validate", saying))
        self._after.show([*execution.verdict(session), *execution.ending(session)])
        _visible(self._check_log, bool(session.execution))

    def _draw(self, session: Session) -> None:
        source = mermaid.diagram(session.topology) if session.topology else ""
        if source == self._drawn:
            return
        self._drawn = source
        drawn = {"output_type": "display_data", "data": mermaid.bundle(source), "metadata": {}}
        self._diagram.outputs = (drawn,) if source else ()

    def _show_actions(
        self, session: Session, controls: Controls, approval: Approval | None
    ) -> None:
        press(self.approve, controls.approve.against)
        press(self.execute, controls.execute.against)
        press(self.refine, controls.refine.against)
        self.more.disabled = not controls.refine.enabled
        _visible(self._actions, bool(session.planned))
        may_refine = session.analysis is not None and session.execution is None
        _visible(self._refining, may_refine and not session.started.by_hand)
        self._hint.value = f'<div class="dn">{_hint(session, controls, approval)}</div>'


def _head(
    session: Session, *, elapsed: float | None, replayed: bool, path: str
) -> Iterator[Fragment]:
    yield Fragment("status", activity.status_line(session, elapsed))
    if marks := html.banner(session, replayed=replayed):
        yield Fragment("marks", f'<div class="dn">{marks}</div>')
    yield Fragment("facts", html.facts(session, path))
    for number, text in enumerate(session.refinements, start=1):
        yield Fragment(f"refined-{number}", f'<div class="dn">Refined: {escaped(text)}</div>')


def _plan(session: Session) -> Iterator[Fragment]:
    yield from proposal.conclusion(session)
    yield from proposal.overview(session)
    yield from proposal.differences(session)
    if session.topology and session.topology.nodes:
        yield Fragment("diagram", f'<div class="dn">{activity.title("What hangs on it")}</div>')


def _run(session: Session, elapsed: float | None) -> Iterator[Fragment]:
    yield from execution.results(session)
    yield from execution.rollouts(session)
    if not session.at_rest and session.execution is not None:
        # The head may be far up the page by now.
        yield Fragment("status", activity.status_line(session, elapsed))


def _hint(session: Session, controls: Controls, approval: Approval | None) -> str:
    """The plan that is approved, by whom; or why it can't be."""
    plan = f"Plan <code>{session.digest[: words.SHORT_DIGEST]}</code>" if session.digest else ""
    given = approval or session.spent
    if given:
        return f"{plan} · approved by {escaped(given.by)} at {given.approved_at:%H:%M:%S} UTC"
    if controls.approve.enabled:
        count = words.plural(len(session.planned), "request")
        server = escaped(session.started.fingerprint.server)
        executor = escaped(words.executor(session.started))
        return f"{plan} · {count} to {server} as <code>{executor}</code>"
    return f'<span class="dn-warn">{escaped(controls.approve.against)}</span>'


def _row(*children: widgets.Widget) -> widgets.HBox:
    row = widgets.HBox(children)
    row.add_class("dn-actions")
    return row


def _log(stack: Stack) -> widgets.Box:
    """A box that scrolls and stays at its end while it grows."""
    box = widgets.Box([stack.box])
    box.add_class("dn-log")
    return box


def _visible(widget: widgets.Widget, shown: bool) -> None:  # noqa: FBT001 - what it is about
    widget.layout.display = None if shown else "none"
