"""Short ways to write a model's turns; they reach the code as real HTTP, through aimock."""

from __future__ import annotations

from itertools import count
from typing import Any

from dotai_nb.llm.conversation import Answer, Text, ToolUse
from dotai_nb.session.values import Usage

MODEL = "claude-test"
_ids = count(1)


def call(name: str, /, **arguments: Any) -> ToolUse:
    """A tool call, `kubectl_` left out of its name."""
    whole = name if name in ("propose", "conclude") else f"kubectl_{name}"
    return ToolUse(f"toolu_{next(_ids):04}", whole, arguments)


def turn(*blocks: ToolUse | str) -> Answer:
    """Words and calls of one turn."""
    made = tuple(Text(b) if isinstance(b, str) else b for b in blocks)
    stop = "tool_use" if any(isinstance(b, ToolUse) for b in made) else "end_turn"
    return Answer(made, stop, MODEL, Usage(input=100, output=20))


def propose(*steps: int, **changes: Any) -> Answer:
    """A proposal of these steps, resting on call 1."""
    given: dict[str, Any] = {
        "outcome": "proposal",
        "summary": "As asked.",
        "observations": [{"text": "Seen.", "calls": [1]}],
        "steps": [{"step": n, "reason": "The intent asks for it."} for n in steps],
        "risk": {"level": "low", "reasons": ["A small change."]},
        "validation_intent": "The change is there and everything is ready.",
    }
    return turn(call("propose", **{**given, **changes}))


def conclude(verdict: str = "passed") -> Answer:
    """The end of a validation."""
    return turn(call("conclude", verdict=verdict, summary=f"It {verdict}."))
