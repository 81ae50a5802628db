"""An execution as HTML: each step's answer, rollouts, the verdict, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotai_nb.session.values import ResultKind, VerdictKind
from dotai_nb.views import words
from dotai_nb.views.activity import Fragment, title
from dotai_nb.views.escape import html

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dotai_nb.session.events import RolloutProgressed, StepChecked
    from dotai_nb.session.session import Session
    from dotai_nb.session.values import Check, Verdict

_MARKS = {
    ResultKind.SUCCEEDED: ("dn-good", "✓"),
    ResultKind.FAILED: ("dn-bad", "✗"),
    ResultKind.SKIPPED: ("dn-quiet", "-"),
    ResultKind.UNKNOWN: ("dn-warn", "?"),
}
_VERDICT_TONES = {
    VerdictKind.PASSED: "dn-good",
    VerdictKind.INCONCLUSIVE: "dn-warn",
    VerdictKind.FAILED: "dn-bad",
}
_CHECKS = {True: ("dn-good", "✓"), False: ("dn-bad", "✗"), None: ("dn-warn", "?")}


def results(session: Session) -> Iterator[Fragment]:
    """A row per step of the plan: waiting, running, or what the API server answered."""
    if session.execution is None:
        return
    yield Fragment("results", f'<div class="dn">{title("Execution")}</div>')
    for _, checked in session.planned:
        yield Fragment(f"result-{checked.step.number}", _result(session, checked))


def _result(session: Session, checked: StepChecked) -> str:
    number = checked.step.number
    result = session.result(number)
    if result:
        (tone, sign), said = _MARKS[result.result], result.error or result.output
        took = words.duration(result.duration_ms) if result.duration_ms else ""
    elif number in session.running:
        tone, sign, said, took = "dn-warn dn-running", "●", "sent, waiting for the answer", ""
    else:
        tone, sign, said, took = "dn-quiet", "·", "waiting", ""
    kind = result.result if result else ""
    return (
        f'<div class="dn dn-result"><span class="dn-mark {tone}" title="{kind}">{sign}</span>'
        f'<span class="dn-quiet">{number}</span>'
        f"<code>{html(words.place(checked.step.target))}</code>"
        f'<span class="{"dn-bad" if result and result.error else ""}">{html(said)}</span>'
        f'<span class="dn-meta">{took}</span></div>'
    )


def rollouts(session: Session) -> Iterator[Fragment]:
    """A bar per rollout that is waited for."""
    for progress in words.latest_rollouts(session):
        key = f"rollout-{progress.step}-{progress.target}"
        yield Fragment(key, _rollout(progress))


def _rollout(progress: RolloutProgressed) -> str:
    tone = {"done": "dn-good", "failed": "dn-bad", "deadline": "dn-bad"}.get(progress.state, "")
    counted = f"{progress.ready} of {progress.wanted}"
    bar = f'<progress value="{progress.ready}" max="{max(progress.wanted, 1)}">{counted}</progress>'
    return (
        f'<div class="dn dn-result"><span></span><span></span>'
        f"<code>{html(words.place(progress.target))}</code>"
        f'<span>{bar} {counted} ready <span class="dn-quiet">{html(progress.message)}</span></span>'
        f'<span class="{tone}">{progress.state}</span></div>'
    )


def verdict(session: Session) -> Iterator[Fragment]:
    """What the checks after the execution say, each by name."""
    if session.verdict:
        yield Fragment("verdict", _verdict(session.verdict))


def _verdict(found: Verdict) -> str:
    tone = _VERDICT_TONES[found.verdict]
    asked = f"the model: {found.by_model}" if found.by_model else "the model was not asked"
    items = "".join(_check(check) for check in found.checks)
    return (
        f'<div class="dn">{title("Verdict")}<p class="dn-banner {tone}"><span>'
        f'<b class="{tone}">{found.verdict}.</b> {html(found.summary)}<br>'
        f'<span class="dn-quiet">the checks in code: {found.by_code}; {asked}</span></span></p>'
        f"{items}</div>"
    )


def _check(check: Check) -> str:
    tone, sign = _CHECKS[check.ok]
    detail = f' <span class="dn-quiet">{html(check.detail)}</span>' if check.detail else ""
    return f'<div><span class="dn-mark {tone}">{sign}</span> {html(check.name)}{detail}</div>'


def ending(session: Session) -> Iterator[Fragment]:
    """Why it ended early, and what the reader should know."""
    if session.failure:
        said = words.failure(session.failure)
        yield Fragment("failure", _banner("dn-bad", said))
    for number, note in enumerate(session.notes):
        yield Fragment(f"note-{number}", _banner("dn-warn", note))


def _banner(tone: str, text: str) -> str:
    return f'<div class="dn"><p class="dn-banner {tone}"><span>{html(text)}</span></p></div>'
