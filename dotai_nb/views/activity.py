"""What the model says and does, as HTML: the words as they come, each tool call as a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, assert_never

from dotai_nb.session.events import TextSaid, Thought, ToolCalled
from dotai_nb.session.values import Accepted, Status
from dotai_nb.views import words
from dotai_nb.views.escape import html

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dotai_nb.session.events import Purpose
    from dotai_nb.session.session import Session, ToolCall, Turn

_MARKS = {
    "waiting": ("dn-quiet", "·"),
    "running": ("dn-warn dn-running", "●"),
    "ok": ("dn-good", "✓"),
    "failed": ("dn-bad", "✗"),
}
_TONES = {
    Status.ANALYZING: "dn-warn",
    Status.ANALYSIS_COMPLETE: "dn-good",
    Status.EXECUTING: "dn-warn",
    Status.EXECUTED_SUCCESSFULLY: "dn-good",
    Status.EXECUTED_WITH_ERRORS: "dn-bad",
    Status.FAILED: "dn-bad",
}


class Fragment(NamedTuple):
    """A piece of a page that is replaced on its own, so that what a person unfolded stays so.

    Attributes:
        key: the same for the same thing at every moment of a session.
        html: escaped and whole.
    """

    key: str
    html: str


def title(inside: str) -> str:
    """A section's title, given as HTML.

    Not a heading element: JupyterLab would list each in the notebook's table of contents.
    """
    return f'<div class="dn-title" role="heading" aria-level="4"><b>{inside}</b></div>'


def status_line(session: Session, elapsed: float | None = None) -> str:
    """How it stands: state, turn, seconds of this phase where they are known, tokens."""
    mark = '<span class="dn-running">●</span> ' if not session.at_rest else ""
    head = f'<b class="{_TONES[session.status]}">{mark}{html(words.headline(session))}</b>'
    parts = [f"turn {session.turns[-1].number}"] if session.turns else []
    if elapsed is not None:
        parts.append(words.duration(elapsed * 1000))
    parts.append(words.tokens(session.usage))
    quiet = "".join(f' <span class="dn-quiet">{part}</span>' for part in parts)
    retry = f'<span class="dn-warn">{html(_retry(session))}</span>' if _retrying(session) else ""
    return f'<div class="dn dn-status" role="status">{head}{quiet}{retry}</div>'


def _retrying(session: Session) -> bool:
    """The turn that streams now failed before and has not said anything since."""
    if session.at_rest or not session.retries:
        return False
    last = session.turns[-1]
    return last.number == session.retries[-1].turn and not last.blocks and last.finished is None


def _retry(session: Session) -> str:
    last = session.retries[-1]
    return f"retry {last.attempt} in {last.wait:.0f} s: {last.error}"


def log(session: Session, purpose: Purpose, saying: str = "") -> Iterator[Fragment]:
    """The turns of one purpose, block by block; `saying` is the block that still streams."""
    turns = [turn for turn in session.turns if turn.purpose == purpose]
    for turn in turns:
        yield from _turn(session, turn)
    if saying and turns and turns[-1] is session.turns[-1]:
        last = turns[-1]
        yield Fragment(f"t{last.number}b{len(last.blocks)}", _said(saying))


def _turn(session: Session, turn: Turn) -> Iterator[Fragment]:
    for place, block in enumerate(turn.blocks):
        key = f"t{turn.number}b{place}"
        match block:
            case TextSaid():
                yield Fragment(key, _said(block.text))
            case ToolCalled():
                if tool := session.tool(block.call_id):
                    yield Fragment(key, tool_row(session, tool))
            case Thought():
                pass
            case _:
                assert_never(block)


def _said(text: str) -> str:
    return f'<div class="dn dn-said">{html(text.strip())}</div>'


def anchor(session: Session, call_id: str) -> str:
    """The HTML id of a tool call's row."""
    return html(f"{session.id}-call-{words.call_number(session, call_id)}")


def tool_row(session: Session, tool: ToolCall) -> str:
    """One tool call: state, number, name, arguments, how much, how long; unfold for its answer."""
    called = tool.called
    tone, sign = _MARKS[tool.state]
    number = words.call_number(session, called.call_id)
    summary = (
        f'<span class="dn-mark {tone}" title="{tool.state}">{sign}</span>'
        f'<span class="dn-quiet">#{number}</span> <code>{html(called.name)}</code> '
        f'<code class="dn-args">{html(words.arguments(called.arguments))}</code> '
        f'<span class="dn-meta">{_meta(session, tool)}</span>'
    )
    body = f"<pre>{html(tool.finished.output)}</pre>" if tool.finished else ""
    anchored = f'id="{anchor(session, called.call_id)}"'
    return f'<details class="dn dn-call" {anchored}><summary>{summary}</summary>{body}</details>'


def _meta(session: Session, tool: ToolCall) -> str:
    if tool.finished is None:
        return tool.state
    made = _made(session, tool.finished.step)
    took = words.duration(tool.finished.duration_ms)
    return " · ".join(part for part in (made, words.measured(tool), took) if part)


def _made(session: Session, number: int | None) -> str:
    """The step of a dry run; an answer that isn't a yes is said, since the call itself is fine."""
    checked = session.step(number) if number is not None else None
    if checked is None:
        return ""
    if isinstance(checked.evidence, Accepted):
        return f"step {number}"
    kind = checked.evidence.kind.replace("_", " ")
    return f'<span class="dn-bad">step {number} {kind}</span>'
