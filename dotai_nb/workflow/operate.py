"""One operation with a model: it investigates, proposes, and looks again after the execution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotai_nb.errors import IntentError, NotExecutable
from dotai_nb.session.canonical import digest
from dotai_nb.session.events import Refined, SessionStarted, TextDelta
from dotai_nb.session.store import Journal
from dotai_nb.session.values import Analysis, Status, VerdictKind
from dotai_nb.workflow import validate
from dotai_nb.workflow.conclusion import Propose, analysis
from dotai_nb.workflow.investigate import Goal, Investigator
from dotai_nb.workflow.prompts import Prompts
from dotai_nb.workflow.run import Run, pinned
from dotai_nb.workflow.toolbox import Toolbox, schemas
from dotai_nb.workflow.tools import TOOLS, schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dotai_nb.knowledge.source import Knowledge, Known
    from dotai_nb.session.values import Check
    from dotai_nb.settings import Settings
    from dotai_nb.workflow.execute import ByModel
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


class Operate(Run):
    """A live session with a model.

    Args:
        live: hears text deltas; the journal's subscribers hear events.
    """

    def __init__(
        self,
        journal: Journal,
        source: Source,
        settings: Settings,
        known: Known,
        live: Callable[[TextDelta], None],
    ) -> None:
        super().__init__(journal, source.connection, settings)
        self._model = source.model
        self._known = known
        self._prompts = Prompts(settings)
        self._investigator = self._new_investigator(live)

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
        await self._concluding(self._analysis(ask))

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
        await self._concluding(self._analysis(self._prompts.render("operate-refine", text=said)))

    async def _analysis(self, ask: str) -> Analysis:
        toolbox = self._investigator.toolbox
        goal = Goal(
            purpose="investigate",
            name="propose",
            arguments=Propose,
            accept=lambda given: analysis(given, self.session, toolbox.replaced),
            tools=TOOLS,
        )
        return await self._investigator.run(
            goal, system=self._prompts.render("operate-system"), ask=ask
        )

    def _validator(self) -> ByModel:
        return self._by_model

    async def _by_model(self, looked: Sequence[Check]) -> tuple[VerdictKind, str]:
        return await validate.by_model(self._investigator, self._prompts, self.session, looked)

    async def close(self) -> None:
        """Let go of the model too."""
        await self._model.close()
        await super().close()


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
) -> Operate:
    """Create the session's file, before any token is spent, and the run that fills it."""
    known = await knowledge.about(intent)
    model = source.model
    started = SessionStarted(
        **pinned(source.connection, namespace, settings),
        intent=intent,
        provider=model.provider,
        endpoint=model.endpoint,
        model=model.name,
        recording=source.recording,
        scripted=source.scripted,
        prompts=Prompts(settings).hashes(),
        tools=_tools_hash(),
        continues=continues,
        patterns=tuple(fact.id for fact in known.patterns),
        policies=tuple(fact.id for fact in known.policies),
        capabilities=tuple(fact.id for fact in known.capabilities),
        knowledge=known.note,
    )
    return Operate(Journal.create(directory, started), source, settings, known, live)


def _tools_hash() -> str:
    offered = (*schemas(TOOLS), schema("propose", Propose))
    return digest([[t.name, t.description, t.parameters] for t in offered])
