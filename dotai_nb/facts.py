"""What every face of an operation shares: facts, tables, approving, cancelling."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

from dotai_nb import portal
from dotai_nb.engine import Hub, keep
from dotai_nb.errors import NotExecutable, SessionError
from dotai_nb.progress import Progress
from dotai_nb.session.values import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    import pandas as pd

    from dotai_nb.engine import Engine, Hear
    from dotai_nb.session.events import SessionStarted
    from dotai_nb.session.session import Session
    from dotai_nb.session.values import Approval, Outcome
    from dotai_nb.settings import Settings
    from dotai_nb.workflow.approving import How

FINAL = frozenset({Status.FAILED, Status.EXECUTED_SUCCESSFULLY, Status.EXECUTED_WITH_ERRORS})
"""Statuses from which a session never goes on."""

SETTLE_SECONDS = 15
"""How long an interrupted caller waits for the request in flight; then the interrupt goes on."""


class Facts:
    """What every face of an operation shows: plain facts and DataFrames, folded from events.

    Attributes:
        tools: a row a tool call.
        steps: a row a step of the proposal, with its kubectl command and evidence.
        diffs: a row a changed field.
        results: a row an executed step.
    """

    def __init__(self, engine: Engine, hub: Hub, settings: Settings) -> None:
        self._engine = engine
        self._hub = hub
        self._settings = settings
        self._work: portal.Work | None = None
        self._progress: Progress | None = None
        self._one_at_a_time = threading.Lock()
        keep(engine)

    @property
    def session(self) -> Session:
        """The session as it stands now."""
        return self._engine.session

    @property
    def id(self) -> str:
        """`opr-{epoch ms}-{8 hex}`."""
        return self.session.id

    @property
    def path(self) -> Path:
        """The session's file."""
        return self._engine.path

    @property
    def status(self) -> Status:
        """Where the session stands: one of six."""
        return self.session.status

    @property
    def outcome(self) -> Outcome | None:
        """What came of the analysis; None while it runs."""
        return self.session.outcome

    @property
    def digest(self) -> str:
        """SHA-256 of the plan, 64 hex digits; empty when nothing can be approved."""
        return self.session.digest

    @property
    def replayed(self) -> bool:
        """Everything comes from a file and nothing is sent anywhere."""
        return self._engine.replayed

    @property
    def busy(self) -> bool:
        """An analysis or an execution is under way."""
        return self._work is not None and not self._work.done

    @property
    def tools(self) -> pd.DataFrame:
        """A row a tool call; columns in `dotai_nb.views.tables.tools`."""
        return self._table("tools")

    @property
    def steps(self) -> pd.DataFrame:
        """A row a proposed step; columns in `dotai_nb.views.tables.steps`."""
        return self._table("steps")

    @property
    def diffs(self) -> pd.DataFrame:
        """A row a changed field; columns in `dotai_nb.views.tables.diffs`."""
        return self._table("diffs")

    @property
    def results(self) -> pd.DataFrame:
        """A row an executed step; columns in `dotai_nb.views.tables.results`."""
        return self._table("results")

    def _table(self, name: str) -> pd.DataFrame:
        from dotai_nb.views import tables

        frame: pd.DataFrame = getattr(tables, name)(self.session)
        return frame

    def subscribe(self, hear: Hear) -> Callable[[], None]:
        """Hear events and text deltas on the package's loop; the returned function ends it."""
        return self._hub.add(hear)

    def approve(self, digest: str = "", *, how: How = "digest") -> Approval:
        """Say yes to the plan: asks in the cell, or takes the digest that code writes.

        Args:
            digest: at least the first 12 hex digits; empty to show the review and ask.
            how: the panel says `button`.

        Raises:
            ApprovalRequired: nobody is there to ask, or the answer was no.
            ApprovalMismatch: the digest is not this plan's.
            NotExecutable: nothing here can be approved, with the reason.
        """
        if not digest and not self.replayed:
            from dotai_nb.asking import ask

            digest, how = ask(self.session, self._settings), "asked"
        return portal.call(lambda: self._engine.approve(digest, how))

    def cancel(self) -> None:
        """Stop: an analysis at once, an execution before its next step."""
        portal.call(self._cancel)

    def _cancel(self) -> None:
        self._engine.cancel()
        if self._work is not None and self.session.status == "analyzing":
            self._work.cancel()

    def close(self) -> None:
        """Cancel what runs and let go of the cluster, the model and the file."""
        self.cancel()
        if self._work is not None:
            wait([self._work.future], timeout=SETTLE_SECONDS)
        portal.wait(self._engine.close())

    def begin(self, work: Coroutine[Any, Any, None]) -> portal.Work:
        """Start work on the package's loop; one at a time.

        Raises:
            SessionError: an analysis or an execution is under way.
        """
        with self._one_at_a_time:
            if self.busy:
                work.close()
                raise SessionError(
                    f"{self.id} is busy: {self.status}.", hint="Wait for it, or cancel it."
                )
            self._work = portal.Work(self._until_final(work))
            return self._work

    async def _until_final(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work; a session that can't go on any more lets go of all it holds."""
        try:
            await work
        finally:
            if self.session.status in FINAL:
                await self._engine.close()

    def __repr__(self) -> str:
        outcome = f" · {self.outcome}" if self.outcome else ""
        return f"<Operation {self.id} · {self.status}{outcome} · {self.path}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        if self._progress is not None and self._progress.shows(self.session):
            return {"text/plain": repr(self)}
        from dotai_nb.views import html

        return html.static_bundle(self.session, replayed=self.replayed)

    def _asked(self) -> SessionStarted:
        """What was asked of a model, so that it can be asked again."""
        started = self.session.started
        if started.by_hand:
            raise NotExecutable(
                f"{self.id} was written by hand: no model can be asked for it again.",
                hint="Give its steps to `dotai_nb.plan` again.",
            )
        return started

    def _new_progress(self, *, executing: bool) -> Progress:
        self._progress = Progress(lambda: self.session, replayed=self.replayed, executing=executing)
        return self._progress
