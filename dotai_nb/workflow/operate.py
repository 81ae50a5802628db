"""One operation, live: analyse, approve, execute, check. It decides nothing about showing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from dotai_nb import __version__
from dotai_nb.cluster import risk, topology
from dotai_nb.errors import (
    Cancelled,
    DotAiError,
    IntentError,
    ModelError,
    NotExecutable,
)
from dotai_nb.session.approval import plan_digest
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
    TextDelta,
)
from dotai_nb.session.paths import new_id
from dotai_nb.session.store import Journal
from dotai_nb.session.values import (
    Analysis,
    Approval,
    Outcome,
    Status,
    Topology,
    VerdictKind,
)
from dotai_nb.workflow import approving, validate
from dotai_nb.workflow.conclusion import Propose, analysis
from dotai_nb.workflow.execute import Execution
from dotai_nb.workflow.investigate import BudgetExhausted, Goal, Investigator
from dotai_nb.workflow.prompts import Prompts
from dotai_nb.workflow.toolbox import Toolbox, schemas
from dotai_nb.workflow.tools import TOOLS, schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dotai_nb.cluster.guard import Grant
    from dotai_nb.knowledge.source import Knowledge, Known
    from dotai_nb.session.events import StepChecked
    from dotai_nb.session.session import Session
    from dotai_nb.session.values import Check
    from dotai_nb.settings import Settings
    from dotai_nb.workflow.approving import How
    from dotai_nb.workflow.execute import OnError
    from dotai_nb.workflow.source import Source

LONGEST_INTENT = 4_000
"""Characters; a longer text is a document, not an intent."""


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
            await execution.conclude(self._by_model)

    async def _by_model(self, looked: Sequence[Check]) -> tuple[VerdictKind, str]:
        return await validate.by_model(self._investigator, self._prompts, self.session, looked)

    async def close(self) -> None:
        """Let go of the cluster, the model and the file."""
        await self._model.close()
        await self._connection.close()
        self.journal.close()


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
        executes_as=connection.executes_as,
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
