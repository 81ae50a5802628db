"""A session as plain text, for a console and for `text/plain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from dotai_nb.session.events import TextSaid, Thought, ToolCalled
from dotai_nb.views import words
from dotai_nb.views.escape import line, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dotai_nb.session.session import Session, ToolCall, Turn

_INDENT = "  "


def plain(session: Session, *, replayed: bool = False) -> str:
    """How far the session has come, one fact a line; nothing hidden, nothing coloured."""
    return "\n".join(_lines(session, replayed=replayed))


def _lines(session: Session, *, replayed: bool) -> Iterator[str]:
    started = session.started
    yield f"{session.id}: {words.headline(session)}"
    for mark in words.marks(started, replayed=replayed):
        yield line(mark)
    yield f"intent: {line(session.intent)}"
    for text in session.refinements:
        yield f"refined: {line(text)}"
    where = f"{started.context or '(in-cluster)'} {started.fingerprint.server}"
    yield line(f"cluster: {where} as {started.identity}, namespace {started.namespace or '-'}")
    if started.executes_as:
        yield line(f"executes as: {started.executes_as}, {words.SEPARATE}")
    for turn in session.turns:
        yield from _turn(session, turn)
    yield from _analysis(session)
    yield from _execution(session)
    if session.failure:
        yield line(words.failure(session.failure))
    for note in session.notes:
        yield f"note: {line(note)}"
    yield words.tokens(session.usage)


def _turn(session: Session, turn: Turn) -> Iterator[str]:
    yield f"turn {turn.number} ({turn.purpose})"
    for block in turn.blocks:
        match block:
            case TextSaid():
                yield from (f"{_INDENT}{text}" for text in visible(block.text).splitlines())
            case ToolCalled():
                if tool := session.tool(block.call_id):
                    yield f"{_INDENT}{_call(session, tool)}"
            case Thought():
                pass
            case _:
                assert_never(block)


def _call(session: Session, tool: ToolCall) -> str:
    parts = [f"[{tool.state}]", words.call_label(session, tool.called.call_id)]
    if tool.finished:
        parts += [words.duration(tool.finished.duration_ms), words.measured(tool)]
        if not tool.finished.ok:
            parts.append(f"- {words.first_line(tool.finished.output)}")
    return line(" ".join(part for part in parts if part))


def _analysis(session: Session) -> Iterator[str]:
    analysis = session.analysis
    if analysis is None:
        return
    yield f"{words.OUTCOME[analysis.outcome]}: {line(analysis.summary)}"
    if analysis.question:
        yield f"question: {line(analysis.question)}"
    if analysis.alternative:
        yield f"what would be allowed: {line(analysis.alternative)}"
    for planned, checked in session.planned:
        target = f"{checked.step.action} {words.place(checked.step.target)}"
        yield line(f"step {planned.step}: {target}, {words.evidence(checked.evidence)}")
        yield from (f"{_INDENT}{text}" for text in visible(checked.step.command).splitlines())
    if analysis.risk:
        yield line(f"risk {analysis.risk.level}: {' '.join(analysis.risk.reasons)}")
    if session.digest:
        yield f"plan {session.digest[: words.SHORT_DIGEST]}"


def _execution(session: Session) -> Iterator[str]:
    for number in session.running:
        yield f"step {number}: running"
    for result in session.results:
        yield line(f"step {result.step}: {result.result} {result.error or result.output}")
    for progress in words.latest_rollouts(session):
        counted = f"{progress.ready} of {progress.wanted} ready, {progress.state}"
        yield line(f"rollout {words.place(progress.target)}: {counted}")
    if session.verdict:
        yield line(f"verdict {session.verdict.verdict}: {session.verdict.summary}")
