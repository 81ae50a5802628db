"""A conversation as the body of a Messages request.

The body only ever grows at its end: the system prompt, the tools and all earlier messages are
written the same way in every turn. Newer models bind each thinking block to everything before
it and refuse a history that was rewritten, see
https://platform.claude.com/docs/en/build-with-claude/preserved-thinking/prefix-checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from dotai_nb.llm.conversation import Answer, Asked, Block, Text, Thinking, ToolUse
from dotai_nb.llm.encoding import encodable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dotai_nb.llm.conversation import Conversation, ToolResult, ToolSchema
    from dotai_nb.session.canonical import JsonObject

MAX_TOKENS = 32_000
"""Of one turn, thinking included; every model that is served allows at least 64,000."""

_CACHED: JsonObject = {"type": "ephemeral"}
"""Marks the end of a prefix to keep. Four marks are allowed; we set the tools, the system prompt,
and the ends of the last two messages of ours: what this turn writes, and what the last one wrote,
which is not found by itself when more than 20 blocks lie in between.

https://platform.claude.com/docs/en/build-with-claude/prompt-caching
"""

_THINKS_ONLY_BY_BUDGET = ("claude-3", "-4-0", "-4-1", "-4-2025", "-4-5")
"""Parts of the ids of models that refuse adaptive thinking; they are asked without thinking."""


def request_body(model: str, conversation: Conversation) -> dict[str, Any]:
    """The arguments of `messages.create` for the next turn.

    `must_call` stays in words. A forced `tool_choice` is refused with a 400 by every model since
    5.5, and by the earlier ones while they think; whoever sets `must_call` says so in the text of
    that turn, where it remains a part of the history. Issue threads that show the answer:
    https://github.com/can1357/oh-my-pi/issues/12939, https://github.com/vercel/ai/issues/21364.
    """
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": MAX_TOKENS,
        "messages": _messages(conversation.said),
    }
    if conversation.system:
        body["system"] = [_text(conversation.system) | {"cache_control": _CACHED}]
    if conversation.tools:
        body["tools"] = _tools(conversation.tools)
    if not any(part in model for part in _THINKS_ONLY_BY_BUDGET):
        # Words between tool calls arrive as thinking; without `display` they would be empty.
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
    return body


def _tools(tools: Iterable[ToolSchema]) -> list[JsonObject]:
    written: list[JsonObject] = [
        {
            "name": tool.name,
            "description": encodable(tool.description),
            "input_schema": encodable(tool.parameters),
        }
        for tool in tools
    ]
    written[-1]["cache_control"] = _CACHED
    return written


def _messages(said: Iterable[Asked | Answer]) -> list[JsonObject]:
    messages: list[JsonObject] = []
    for turn in said:
        role, content = ("user", _asked(turn)) if isinstance(turn, Asked) else _answered(turn)
        if content:  # the API refuses a message without content
            messages.append({"role": role, "content": content})
    for message in [m for m in messages if m["role"] == "user"][-2:]:
        message["content"][-1]["cache_control"] = _CACHED
    return messages


def _asked(asked: Asked) -> list[JsonObject]:
    # Results come first: the API refuses a text between the calls and their results.
    content = [_result(result) for result in asked.results]
    return [*content, _text(asked.text)] if asked.text.strip() else content


def _result(result: ToolResult) -> JsonObject:
    written: JsonObject = {"type": "tool_result", "tool_use_id": result.call_id}
    if result.output:
        written["content"] = encodable(result.output)
    if not result.ok:
        written["is_error"] = True
    return written


def _answered(answer: Answer) -> tuple[str, list[JsonObject]]:
    return "assistant", [written for block in answer.blocks if (written := _block(block))]


def _block(block: Block) -> JsonObject | None:
    match block:
        case Text(text=text):
            # The API refuses to take back a text of nothing but white space.
            return _text(text) if text.strip() else None
        case Thinking(redacted=data) if data:
            return {"type": "redacted_thinking", "data": data}
        case Thinking(text=text, signature=signature):
            return {"type": "thinking", "thinking": text, "signature": signature}
        case ToolUse(call_id=call_id, name=name, arguments=arguments):
            return {
                "type": "tool_use",
                "id": call_id,
                "name": name,
                "input": encodable(_input(arguments)),
            }
        case _:
            assert_never(block)


def _input(arguments: Any) -> JsonObject:
    # An input has to be an object. Wrapped so, the model sees what it wrote:
    # https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming
    return arguments if isinstance(arguments, dict) else {"INVALID_JSON": arguments}


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": encodable(text)}
