"""Turns of a model as aimock's fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dotai_nb.llm.conversation import Answer, Text, Thinking, ToolUse

if TYPE_CHECKING:
    from collections.abc import Sequence


def fixtures_for(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """One fixture a turn: the n-th request is given the n-th answer, whatever it asks.

    Counted by request (`sequenceIndex`) and not by the messages in it (`turnIndex`): an
    operation's validation is a conversation of its own, which begins at its first message again.

    aimock can't say everything: thinking comes as one block before all else, and tokens read from
    or written to a cache are not counted.

    Raises:
        ValueError: arguments that are not JSON, of which aimock would silently make `{}`.
    """
    return [
        {"match": {"sequenceIndex": number}, "response": _response(answer)}
        for number, answer in enumerate(answers)
    ]


def _response(answer: Answer) -> dict[str, Any]:
    response: dict[str, Any] = {
        "finishReason": answer.stop_reason,
        "model": answer.model,
        "usage": {"input_tokens": answer.usage.input, "output_tokens": answer.usage.output},
    }
    spoken = [_block(block) for block in answer.blocks if not isinstance(block, Thinking)]
    response |= {"blocks": spoken} if spoken else {"content": ""}
    thoughts = [block for block in answer.blocks if isinstance(block, Thinking)]
    if redacted := [thought.redacted for thought in thoughts if thought.redacted]:
        response["redactedThinking"] = redacted
    if plain := [thought for thought in thoughts if not thought.redacted and thought.text]:
        response["reasoning"] = "\n\n".join(thought.text for thought in plain)
        response["reasoningSignature"] = plain[-1].signature
    return response


def _block(block: Text | ToolUse) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"type": "text", "text": block.text}
    if isinstance(block.arguments, str):
        raise ValueError(f"aimock can't send what is not JSON: {block.arguments!r}")  # noqa: TRY004
    return {
        "type": "toolCall",
        "id": block.call_id,
        "name": block.name,
        "arguments": block.arguments,
    }
