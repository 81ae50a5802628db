"""The same names, blocking: for scripts and plain cells.

op = dotai_nb.sync.operate("scale web to 4", namespace="shop")
op.approve()
op.execute()
"""

from __future__ import annotations

from concurrent.futures import wait
from typing import TYPE_CHECKING

from dotai_nb import operation, planning, portal
from dotai_nb.facts import SETTLE_SECONDS, Facts
from dotai_nb.operation import about, sessions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dotai_nb.settings import Settings
    from dotai_nb.steps import Change
    from dotai_nb.workflow.execute import OnError

__all__ = ["Operation", "about", "open_session", "operate", "plan", "sessions"]


class Operation(Facts):
    """An operation whose work is waited for."""

    @classmethod
    def _of(cls, other: Facts) -> Operation:
        ours = cls(other._engine, other._hub, other._settings)
        ours._work = other._work
        return ours

    def execute(self, on_error: OnError = "continue") -> Operation:
        """As `dotai_nb.Operation.execute`, blocking."""
        self._wait(self.begin(self._engine.execute(on_error)), executing=True)
        return self

    def refine(self, text: str) -> Operation:
        """As `dotai_nb.Operation.refine`, blocking."""
        self._wait(self.begin(self._engine.refine(text)))
        return self

    def renew(self, *, context: str = "", model: str = "") -> Operation:
        """As `dotai_nb.Operation.renew`, blocking."""
        started = self._asked()
        return operate(
            started.intent,
            namespace=started.namespace,
            context=context or started.context,
            model=model,
            continues=self.id,
            settings=self._settings,
        )

    def _wait(self, work: portal.Work, *, executing: bool = False) -> None:
        """Block until it is done; Interrupt cancels it, and waits until it has let go."""
        progress = self._new_progress(executing=executing)
        try:
            while not wait([work.future], timeout=progress.every).done:
                progress.update()
        except KeyboardInterrupt:
            self.cancel()
            wait([work.future], timeout=SETTLE_SECONDS)
            raise
        finally:
            progress.finish()
        work.future.result()


def operate(  # noqa: PLR0913 - what a person may choose
    intent: str,
    *,
    namespace: str = "",
    context: str = "",
    model: str = "",
    recording: str = "",
    continues: str = "",
    settings: Settings | None = None,
) -> Operation:
    """As `dotai_nb.operate`, blocking."""
    started = portal.wait(
        operation.start(
            intent,
            namespace=namespace,
            context=context,
            model=model,
            recording=recording,
            continues=continues,
            settings=settings,
        )
    )
    return _waited(started)


def plan(
    steps: str | Sequence[Change | str],
    *,
    namespace: str = "",
    context: str = "",
    intent: str = "",
    settings: Settings | None = None,
) -> Operation:
    """As `dotai_nb.plan`, blocking."""
    return _waited(
        portal.wait(
            planning.start_plan(
                steps, namespace=namespace, context=context, intent=intent, settings=settings
            )
        )
    )


def _waited(started: operation.Operation) -> Operation:
    ours = Operation._of(started)
    if ours._work is not None:
        ours._wait(ours._work)
    return ours


def open_session(path: str | Path) -> Operation:
    """As `dotai_nb.open_session`."""
    return Operation._of(operation.open_session(path))
