"""The public Operation: what notebooks, the panel and every other door hold in their hands."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotai_nb import portal, tracing
from dotai_nb.cell import Cell
from dotai_nb.engine import Hub
from dotai_nb.facts import SETTLE_SECONDS, Facts
from dotai_nb.knowledge.source import NoKnowledge
from dotai_nb.session import paths, store
from dotai_nb.session.recordings import Recording
from dotai_nb.settings import Settings
from dotai_nb.surroundings import Surroundings, about

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import pandas as pd

    from dotai_nb.engine import Engine, Hear
    from dotai_nb.workflow.execute import OnError
    from dotai_nb.workflow.run import Run

__all__ = [
    "Operation",
    "Surroundings",
    "about",
    "open_session",
    "operate",
    "sessions",
    "start",
]


class Operation(Facts):
    """An operation whose work is awaited."""

    async def analysed(self) -> Operation:
        """Wait for the analysis that is under way.

        Raises:
            DotAiError: what ended it; the session's file says the same.
        """
        if self._work is not None:
            await self._wait(self._work)
        return self

    async def execute(self, on_error: OnError = "continue") -> Operation:
        """Send the approved steps, wait for rollouts, check; the status holds the verdict.

        Args:
            on_error: `continue` with the steps behind a failed one, or `stop`.

        Raises:
            ApprovalRequired, ApprovalSpent, NotExecutable, SessionLocked, WrongCluster: nothing
                was sent.
        """
        await self._wait(self.begin(self._engine.execute(on_error)), executing=True)
        return self

    async def refine(self, text: str) -> Operation:
        """Analyse again with what you add; what was learnt is kept, approvals are void."""
        await self._wait(self.begin(self._engine.refine(text)))
        return self

    async def renew(self, *, context: str = "", model: str = "") -> Operation:
        """A new operation with this one's intent and fresh evidence; it says which it continues.

        Raises:
            NotExecutable: its steps were written by hand.
        """
        started = self._asked()
        renewed = await start(
            started.intent,
            namespace=started.namespace,
            context=context or started.context,
            model=model,
            continues=self.id,
            settings=self._settings,
        )
        return await renewed.analysed()

    async def _wait(self, work: portal.Work, *, executing: bool = False) -> None:
        """Await it, showing progress; whoever interrupts the waiting cancels the work."""
        waiting = asyncio.wrap_future(work.future)
        progress = self._new_progress(executing=executing)
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=progress.every)
                progress.update()
        except asyncio.CancelledError:
            portal.loop().call_soon_threadsafe(self._cancel)
            await asyncio.wait({waiting}, timeout=SETTLE_SECONDS)
            if waiting.done():
                waiting.exception()  # told by the session's file; the interrupt goes on
            raise
        finally:
            progress.finish()
        waiting.result()


async def start(  # noqa: PLR0913 - what a person may choose
    intent: str,
    *,
    namespace: str = "",
    context: str = "",
    model: str = "",
    recording: str = "",
    continues: str = "",
    pace: float = 0.0,
    settings: Settings | None = None,
    hear: Hear | None = None,
) -> Operation:
    """Begin an operation and return at once; its analysis runs on the package's loop.

    Args:
        intent: what you want, in your words.
        namespace: empty for the context's own.
        context: a kubeconfig context; empty for the current one.
        model: empty for the provider's default.
        recording: name of a recording; see `operate`.
        continues: id of the session that this one goes on from.
        pace: of a replay; 1.0 takes the time it took, 0.0 none.
        settings: the environment's, unless given.
        hear: hears every event from the first on.

    Raises:
        IntentError, ModelKeyMissing, RecordingNotFound, ConnectionFailed, CredentialsRejected,
        SettingsError: nothing was started.
    """

    def open_engine(hub: Hub, chosen: Settings) -> Coroutine[Any, Any, Engine]:
        return _engine(
            intent,
            hub,
            chosen,
            namespace=namespace,
            context=context,
            model=model,
            recording=recording,
            continues=continues,
            pace=pace,
        )

    return await begun(open_engine, settings, hear)


async def begun(
    open_engine: Callable[[Hub, Settings], Coroutine[Any, Any, Engine]],
    settings: Settings | None,
    hear: Hear | None,
) -> Operation:
    """An operation around an engine that is opened, and set going, on the package's loop."""
    chosen = settings or Settings.from_environment()
    hub = Hub()
    if chosen.debug:
        hub.add(tracing.trace)
    if hear is not None:
        hub.add(hear)
    cell = Cell.now()
    engine = await portal.bridge(open_engine(hub, chosen))
    operation = Operation(engine, hub, chosen)
    cell.start(operation)
    operation.begin(engine.analyse())
    return operation


def heard_by(hub: Hub, run: Run) -> Run:
    """The run, its events told to the hub from the first on."""
    for entry in run.journal.recorded:
        hub(entry)
    run.journal.subscribe(hub)
    return run


async def operate(  # noqa: PLR0913 - what a person may choose
    intent: str,
    *,
    namespace: str = "",
    context: str = "",
    model: str = "",
    recording: str = "",
    settings: Settings | None = None,
) -> Operation:
    """Analyse an intent to a checked plan; nothing in the cluster is changed.

    Args:
        intent: what you want, in your words.
        namespace: empty for the context's own.
        context: a kubeconfig context; empty for the current one.
        model: empty for the provider's default.
        recording: name of a recorded session beside the notebook. Alone it is replayed from its
            file, and nothing is sent anywhere; on the practice cluster, or with a context named
            too, its turns run against the live cluster and the plan is reviewed and approved anew.
            Without a model's key a recording is also found by its exact intent.
        settings: the environment's, unless given.

    Returns:
        The operation, its status `analysis_complete`.

    Raises:
        DotAiError: what ended the analysis, and what to do next.
    """
    operation = await start(
        intent,
        namespace=namespace,
        context=context,
        model=model,
        recording=recording,
        settings=settings,
    )
    return await operation.analysed()


async def _engine(  # noqa: PLR0913 - see start
    intent: str,
    hub: Hub,
    settings: Settings,
    *,
    namespace: str,
    context: str,
    model: str,
    recording: str,
    continues: str,
    pace: float,
) -> Engine:
    from dotai_nb.workflow import operate as live
    from dotai_nb.workflow.replayed import Replay
    from dotai_nb.workflow.source import choose

    wanted = live.checked_intent(intent)
    source = await choose(
        wanted,
        context=context,
        model=model,
        recording=recording,
        folders=paths.recordings_directories(),
        settings=settings,
    )
    if isinstance(source, Recording):
        return Replay(source.path, source.loaded.recorded, pace=pace, hear=hub)
    run = await live.begin(
        wanted,
        namespace=namespace,
        source=source,
        knowledge=NoKnowledge(),
        directory=paths.session_directory(settings),
        settings=settings,
        live=hub,
        continues=continues,
    )
    return heard_by(hub, run)


def open_session(path: str | Path) -> Operation:
    """A session from its file, to look at; it is never executable.

    Raises:
        SessionNotFound, SessionCorrupt: there is none, or it does not agree with itself.
    """
    from dotai_nb.workflow.replayed import Stored

    where = Path(path)
    loaded = store.open_at_rest(where)
    return Operation(Stored(where, loaded.recorded), Hub(), Settings.from_environment())


def sessions(directory: str | Path | None = None) -> pd.DataFrame:
    """The sessions of a folder, newest first; by default where new ones are kept.

    Returns:
        A row a session file: `id, created_at, updated_at, status, outcome, intent, live, error,
        path`; a file that can't be read is listed with its error.
    """
    import pandas as pd

    where = Path(directory) if directory else paths.session_directory(Settings.from_environment())
    rows = [{c: getattr(s, c) for c in _LISTED} for s in store.sessions(where)]
    return pd.DataFrame(rows, columns=_LISTED)


_LISTED = [
    "id",
    "created_at",
    "updated_at",
    "status",
    "outcome",
    "intent",
    "live",
    "error",
    "path",
]
