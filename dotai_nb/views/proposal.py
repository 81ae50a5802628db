"""The conclusion of an analysis, as HTML: what was seen, what would change, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotai_nb.session.values import Accepted, Action, Outcome, RiskLevel
from dotai_nb.views import difference, preview, tables, words
from dotai_nb.views.activity import Fragment, anchor, title
from dotai_nb.views.escape import html

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandas import DataFrame

    from dotai_nb.session.events import StepChecked
    from dotai_nb.session.session import Session
    from dotai_nb.session.values import Analysis, Observation, PlannedStep

_OUTCOME_TONES = {
    Outcome.PROPOSAL: "dn-good",
    Outcome.NO_CHANGE_NEEDED: "dn-good",
    Outcome.BLOCKED_BY_POLICY: "dn-bad",
    Outcome.NEEDS_CLARIFICATION: "dn-warn",
}
_RISK_TONES = {RiskLevel.LOW: "dn-good", RiskLevel.MEDIUM: "dn-warn", RiskLevel.HIGH: "dn-bad"}
_ACTION_TONES = {Action.CREATE: "dn-good", Action.UPDATE: "dn-warn", Action.DELETE: "dn-bad"}
_STEP_COLUMNS = ["step", "action", "object", "namespace", "evidence", "reason"]
_CHANGE_COLUMNS = ["change", "kind", "name", "namespace", "paths"]
_DIFFERENCES = "Differences, by the API server's dry run"
_COPY = (
    "navigator.clipboard.writeText(this.parentElement.querySelector('pre').textContent)"
    ".then(()=>{this.textContent='Copied'})"
)


def conclusion(session: Session) -> Iterator[Fragment]:
    """Outcome, summary, question or alternative, and the observations with their tool calls."""
    analysis = session.analysis
    if analysis is None:
        return
    yield Fragment("summary", f'<div class="dn">{_summary(analysis)}</div>')
    if analysis.observations:
        items = "".join(_observation(session, seen) for seen in analysis.observations)
        yield Fragment("observations", _section("Observations", f"<ul>{items}</ul>"))


def _summary(analysis: Analysis) -> str:
    tone = _OUTCOME_TONES.get(analysis.outcome, "dn-bad")
    chips = f'<span class="dn-chip {tone}">{html(words.OUTCOME[analysis.outcome])}</span>'
    if analysis.risk:
        level = analysis.risk.level
        chips += f' <span class="dn-chip {_RISK_TONES[level]}">{level} risk</span>'
    lines = [f"{title('Analysis')}<p>{chips}</p><p>{html(analysis.summary)}</p>"]
    if analysis.question:
        lines.append(_banner("dn-warn", "Question", analysis.question))
    if analysis.alternative:
        lines.append(_banner("dn-warn", "What would be allowed", analysis.alternative))
    return "".join(lines)


def _banner(tone: str, head: str, text: str) -> str:
    return f'<p class="dn-banner {tone}"><span><b>{head}.</b> {html(text)}</span></p>'


def _observation(session: Session, seen: Observation) -> str:
    links = " ".join(
        f'<a href="#{anchor(session, call)}" title="{html(words.call_label(session, call))}">'
        f"#{words.call_number(session, call)}&nbsp;{html(_tool_name(session, call))}</a>"
        for call in seen.calls
    )
    return f"<li>{html(seen.text)} {links}</li>"


def _tool_name(session: Session, call_id: str) -> str:
    tool = session.tool(call_id)
    return tool.called.name if tool else call_id


def overview(session: Session) -> Iterator[Fragment]:
    """Current state, proposed changes and steps, as tables."""
    if not session.planned:
        return
    shown = (
        ("Current state", tables.current_state(session).dropna(axis="columns", how="all")),
        ("Proposed changes", tables.changes(session)[_CHANGE_COLUMNS]),
        ("Steps", tables.steps(session)[_STEP_COLUMNS]),
    )
    for head, frame in shown:
        yield Fragment(head, _section(head, table(frame)))


def table(frame: DataFrame) -> str:
    """A DataFrame as a static table in the panel's own dress."""
    return f'<div class="dn-table">{preview.table(frame)}</div>'


def differences(session: Session) -> Iterator[Fragment]:
    """A fold per step with what it changes, line by line; unfolded, since it is what one reads."""
    for place, (planned, checked) in enumerate(session.planned, start=1):
        head = title(_DIFFERENCES) if place == 1 else ""
        body = _step(place, planned, checked)
        yield Fragment(f"diff-{place}", f'<div class="dn">{head}{body}</div>')


def _step(place: int, planned: PlannedStep, checked: StepChecked) -> str:
    step, evidence = checked.step, checked.evidence
    tone = _ACTION_TONES[step.action]
    head = (
        f'{place}. <b class="{tone}">{step.action}</b> {html(words.place(step.target))} '
        f'<span class="dn-quiet">step {step.number}</span>'
    )
    notes = [f"<p>{html(planned.reason)}</p>"]
    if isinstance(evidence, Accepted):
        notes += [_note("dn-warn", mark) for mark in words.cautions(evidence)]
        body = difference_block(evidence)
    else:
        notes.append(_note("dn-bad", words.evidence(evidence)))
        body = ""
    return (
        f'<details class="dn-step" open><summary>{head}</summary>'
        f'<div class="dn-notes">{"".join(notes)}</div>{body}</details>'
    )


def _note(tone: str, text: str) -> str:
    return f'<p class="{tone}">{html(text)}</p>'


def difference_block(accepted: Accepted) -> str:
    """Added, removed and surrounding lines of YAML; the sign stands beside the colour."""
    rows = [
        f'<span class="dn-{shown.kind}">{html(str(shown))}</span>'
        for shown in difference.lines(accepted)
    ]
    body = "\n".join(rows) or '<span class="dn-quiet">The object stays as it is.</span>'
    return f'<pre class="dn-diff" tabindex="0" data-lm-suppress-shortcuts="true">{body}</pre>'


def consequences(session: Session, *, copy_button: bool) -> Iterator[Fragment]:
    """Risk with its reasons, what is checked afterwards, and the equal kubectl commands.

    A click into the commands selects them all, with or without a button that copies them.
    """
    analysis = session.analysis
    if analysis is None or not session.planned:
        return
    if analysis.risk:
        items = "".join(f"<li>{html(reason)}</li>" for reason in analysis.risk.reasons)
        chip = f'<span class="{_RISK_TONES[analysis.risk.level]}">{analysis.risk.level}</span>'
        yield Fragment("risk", _section(f"Risk: {chip}", f"<ul>{items}</ul>"))
    after = analysis.validation_intent or "Only the checks in code are made."
    yield Fragment("after", _section("Checked afterwards", f"<p>{html(after)}</p>"))
    yield Fragment("commands", _section("The same with kubectl", _commands(session, copy_button)))


def _commands(session: Session, copy_button: bool) -> str:  # noqa: FBT001 - private, one caller
    text = "\n".join(checked.step.command for _, checked in session.planned)
    # The attribute keeps JupyterLab's own shortcuts (A, B, D D, ...) away while this has the focus.
    block = f'<pre tabindex="0" data-lm-suppress-shortcuts="true">{html(text)}</pre>'
    button = f'<button type="button" onclick="{_COPY}">Copy</button>' if copy_button else ""
    return f'<div class="dn-commands">{block}{button}</div>'


def _section(head: str, body: str) -> str:
    return f'<div class="dn">{title(head)}{body}</div>'
