"""One operation, live: analyse, approve, execute, check. It decides nothing about showing."""

from __future__ import annotations

import asyncio
import getpass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from dotai_nb import __version__
from dotai_nb.cluster import checks, risk, rollout, topology
from dotai_nb.cluster.execution import Drifted, run_step
from dotai_nb.cluster.guard import Grant
from dotai_nb.errors import (
    ApprovalMismatch,
    ApprovalRequired,
    ApprovalSpent,
    Cancelled,
    DotAiError,
    IntentError,
    ModelError,
    NotExecutable,
)
from dotai_nb.session.approval import SHORTEST_DIGEST, matches, plan_digest
from dotai_nb.session.canonical import digest
from dotai_nb.session.events import (
    AnalysisFinished,
    Approved,
    CancelRequested,
    Event,
    ExecutionStarted,
    Failed,
    Refined,
    SessionStarted,
    StepFinished,
    TextDelta,
    VerdictReached,
)
from dotai_nb.session.paths import new_id
from dotai_nb.session.session import can_be_approved
from dotai_nb.session.store import Journal
from dotai_nb.session.values import (
    Accepted,
    Analysis,
    Approval,
    Outcome,
    ResultKind,
    Status,
    StepResult,
    Topology,
    Verdict,
    VerdictKind,
)
from dotai_nb.workflow import validate
from dotai_nb.workflow.conclusion import Propose, analysis
from dotai_nb.workflow.investigate import BudgetExhausted, Goal, Investigator
from dotai_nb.workflow.prompts import Prompts
from dotai_nb.workflow.toolbox import Toolbox, schemas
from dotai_nb.workflow.tools import TOOLS, schema

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from dotai_nb.knowledge.source import Knowledge, Known
    from dotai_nb.session.events import StepChecked
    from dotai_nb.session.session import Session
    from dotai_nb.session.values import Check, ObjectRef
    from dotai_nb.settings import Settings
    from dotai_nb.workflow.source import Source

LONGEST_INTENT = 4_000
"""Characters; a longer text is a document, not an intent."""

How = Literal["asked", "button", "digest"]
OnError = Literal["continue", "stop"]
T = TypeVar("T")


def checked_intent(text: str) -> str:
    """The intent, stripped.

    Raises:
        IntentError: empty, blank, or longer than 4,000 characters. Nothing was sent.
    """
    intent = text.strip()
    if not intent:
        raise IntentError(
            "The intent is empty.",
            hint="Say what you want, such as: update my-api to v2.0 with zero downtime.",
        )
    if len(intent) > LONGEST_INTENT:
        raise IntentError(
            f"The intent has {len(intent):,} characters; at most {LONGEST_INTENT:,} are taken.",
            hint="Say what you want in a few sentences; details can follow with refine.",
        )
    return intent


class Run:
    """A live session: its journal, its cluster, its model. All methods run on the package's loop.

    Args:
        live: hears text deltas; the journal's subscribers hear events.
    """

    replayed = False

    def __init__(
        self,
        journal: Journal,
        source: Source,
        settings: Settings,
        known: Known,
        live: Callable[[TextDelta], None],
    ) -> None:
        self.journal = journal
        self._connection = source.connection
        self._model = source.model
        self._settings = settings
        self._known = known
        self._prompts = Prompts(settings)
        self._grant: Grant | None = None
        self._stop = asyncio.Event()
        self._investigator = self._new_investigator(live)

    @property
    def session(self) -> Session:
        """The session as it stands now."""
        return self.journal.session

    @property
    def path(self) -> Path:
        """Of the session's file."""
        return self.journal.path

    def _record(self, event: Event) -> None:
        self.journal.append(event)

    def _new_investigator(self, live: Callable[[TextDelta], None]) -> Investigator:
        toolbox = Toolbox(
            self._connection,
            session=lambda: self.session,
            record=self._record,
            namespace=self.session.started.namespace,
            budget=self._settings.output_tokens,
        )
        return Investigator(
            model=self._model,
            toolbox=toolbox,
            prompts=self._prompts,
            session=lambda: self.session,
            record=self._record,
            live=live,
        )

    async def analyse(self) -> None:
        """Investigate and conclude; ends in `analysis_complete` or `failed`, whatever happens."""
        started = self.session.started
        ask = self._prompts.render(
            "operate-user",
            intent=started.intent,
            server_version=started.server_version,
            context=started.context,
            namespace=started.namespace,
            identity=started.identity or "an identity that the server doesn't tell",
            patterns=self._known.patterns,
            policies=self._known.policies,
            capabilities=self._known.capabilities,
        )
        await self._analyse(ask)

    async def refine(self, text: str) -> None:
        """Analyse again with what the person adds; approvals so far are void."""
        said = checked_intent(text)
        if self.session.status is not Status.ANALYSIS_COMPLETE:
            raise NotExecutable(
                f"{self.session.id} is {self.session.status}; only a finished analysis that was "
                "not executed can be refined.",
                hint="Start a new operation.",
            )
        self._grant = None
        self._record(Refined(text=said))
        await self._analyse(self._prompts.render("operate-refine", text=said))

    async def _analyse(self, ask: str) -> None:
        toolbox = self._investigator.toolbox
        goal = Goal(
            purpose="investigate",
            name="propose",
            arguments=Propose,
            accept=lambda given: analysis(given, self.session, toolbox.replaced),
            tools=TOOLS,
        )
        try:
            concluded = await self._investigator.run(
                goal, system=self._prompts.render("operate-system"), ask=ask
            )
            await self._finish(concluded)
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
        if concluded.risk:
            floor = risk.floor(steps, around)
            concluded = concluded.model_copy(update={"risk": risk.worse(floor, concluded.risk)})
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
        session = self.session
        if reason := why_not_approvable(session, read_only=self._settings.read_only):
            raise NotExecutable(reason)
        if not matches(given, session.digest):
            raise ApprovalMismatch(
                f"The digest {given[:16]!r} is not this plan's.",
                hint=f"Read the review again; its digest begins with "
                f"{session.digest[:SHORTEST_DIGEST]}.",
            )
        now = datetime.now(UTC)
        approval = Approval(
            digest=session.digest,
            by=who(),
            how=how,
            approved_at=now,
            expires_at=now + timedelta(minutes=self._settings.approval_minutes),
        )
        self._record(Approved(approval=approval))
        self._grant = Grant(
            session.digest,
            session.started.fingerprint,
            [checked.step for _, checked in session.planned],
            approval.expires_at,
        )
        return approval

    def cancel(self) -> None:
        """During an execution: send no further step, wait for nothing more, and say so."""
        self._stop.set()
        if self.session.status is Status.EXECUTING and not self.session.cancelled:
            self._record(CancelRequested(by=who()))

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
        grant = self._take_grant()
        await self._connection.verify()
        if self._stop.is_set():
            self._grant = grant
            raise Cancelled("The execution was cancelled before its first step.")
        self._record(ExecutionStarted(digest=self.session.digest, on_error=on_error, by=who()))
        try:
            await self._send_steps(grant, on_error)
            await self._unless_stopped(self._settle())
        finally:
            await self._conclude()

    def _take_grant(self) -> Grant:
        session = self.session
        if session.status is not Status.ANALYSIS_COMPLETE:
            raise NotExecutable(
                f"{session.id} is {session.status}; a session is executed once.",
                hint="Start a new operation to go on.",
            )
        if reason := why_not_approvable(session, read_only=self._settings.read_only):
            raise NotExecutable(reason)
        grant, self._grant = self._grant, None
        if grant is None or session.approval is None:
            raise ApprovalRequired(
                f"{session.id} has not been approved.",
                hint="Read the review and approve it first.",
            )
        if session.approval.expires_at <= datetime.now(UTC):
            raise ApprovalSpent(
                f"The approval expired at {session.approval.expires_at:%H:%M:%S} UTC.",
                hint="Read the review again and approve it again.",
            )
        return grant

    async def _send_steps(self, grant: Grant, on_error: OnError) -> None:
        done: list[StepChecked] = []
        reason = ""
        for _, checked in self.session.planned:
            if not reason and self._stop.is_set():
                reason = "cancelled"
            if reason:
                self._skip(checked, reason)
                continue
            try:
                result = await run_step(
                    self._connection, grant, checked, self._record, earlier=tuple(done)
                )
            except Drifted as drift:
                reason = f"drift: {drift.message}"
                if self.session.result(checked.step.number) is None:
                    self._skip(checked, reason)
                continue
            done.append(checked)
            if result.result is ResultKind.FAILED and on_error == "stop":
                reason = f"step {checked.step.number} failed, and the run stops on errors"

    def _skip(self, checked: StepChecked, reason: str) -> None:
        skipped = StepResult(step=checked.step.number, result=ResultKind.SKIPPED, error=reason)
        self._record(StepFinished(result=skipped))

    async def _settle(self) -> None:
        """Wait for the rollouts that the succeeded steps have set off, once an object."""
        waiting: dict[ObjectRef, int] = {}
        for _, checked in self.session.planned:
            result = self.session.result(checked.step.number)
            succeeded = result is not None and result.result is ResultKind.SUCCEEDED
            if succeeded and rollout.waits(checked.step.target):
                waiting[checked.step.target] = checked.step.number
        await asyncio.gather(
            *(
                rollout.wait_for_rollout(
                    self._connection,
                    target,
                    step=number,
                    deadline=self._settings.rollout_timeout,
                    record=self._record,
                )
                for target, number in waiting.items()
            )
        )

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Its result; None, with the work cancelled, once a person has pressed Cancel."""
        working = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            return None
        finally:
            stopped.cancel()
            working.cancel()
            await asyncio.wait({working, stopped})

    async def _conclude(self) -> None:
        """The verdict always comes: a check that can't be made is `inconclusive`, told so."""
        self._close_steps()
        with self._connection.trail() as audit_ids:
            looked, by_code, summary = await self._look()
        by_model: VerdictKind | None = None
        if self.session.analysis and self.session.analysis.validation_intent:
            asked = await self._unless_stopped(
                validate.by_model(self._investigator, self._prompts, self.session, looked)
            )
            by_model, words = asked or (VerdictKind.INCONCLUSIVE, "The model's check was stopped.")
            summary = f"{summary} {words}".strip()
        worst = max([v for v in (by_code, by_model) if v], key=lambda v: v.rank)
        verdict = Verdict(
            verdict=worst, summary=summary, checks=looked, by_code=by_code, by_model=by_model
        )
        self._record(VerdictReached(verdict=verdict, audit_ids=tuple(audit_ids)))

    def _close_steps(self) -> None:
        """Every step has a result: what was sent without one is unknown, the rest was skipped."""
        for _, checked in self.session.planned:
            number = checked.step.number
            if self.session.result(number) is not None:
                continue
            if number in self.session.running:
                words = "The run ended before the answer was recorded: look at the cluster."
                lost = StepResult(step=number, result=ResultKind.UNKNOWN, error=words)
                self._record(StepFinished(result=lost))
            else:
                self._skip(checked, "the run ended before its turn")

    async def _look(self) -> tuple[tuple[Check, ...], VerdictKind, str]:
        try:
            looked = await checks.look_after(self._connection, self.session)
        except DotAiError as error:
            return (), VerdictKind.INCONCLUSIVE, f"The checks could not be made: {error}"
        return looked, validate.by_code(looked), validate.sentence(looked)

    async def close(self) -> None:
        """Let go of the cluster, the model and the file."""
        await self._model.close()
        await self._connection.close()
        self.journal.close()


def why_not_approvable(session: Session, *, read_only: bool) -> str:
    """Why this plan can't be approved, in one sentence; empty when it can."""
    if session.status is not Status.ANALYSIS_COMPLETE:
        return f"{session.id} is {session.status}; only a finished analysis can be approved."
    if session.outcome is not Outcome.PROPOSAL:
        return f"The outcome is {session.outcome}; there is nothing to approve."
    if read_only:
        return "DOT_AI_READ_ONLY is set: nothing is executed from here."
    if can_be_approved(session):
        return ""
    numbers = [
        str(checked.step.number)
        for _, checked in session.planned
        if not isinstance(checked.evidence, Accepted)
    ]
    return (
        f"The API server would not do step {', '.join(numbers)} for {session.started.identity}; "
        "ask somebody with the rights, or have the plan changed."
    )


def who() -> str:
    """The system's user; `unknown` where the system doesn't tell."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


async def begin(  # noqa: PLR0913 - each is one thing a session is pinned to
    intent: str,
    *,
    namespace: str,
    source: Source,
    knowledge: Knowledge,
    directory: Path,
    settings: Settings,
    live: Callable[[TextDelta], None],
    continues: str = "",
) -> Run:
    """Create the session's file, before any token is spent, and the run that fills it."""
    known = await knowledge.about(intent)
    connection, model = source.connection, source.model
    started = SessionStarted(
        session_id=new_id(),
        intent=intent,
        namespace=namespace or connection.namespace,
        context=connection.context,
        fingerprint=connection.fingerprint,
        server_version=connection.server_version,
        identity=connection.identity,
        package_version=__version__,
        provider=model.provider,
        endpoint=model.endpoint,
        model=model.name,
        recording=source.recording,
        scripted=source.scripted,
        prompts=Prompts(settings).hashes(),
        tools=_tools_hash(),
        access="read" if settings.read_only else "execute",
        continues=continues,
        patterns=tuple(fact.id for fact in known.patterns),
        policies=tuple(fact.id for fact in known.policies),
        capabilities=tuple(fact.id for fact in known.capabilities),
        knowledge=known.note,
    )
    return Run(Journal.create(directory, started), source, settings, known, live)


def _tools_hash() -> str:
    offered = (*schemas(TOOLS), schema("propose", Propose))
    return digest([[t.name, t.description, t.parameters] for t in offered])
