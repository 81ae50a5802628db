"""How durations, counts, places and states are said; the same words in every view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from dotai_nb.session.canonical import canonical
from dotai_nb.session.events import Interrupted
from dotai_nb.session.values import (
    Accepted,
    DependsOn,
    NotAllowed,
    Outcome,
    Refused,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dotai_nb.session.events import Failed, RolloutProgressed, SessionStarted
    from dotai_nb.session.session import Session, ToolCall
    from dotai_nb.session.values import Evidence, ObjectRef, Usage

STATUS: Mapping[Status, str] = {
    Status.ANALYZING: "Analyzing",
    Status.ANALYSIS_COMPLETE: "Analysis complete",
    Status.EXECUTING: "Executing",
    Status.EXECUTED_SUCCESSFULLY: "Executed successfully",
    Status.EXECUTED_WITH_ERRORS: "Executed with errors",
    Status.FAILED: "Failed",
}

OUTCOME: Mapping[Outcome, str] = {
    Outcome.PROPOSAL: "Proposal",
    Outcome.NO_CHANGE_NEEDED: "No change needed",
    Outcome.BLOCKED_BY_POLICY: "Blocked by policy",
    Outcome.NEEDS_CLARIFICATION: "Needs clarification",
    Outcome.FAILED: "Analysis failed",
    Outcome.BUDGET_EXHAUSTED: "Turn budget exhausted",
    Outcome.CANCELLED: "Cancelled",
}

SHORT_DIGEST = 12
BY_HAND = "written by hand: no model was asked"
SHARED = "shared with the investigation"
SEPARATE = "separate from the investigation"
REPLAY = "REPLAY: everything here comes from a file. Nothing is sent anywhere."


def headline(session: Session) -> str:
    """The session's state in two or three words."""
    if session.status is Status.EXECUTING and session.cancelled:
        return "Cancelling"
    if session.status is Status.ANALYSIS_COMPLETE and session.outcome is Outcome.PROPOSAL:
        return "Proposal ready for review"
    if session.status in (Status.ANALYSIS_COMPLETE, Status.FAILED) and session.outcome:
        return OUTCOME[session.outcome]
    return STATUS[session.status]


def duration(milliseconds: float) -> str:
    """`8 ms`, `0.42 s`, `12 s`, `3 min 5 s`."""
    seconds = milliseconds / 1000
    if milliseconds < 100:  # noqa: PLR2004 - below a tenth of a second
        return f"{milliseconds:.0f} ms"
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.2g} s"
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def plural(count: int, noun: str, plural_noun: str = "") -> str:
    """`1 step`, `2 steps`."""
    return f"{count:,} {noun if count == 1 else plural_noun or noun + 's'}"


def tokens(usage: Usage) -> str:
    """`12,480 tokens (11,900 in, 8,200 of them cached; 580 out)`."""
    if not usage.total:
        return "no tokens"
    read = usage.input + usage.cache_read + usage.cache_write
    cached = f", {usage.cache_read:,} of them cached" if usage.cache_read else ""
    return f"{usage.total:,} tokens ({read:,} in{cached}; {usage.output:,} out)"


def place(ref: ObjectRef) -> str:
    """`deployments.apps/web in shop`."""
    return f"{ref} in {ref.namespace}" if ref.namespace else str(ref)


def object_name(ref: ObjectRef) -> str:
    """`Deployment web`."""
    return f"{ref.kind} {ref.name}"


def evidence(found: Evidence) -> str:
    """What the API server said to the dry run, in a sentence of ours and its own words."""
    match found:
        case Accepted():
            return "accepted by the API server's dry run"
        case Refused():
            return f"refused by the API server: {found.message} ({found.code} {found.reason})"
        case NotAllowed():
            return f"not allowed: {found.message}"
        case DependsOn():
            numbers = ", ".join(map(str, found.steps))
            return f"can only be checked after {plural(len(found.steps), 'step')}: {numbers}"
        case _:
            assert_never(found)


def cautions(accepted: Accepted) -> list[str]:
    """What a reviewer must not miss about an accepted dry run."""
    found = [f"Warning of the API server: {warning}" for warning in accepted.warnings]
    if accepted.conflicts:
        found.append(f"Other managers own fields this changes: {', '.join(accepted.conflicts)}")
    if accepted.dependents:
        found.append(f"Goes with it, by owner reference: {', '.join(accepted.dependents)}")
    return found


def first_line(text: str) -> str:
    """The first line that says something."""
    return text.strip().split("\n", 1)[0]


def failure(failed: Failed | Interrupted) -> str:
    """Why the session ended, and what to do next."""
    if isinstance(failed, Interrupted):
        return f"Interrupted: {failed.message}"
    request = f" (request {failed.request_id})" if failed.request_id else ""
    return f"{failed.error}: {failed.message}{request} {failed.hint}".strip()


def latest_rollouts(session: Session) -> list[RolloutProgressed]:
    """The last word on each rollout, in the order they began."""
    latest: dict[tuple[int, ObjectRef], RolloutProgressed] = {}
    for progress in session.rollouts:
        latest[progress.step, progress.target] = progress
    return list(latest.values())


def arguments(value: Any) -> str:
    """A tool's arguments as `resource=pods namespace=shop`; other JSON as it is."""
    if not isinstance(value, dict):
        return value if isinstance(value, str) else canonical(value).decode()
    return " ".join(f"{key}={_argument(item)}" for key, item in value.items())


def _argument(item: Any) -> str:
    plain = isinstance(item, str) and item and not any(c.isspace() for c in item)
    return item if plain else canonical(item).decode()


def call_number(session: Session, call_id: str) -> int:
    """The tool call's 1-based place in the session; 0 if it is not in it."""
    ids = [tool.called.call_id for tool in session.tools]
    return ids.index(call_id) + 1 if call_id in ids else 0


def call_label(session: Session, call_id: str) -> str:
    """`#3 kubectl_get resource=pods`; the bare id if the session has no such call."""
    tool = session.tool(call_id)
    if tool is None:
        return call_id
    said = arguments(tool.called.arguments)
    shortened = said if len(said) <= 60 else said[:59] + "…"  # noqa: PLR2004 - fits a line
    return f"#{call_number(session, call_id)} {tool.called.name} {shortened}".strip()


def measured(tool: ToolCall) -> str:
    """`14 of 200 (truncated)`; empty when the tool measured nothing."""
    found = tool.finished.measured if tool.finished else None
    if found is None:
        return ""
    total = "" if found.total is None else f" of {found.total:,}"
    return f"{found.returned:,}{total}" + (" (truncated)" if found.truncated else "")


def marks(started: SessionStarted, *, replayed: bool) -> list[str]:
    """What tells a replay, recorded turns or a person's own steps from a live run of a model."""
    found = [REPLAY] if replayed else []
    if started.recording:
        made = "written by hand (scripted): no model made them" if started.scripted else "recorded"
        found.append(f"RECORDED TURNS: the model's turns come from “{started.recording}”, {made}.")
    elif started.scripted:
        found.append("SCRIPTED: no model made these turns.")
    elif started.by_hand:
        found.append(f"{BY_HAND[0].upper()}{BY_HAND[1:]}.")
    return found


def executor(started: SessionStarted) -> str:
    """The username that executes."""
    return started.executes_as or started.identity


def model(started: SessionStarted) -> str:
    """Which model is asked, and where its data goes."""
    if started.by_hand:
        return BY_HAND
    if started.recording:
        return f"recording {started.recording}" + (" (scripted)" if started.scripted else "")
    return f"{started.model} at {started.endpoint}" if started.endpoint else started.model
