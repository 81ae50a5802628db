"""The loop: the model takes turns with tools until it concludes in a way that the record bears out.

One loop serves the analysis and the check after an execution; they differ in their tools and in
what counts as a conclusion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import ValidationError

from dotai_nb.errors import ModelError
from dotai_nb.llm.conversation import (
    Asked,
    Block,
    Conversation,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from dotai_nb.llm.nesting import too_deep
from dotai_nb.session.events import (
    ModelRetried,
    TextDelta,
    TextSaid,
    Thought,
    ToolCalled,
    ToolFinished,
    TurnFinished,
    TurnStarted,
)
from dotai_nb.workflow.conclusion import Unfounded
from dotai_nb.workflow.toolbox import Toolbox, problems, schemas, shown_arguments
from dotai_nb.workflow.tools import Arguments, Tool, schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from dotai_nb.llm.conversation import Answer, Model
    from dotai_nb.session.events import Event, Purpose
    from dotai_nb.session.session import Session
    from dotai_nb.workflow.prompts import Prompts

MAX_TURNS = 30
ACCEPTED = "accepted"
ENDED_WITHOUT_ANSWER = ("refusal", "model_context_window_exceeded")

A = TypeVar("A", bound=Arguments)
R = TypeVar("R")


class BudgetExhausted(ModelError):
    """All turns were used and the last one did not conclude."""


class ModelRefused(ModelError):
    """The provider says that the model declines, or that the conversation is too long for it."""


@dataclass(frozen=True, slots=True)
class Goal(Generic[A, R]):
    """What ends the loop: a tool whose call is accepted.

    Attributes:
        accept: the conclusion, from the call's arguments; raises `Unfounded` to send it back.
    """

    purpose: Purpose
    name: str
    arguments: type[A]
    accept: Callable[[A], R]
    tools: dict[str, Tool]
    max_turns: int = MAX_TURNS


@dataclass(slots=True)
class Investigator:
    """A model, its tools, and what was said so far; refining goes on with the same one.

    Attributes:
        record: appends an event to the session.
        live: hears what is not kept.
    """

    model: Model
    toolbox: Toolbox
    prompts: Prompts
    session: Callable[[], Session]
    record: Callable[[Event], object]
    live: Callable[[TextDelta], None]
    said: tuple[Asked | Answer, ...] = ()

    async def run(self, goal: Goal[A, R], *, system: str, ask: str) -> R:
        """Ask, and take turns until the goal's tool is called in a way that is accepted.

        Raises:
            BudgetExhausted: after `max_turns` turns, the last of which had to conclude.
            ModelRefused: the model declines.
            ModelError: the provider could not be asked.
        """
        tools = (*schemas(goal.tools), schema(goal.name, goal.arguments))
        self.said = (*self.said, Asked(ask))
        for left in range(goal.max_turns - 1, -1, -1):
            conversation = Conversation(
                system, tools, self.said, must_call="" if left else goal.name
            )
            answer = await self._turn(goal.purpose, conversation)
            self.said = (*self.said, answer)
            if answer.stop_reason in ENDED_WITHOUT_ANSWER and not answer.calls:
                raise ModelRefused(
                    f"The model ended its turn with {answer.stop_reason}.",
                    request_id=answer.request_id,
                    hint="Say the intent differently or more narrowly, or choose another model.",
                )
            results, concluded = await self._answer(goal, answer)
            last = left == 1
            reminded = last or not results
            reminder = self.prompts.render("operate-conclude", tool=goal.name, last=last)
            self.said = (*self.said, Asked(reminder if reminded else "", results))
            if concluded:
                return concluded[0]
        raise BudgetExhausted(
            f"The model used all {goal.max_turns} turns and did not conclude with {goal.name}.",
            hint="Make the intent smaller, or choose a stronger model.",
        )

    async def _turn(self, purpose: Purpose, conversation: Conversation) -> Answer:
        number = len(self.session().turns) + 1
        self.record(TurnStarted(turn=number, purpose=purpose))
        answer = await self.model.turn(
            conversation, _Scribe(number, self.record, self.live, strict=self.toolbox.strict)
        )
        self.record(
            TurnFinished(
                turn=number,
                stop_reason=answer.stop_reason,
                model=answer.model,
                usage=answer.usage,
                request_id=answer.request_id,
            )
        )
        return answer

    async def _answer(
        self, goal: Goal[A, R], answer: Answer
    ) -> tuple[tuple[ToolResult, ...], tuple[R, ...]]:
        """Every call gets an answer; the conclusion, if any, is judged after the tools have run."""
        uses = [use for use in answer.calls if use.name != goal.name]
        answers = {r.call_id: r for r in await self.toolbox.answer(uses, goal.tools)}
        concluded: tuple[R, ...] = ()
        for use in answer.calls:
            if use.name != goal.name:
                continue
            if concluded:
                output = "This turn has concluded already; the first conclusion counts."
            else:
                output, concluded = _judged(goal, use)
            ok = output == ACCEPTED
            self.record(ToolFinished(call_id=use.call_id, ok=ok, output=output, duration_ms=0))
            answers[use.call_id] = ToolResult(use.call_id, output, ok=ok)
        return tuple(answers[use.call_id] for use in answer.calls), concluded


def _judged(goal: Goal[A, R], use: ToolUse) -> tuple[str, tuple[R, ...]]:
    """What the model is told of its conclusion, and the conclusion if it stands."""
    if too_deep(use.arguments):
        return f"{goal.name}: the arguments are nested too deeply.", ()
    try:
        return ACCEPTED, (goal.accept(goal.arguments.model_validate(use.arguments)),)
    except ValidationError as error:
        return f"{goal.name}: {problems(error)}. Correct the arguments.", ()
    except Unfounded as error:
        return str(error), ()


@dataclass(frozen=True, slots=True)
class _Scribe:
    """Listens to one turn and writes it down."""

    turn: int
    record: Callable[[Event], object]
    live: Callable[[TextDelta], None]
    strict: bool

    def delta(self, text: str) -> None:
        self.live(TextDelta(turn=self.turn, text=text))

    def block(self, block: Block) -> None:
        match block:
            case Text(text=text):
                self.record(TextSaid(turn=self.turn, text=text))
            case Thinking():
                self.record(
                    Thought(
                        turn=self.turn,
                        text=block.text,
                        signature=block.signature,
                        redacted=block.redacted,
                    )
                )
            case ToolUse():
                self.record(
                    ToolCalled(
                        turn=self.turn,
                        call_id=block.call_id,
                        name=block.name,
                        arguments=shown_arguments(block, strict=self.strict),
                    )
                )

    def retrying(self, attempt: int, wait: float, error: str, request_id: str) -> None:
        self.record(
            ModelRetried(
                turn=self.turn, attempt=attempt, wait=wait, error=error, request_id=request_id
            )
        )
