"""The one run of an approved plan: send, settle, conclude."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from dotai_nb.cluster import checks, rollout
from dotai_nb.cluster.execution import Drifted, run_step
from dotai_nb.errors import DotAiError
from dotai_nb.session.events import StepFinished, VerdictReached
from dotai_nb.session.values import ResultKind, StepResult, Verdict, VerdictKind
from dotai_nb.workflow import validate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from dotai_nb.cluster.connection import Connection
    from dotai_nb.cluster.guard import Grant
    from dotai_nb.session.events import Event, StepChecked
    from dotai_nb.session.session import Session
    from dotai_nb.session.values import Check, ObjectRef

    ByModel = Callable[[Sequence[Check]], Coroutine[Any, Any, tuple[VerdictKind, str]]]

OnError = Literal["continue", "stop"]
T = TypeVar("T")


class Execution:
    """Runs the steps of an approved plan, one at a time.

    Args:
        session: gives the session as it stands now.
        record: appends an event; durable before it returns for `step_*`.
        stop: set to send no further step and to wait for nothing more.
    """

    def __init__(
        self,
        connection: Connection,
        grant: Grant,
        session: Callable[[], Session],
        record: Callable[[Event], object],
        stop: asyncio.Event,
    ) -> None:
        self._connection = connection
        self._grant = grant
        self._session = session
        self._record = record
        self._stop = stop

    async def send_steps(self, on_error: OnError) -> None:
        """Every step gets a result: sent, or skipped with the reason."""
        sent: list[StepChecked] = []
        reason = ""
        for _, checked in self._session().planned:
            if not reason and self._stop.is_set():
                reason = "cancelled"
            if reason:
                self._skip(checked, reason)
                continue
            try:
                result = await run_step(
                    self._connection, self._grant, checked, self._record, earlier=tuple(sent)
                )
            except Drifted as drift:
                reason = f"drift: {drift.message}"
                continue
            sent.append(checked)
            if result.result is ResultKind.FAILED and on_error == "stop":
                reason = f"step {checked.step.number} failed, and the run stops on errors"

    async def settle(self, deadline: float) -> None:
        """Wait for the rollouts that the succeeded steps have set off, once an object.

        Args:
            deadline: seconds for each.
        """
        session = self._session()
        waiting: dict[ObjectRef, int] = {}
        for _, checked in session.planned:
            result = session.result(checked.step.number)
            succeeded = result is not None and result.result is ResultKind.SUCCEEDED
            if succeeded and rollout.waits(checked.step.target):
                waiting[checked.step.target] = checked.step.number
        await self._unless_stopped(
            asyncio.gather(
                *(
                    rollout.wait_for_rollout(
                        self._connection,
                        target,
                        step=number,
                        deadline=deadline,
                        record=self._record,
                    )
                    for target, number in waiting.items()
                )
            )
        )

    async def conclude(self, by_model: ByModel | None) -> None:
        """The verdict always comes: a check that can't be made is `inconclusive`, told so.

        Args:
            by_model: the model's own look; None: the code's checks alone.
        """
        self._close_steps()
        with self._connection.trail() as audit_ids:
            looked, code, summary = await self._look()
        model: VerdictKind | None = None
        analysis = self._session().analysis
        if by_model is not None and analysis is not None and analysis.validation_intent:
            asked = await self._unless_stopped(by_model(looked))
            model, words = asked or (VerdictKind.INCONCLUSIVE, "The model's check was stopped.")
            summary = f"{summary} {words}".strip()
        worst = max([v for v in (code, model) if v], key=lambda v: v.rank)
        verdict = Verdict(
            verdict=worst, summary=summary, checks=looked, by_code=code, by_model=model
        )
        self._record(VerdictReached(verdict=verdict, audit_ids=tuple(audit_ids)))

    def _close_steps(self) -> None:
        """Every step has a result: what was sent without one is unknown, the rest was skipped."""
        for _, checked in self._session().planned:
            number = checked.step.number
            if self._session().result(number) is not None:
                continue
            if number in self._session().running:
                words = "The run ended before the answer was recorded: look at the cluster."
                lost = StepResult(step=number, result=ResultKind.UNKNOWN, error=words)
                self._record(StepFinished(result=lost))
            else:
                self._skip(checked, "the run ended before its turn")

    def _skip(self, checked: StepChecked, reason: str) -> None:
        skipped = StepResult(step=checked.step.number, result=ResultKind.SKIPPED, error=reason)
        self._record(StepFinished(result=skipped))

    async def _look(self) -> tuple[tuple[Check, ...], VerdictKind, str]:
        try:
            looked = await checks.look_after(self._connection, self._session())
        except DotAiError as error:
            return (), VerdictKind.INCONCLUSIVE, f"The checks could not be made: {error}"
        return looked, validate.by_code(looked), validate.sentence(looked)

    async def _unless_stopped(self, work: Awaitable[T]) -> T | None:
        """Its result; None, with the work cancelled, once a person has pressed Cancel."""
        working = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            stopped.cancel()
            working.cancel()
            await asyncio.wait({working, stopped})
