"""A live session: what holds for it however its plan came about. It decides nothing of showing."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal

from dotai_nb import __version__
from dotai_nb.cluster import risk, topology
from dotai_nb.errors import Cancelled, DotAiError, ModelError
from dotai_nb.session.approval import plan_digest
from dotai_nb.session.events import (
    AnalysisFinished,
    Approved,
    CancelRequested,
    Event,
    ExecutionStarted,
    Failed,
)
from dotai_nb.session.paths import new_id
from dotai_nb.session.values import Analysis, Approval, Outcome, Status, Topology
from dotai_nb.workflow import approving
from dotai_nb.workflow.execute import Execution
from dotai_nb.workflow.investigate import BudgetExhausted

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from dotai_nb.cluster.connection import Connection
    from dotai_nb.cluster.guard import Grant
    from dotai_nb.session.events import StepChecked
    from dotai_nb.session.session import Session
    from dotai_nb.session.store import Journal
    from dotai_nb.settings import Settings
    from dotai_nb.workflow.approving import How
    from dotai_nb.workflow.execute import ByModel, OnError


class Run(ABC):
    """A live session: its journal and its cluster. All methods run on the package's loop."""

    replayed = False

    def __init__(self, journal: Journal, connection: Connection, settings: Settings) -> None:
        self.journal = journal
        self._connection = connection
        self._settings = settings
        self._grant: Grant | None = None
        self._stop = asyncio.Event()

    @property
    def session(self) -> Session:
        """The session as it stands now."""
        return self.journal.session

    @property
    def path(self) -> Path:
        """Of the session's file."""
        return self.journal.path

    @abstractmethod
    async def analyse(self) -> None:
        """Come to a plan; ends in `analysis_complete` or `failed`, whatever happens."""

    @abstractmethod
    async def refine(self, text: str) -> None:
        """Analyse again with what the person adds; approvals so far are void."""

    def _validator(self) -> ByModel | None:
        """Who looks after the execution beside the code's checks; None: nobody."""
        return None

    def _record(self, event: Event) -> None:
        self.journal.append(event)

    async def _concluding(self, analysing: Awaitable[Analysis]) -> None:
        """Await the conclusion and record it; what goes wrong is told by the session too."""
        try:
            await self._finish(await analysing)
        except asyncio.CancelledError:
            self._fail(
                Cancelled("The analysis was cancelled.", hint="Nothing was changed."),
                Outcome.CANCELLED,
            )
            raise
        except BudgetExhausted as error:
            self._fail(error, Outcome.BUDGET_EXHAUSTED)
            raise
        except Exception as error:
            # Whatever went wrong, the session says so; the caller is told too.
            self._fail(error, Outcome.FAILED)
            raise

    def _fail(
        self,
        error: Exception,
        outcome: Literal[Outcome.FAILED, Outcome.BUDGET_EXHAUSTED, Outcome.CANCELLED],
    ) -> None:
        if self.session.status is not Status.ANALYZING:
            return
        self._record(
            Failed(
                outcome=outcome,
                error=type(error).__name__,
                message=error.message if isinstance(error, DotAiError) else str(error),
                hint=error.hint if isinstance(error, DotAiError) else "",
                request_id=error.request_id if isinstance(error, ModelError) else "",
            )
        )

    async def _finish(self, concluded: Analysis) -> None:
        steps = self._steps(concluded)
        around = await topology.around(self._connection, steps) if steps else Topology()
        if steps:
            floor = risk.floor(steps, around)
            least = risk.worse(floor, concluded.risk) if concluded.risk else floor
            concluded = concluded.model_copy(update={"risk": least})
        self._record(
            AnalysisFinished(
                analysis=concluded,
                digest=plan_digest(self.session.started.fingerprint, steps),
                topology=around,
            )
        )

    def _steps(self, concluded: Analysis) -> tuple[StepChecked, ...]:
        found = (self.session.step(planned.step) for planned in concluded.steps)
        return tuple(checked for checked in found if checked is not None)

    def approve(self, given: str, how: How) -> Approval:
        """Bind a person's yes to the plan's digest; single use, in this process, expiring.

        Raises:
            NotExecutable: nothing here can be approved, with the reason.
            ApprovalMismatch: the digest is of another plan, or shorter than 12 hex digits.
        """
        approval = approving.approval_of(self.session, given, how, self._settings)
        self._record(Approved(approval=approval))
        self._grant = approving.grant_for(self.session, approval)
        return approval

    def cancel(self) -> None:
        """During an execution: send no further step, wait for nothing more, and say so."""
        self._stop.set()
        if self.session.status is Status.EXECUTING and not self.session.cancelled:
            self._record(CancelRequested(by=approving.who()))

    async def execute(self, on_error: OnError) -> None:
        """Send exactly the approved requests, wait for rollouts, check, and give a verdict.

        Args:
            on_error: whether the steps behind a failed one are still sent.

        Raises:
            ApprovalRequired, ApprovalSpent: before anything was sent; the status is unchanged.
            NotExecutable, SessionLocked: this session has had its run, or has it elsewhere.
            WrongCluster: the context leads to another cluster by now.
            Cancelled: before the first step.
        """
        self._stop.clear()
        approving.check_executable(self.session, self._grant, self._settings)
        await self._connection.verify()
        if self._stop.is_set():
            raise Cancelled("The execution was cancelled before its first step.")
        grant = approving.check_executable(self.session, self._grant, self._settings)
        self._grant = None
        digest_of_plan = self.session.digest
        self._record(ExecutionStarted(digest=digest_of_plan, on_error=on_error, by=approving.who()))
        execution = Execution(
            self._connection, grant, lambda: self.session, self._record, self._stop
        )
        try:
            await execution.send_steps(on_error)
            await execution.settle(self._settings.rollout_timeout)
        finally:
            await execution.conclude(self._validator())

    async def close(self) -> None:
        """Let go of the cluster and the file; may be called again."""
        await self._connection.close()
        self.journal.close()


def pinned(connection: Connection, namespace: str, settings: Settings) -> dict[str, Any]:
    """The fields of `SessionStarted` that tell where a session works, as whom, with which code."""
    return {
        "session_id": new_id(),
        "namespace": namespace or connection.namespace,
        "context": connection.context,
        "fingerprint": connection.fingerprint,
        "server_version": connection.server_version,
        "identity": connection.identity,
        "executes_as": connection.executes_as,
        "package_version": __version__,
        "access": "read" if settings.read_only else "execute",
    }
