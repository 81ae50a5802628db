"""A session as Markdown: the review that a person approves, and the report of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotai_nb.session.values import Accepted
from dotai_nb.views import difference, words
from dotai_nb.views.escape import code, fenced, markdown
from dotai_nb.views.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dotai_nb.session.events import RolloutProgressed, StepChecked
    from dotai_nb.session.session import Session
    from dotai_nb.session.values import PlannedStep, Verdict

__all__ = ["plain", "report", "review"]


def review(session: Session, *, replayed: bool = False) -> str:
    """What a person reads before they approve; all of it, in the order it will run.

    Args:
        session: at any moment; parts that do not exist yet are left out.
        replayed: everything comes from a file and nothing is sent anywhere.
    """
    return _document([*_heading(session, replayed=replayed), *_analysis(session), *_plan(session)])


def report(session: Session, *, replayed: bool = False) -> str:
    """The review, and what came of it: results, rollouts, verdict, tokens."""
    return _document(
        [
            *_heading(session, replayed=replayed),
            *_analysis(session),
            *_plan(session),
            *_execution(session),
            *_ending(session),
        ]
    )


def _document(blocks: list[str]) -> str:
    return "\n\n".join(blocks) + "\n"


def _heading(session: Session, *, replayed: bool) -> Iterator[str]:
    yield f"## {markdown(words.headline(session))}: {markdown(session.intent)}"
    for mark in words.marks(session.started, replayed=replayed):
        yield f"> **{markdown(mark)}**"
    for text in session.refinements:
        yield f"**Refined:** {markdown(text)}"
    rows = [f"| {name} | {value} |" for name, value in _facts(session)]
    yield "\n".join(["| | |", "|---|---|", *rows])


def _facts(session: Session) -> Iterator[tuple[str, str]]:
    started = session.started
    uid = started.fingerprint.cluster_uid
    cluster = f"{_cell(started.fingerprint.server)} {markdown(started.server_version)}"
    yield "Context", _cell(started.context or "(in-cluster)")
    yield "Cluster", cluster + (f", UID {_cell(uid)}" if uid else ", UID not readable")
    sharing = words.SEPARATE if started.executes_as else words.SHARED
    yield "Investigates as", _cell(started.identity)
    yield "Executes as", f"{_cell(words.executor(started))}, {sharing}"
    yield "Namespace", _cell(started.namespace or "(not narrowed)")
    yield "Model", markdown(words.model(started))
    yield "Organisation", markdown(started.knowledge)
    yield "Session", _cell(session.id)
    if session.digest:
        yield "Plan", f"{_cell(session.digest[: words.SHORT_DIGEST])} (SHA-256 begins)"
    if approval := session.approval or session.spent:
        at = approval.approved_at.strftime("%Y-%m-%d %H:%M:%S UTC")
        yield "Approved", f"by {markdown(approval.by)}, {at} ({approval.how})"


def _cell(text: str) -> str:
    return code(text).replace("|", "\\|")


def _analysis(session: Session) -> Iterator[str]:
    analysis = session.analysis
    if analysis is None:
        return
    yield f"**{words.OUTCOME[analysis.outcome]}.** {markdown(analysis.summary)}"
    if analysis.question:
        yield f"**Question:** {markdown(analysis.question)}"
    if analysis.alternative:
        yield f"**What would be allowed:** {markdown(analysis.alternative)}"
    if analysis.observations:
        yield "### Observations"
        yield "\n".join(
            f"{number}. {markdown(seen.text)} — "
            + ", ".join(code(words.call_label(session, call)) for call in seen.calls)
            for number, seen in enumerate(analysis.observations, start=1)
        )
    for title, ids in (
        ("Policies checked", analysis.policies_checked),
        ("Patterns applied", analysis.patterns_applied),
        ("Capabilities used", analysis.capabilities_used),
    ):
        if ids:
            yield f"**{title}:** {', '.join(code(one) for one in ids)}"


def _plan(session: Session) -> Iterator[str]:
    analysis = session.analysis
    if analysis is None or not session.planned:
        return
    yield "### Steps"
    for place, (planned, checked) in enumerate(session.planned, start=1):
        yield from _step(place, planned, checked)
    if analysis.risk:
        yield f"### Risk: {analysis.risk.level}"
        yield "\n".join(f"- {markdown(reason)}" for reason in analysis.risk.reasons)
    yield "### After the execution"
    yield markdown(analysis.validation_intent) or "Only the checks in code are made."


def _step(place: int, planned: PlannedStep, checked: StepChecked) -> Iterator[str]:
    step, evidence = checked.step, checked.evidence
    what = f"{step.action} {words.object_name(step.target)}"
    where = f" in {markdown(step.target.namespace)}" if step.target.namespace else ""
    yield f"#### {place}. {markdown(what)}{where} (step {step.number})"
    yield markdown(planned.reason)
    if isinstance(evidence, Accepted):
        for mark in words.cautions(evidence):
            yield f"> {markdown(mark)}"
        shown = "\n".join(map(str, difference.lines(evidence)))
        yield fenced(shown, "diff") if shown else "*The object stays as it is.*"
    else:
        yield f"> **{markdown(words.evidence(evidence))}**"
    yield fenced(step.command, "sh")


def _execution(session: Session) -> Iterator[str]:
    if session.execution is None:
        return
    yield "### Results"
    head = ["| step | object | result | answer | took |", "|---|---|---|---|---|"]
    yield "\n".join([*head, *_result_rows(session)])
    if rollouts := words.latest_rollouts(session):
        yield "### Rollouts"
        yield "\n".join(f"- {_rollout(progress)}" for progress in rollouts)
    if session.verdict:
        yield from _verdict(session.verdict)


def _result_rows(session: Session) -> Iterator[str]:
    for result in session.results:
        checked = session.step(result.step)
        target = words.place(checked.step.target) if checked else ""
        took = words.duration(result.duration_ms) if result.duration_ms else ""
        answer = markdown(result.error or result.output)
        yield f"| {result.step} | {_cell(target)} | {result.result} | {answer} | {took} |"


def _rollout(progress: RolloutProgressed) -> str:
    counted = f"{progress.ready} of {progress.wanted} ready, {progress.state}"
    return f"{code(words.place(progress.target))}: {counted}. {markdown(progress.message)}"


def _verdict(verdict: Verdict) -> Iterator[str]:
    yield f"### Verdict: {verdict.verdict}"
    asked = f"by the model: {verdict.by_model}" if verdict.by_model else "the model was not asked"
    yield f"{markdown(verdict.summary)} (by the checks in code: {verdict.by_code}; {asked})"
    if verdict.checks:
        signs = {True: "passed", False: "**failed**", None: "could not be told"}
        yield "\n".join(
            f"- {markdown(check.name)}: {signs[check.ok]}"
            + (f" ({markdown(check.detail)})" if check.detail else "")
            for check in verdict.checks
        )


def _ending(session: Session) -> Iterator[str]:
    if session.failure:
        yield f"> **{markdown(words.failure(session.failure))}**"
    for note in session.notes:
        yield f"> {markdown(note)}"
    calls = words.plural(len(session.tools), "tool call")
    turns = words.plural(len(session.turns), "turn")
    yield f"{words.tokens(session.usage)}; {turns}, {calls}."
