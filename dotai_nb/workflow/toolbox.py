"""Runs the model's tool calls: validates, times, records, and answers every one."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from typing import TYPE_CHECKING, Any, assert_never

from pydantic import ValidationError

from dotai_nb.cluster.evidence import check
from dotai_nb.cluster.printing import visible
from dotai_nb.cluster.redaction import placeholder, redact_text, redact_value
from dotai_nb.errors import CredentialsRejected, DotAiError, WrongCluster
from dotai_nb.llm.conversation import ToolResult, ToolSchema, ToolUse
from dotai_nb.llm.nesting import DEEPEST, too_deep
from dotai_nb.session.events import StepChecked, ToolFinished, ToolStarted
from dotai_nb.session.values import Accepted, DependsOn, Measured, NotAllowed, Refused
from dotai_nb.workflow.tools import TOOLS, DryRunTool, ReadTool, Tool, schema
from dotai_nb.workflow.untrusted import as_data

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dotai_nb.cluster.connection import Connection
    from dotai_nb.session.events import Event
    from dotai_nb.session.session import Session
    from dotai_nb.session.values import Evidence, Step

log = logging.getLogger(__name__)

CUT_DEEP = f"«cut: nested deeper than {DEEPEST} levels»"
"""Stands for arguments that no tool takes."""

_KINDS = (
    (re.compile(r"secrets?\b"), "Secret"),
    (re.compile(r"(?:configmaps?|cm)\b"), "ConfigMap"),
)

FATAL = (CredentialsRejected, WrongCluster)
"""Errors that no other tool call can get around; they end the analysis."""


class Toolbox:
    """The tools of one session.

    Args:
        session: gives the session as it stands now.
        record: appends an event to it.
        namespace: for calls that name none.
        budget: tokens of one answer.

    Attributes:
        replaced: numbers of the steps that others take the place of.
        strict: whether values of environment variables and ConfigMaps are hidden too.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        session: Callable[[], Session],
        record: Callable[[Event], object],
        namespace: str,
        budget: int,
    ) -> None:
        self._connection = connection
        self._session = session
        self._record = record
        self._namespace = namespace
        self._budget = budget
        self.replaced: set[int] = set()
        self.strict = connection.strict

    async def answer(
        self, uses: Sequence[ToolUse], allowed: dict[str, Tool]
    ) -> tuple[ToolResult, ...]:
        """Answer all calls of a turn, in their order; reads run side by side.

        Dry runs run one after the other: a step may stand on the one before it, and numbers follow
        the order of the calls.

        Raises:
            CredentialsRejected, WrongCluster: after every call was answered and recorded.
        """
        results: dict[str, ToolResult] = {}
        fatal: list[DotAiError] = []

        async def run(use: ToolUse) -> None:
            # No call is left running behind the error of another.
            try:
                results[use.call_id] = await self._run(use, allowed)
            except DotAiError as error:
                fatal.append(error)

        async def in_order(dry_runs: list[ToolUse]) -> None:
            for use in dry_runs:
                await run(use)

        dry_runs = [u for u in uses if isinstance(allowed.get(u.name), DryRunTool)]
        others = [u for u in uses if u not in dry_runs]
        await asyncio.gather(in_order(dry_runs), *(run(use) for use in others))
        if fatal:
            raise fatal[0]
        return tuple(results[use.call_id] for use in uses)

    async def _run(self, use: ToolUse, allowed: dict[str, Tool]) -> ToolResult:
        begun = time.perf_counter()
        self._record(ToolStarted(call_id=use.call_id))
        steps_before = len(self._session().steps)
        measured: Measured | None = None
        fatal: DotAiError | None = None
        with self._connection.trail() as audit_ids:
            try:
                output, measured = await self._call(use, allowed)
                ok = True
            except DotAiError as error:
                output, ok = str(error), False
                fatal = error if isinstance(error, FATAL) else None
            except Exception as error:
                # Objects come in any shape; what nobody foresaw in one ends no analysis.
                log.exception("%s broke in call %s.", use.name, use.call_id)
                output, ok = f"{use.name} broke on what it read: {type(error).__name__}.", False
        made = self._session().steps[steps_before:]
        step = next((c.step.number for c in made if c.step.call_id == use.call_id), None)
        # Once more as a whole: what was put together here may be a secret only now.
        output = as_data(redact_text(visible(output)))
        output = f"call {self._number(use)} · {'ok' if ok else 'failed'}\n{output}"
        self._record(
            ToolFinished(
                call_id=use.call_id,
                ok=ok,
                output=output,
                measured=measured,
                duration_ms=round((time.perf_counter() - begun) * 1000),
                audit_ids=tuple(audit_ids),
                step=step,
            )
        )
        if fatal:
            raise fatal
        return ToolResult(use.call_id, output, ok=ok)

    async def _call(self, use: ToolUse, allowed: dict[str, Tool]) -> tuple[str, Measured | None]:
        tool = allowed.get(use.name)
        if tool is None:
            raise DotAiError(
                f"There is no tool {use.name}.", hint=f"The tools are {', '.join(allowed)}."
            )
        arguments = _validated(tool, use.arguments)
        if tool.name == "kubectl_apply_dryrun":
            arguments["namespace"] = self._namespace
        if "namespace" in arguments and not arguments["namespace"]:
            arguments["namespace"] = "" if arguments.get("all_namespaces") else self._namespace
        match tool:
            case ReadTool():
                reading = await tool.run(self._connection, arguments, self._budget)
                return reading.text, reading.measured
            case DryRunTool():
                return await self._check(tool, use.call_id, arguments), None
            case _:
                assert_never(tool)

    async def _check(self, tool: DryRunTool, call_id: str, arguments: dict[str, Any]) -> str:
        session = self._session()
        replaces = arguments.pop("replaces")
        self._check_replaced(replaces, session)
        step = await tool.build(
            self._connection, number=len(session.steps) + 1, call_id=call_id, **arguments
        )
        left_out = self.replaced | set(replaces)
        earlier = [c for c in session.steps if c.step.number not in left_out]
        evidence = await check(self._connection, step, earlier)
        self._record(StepChecked(step=step, evidence=evidence))
        if isinstance(evidence, Accepted | NotAllowed | DependsOn):
            # A refused try takes nothing's place.
            self.replaced |= set(replaces)
        return told(step, evidence, self._budget)

    def _check_replaced(self, replaces: Sequence[int], session: Session) -> None:
        unknown = [n for n in replaces if session.step(n) is None]
        if unknown:
            raise DotAiError(
                f"There is no step {', '.join(map(str, unknown))} to replace.",
                hint=f"Steps so far: {len(session.steps)}.",
            )

    def _number(self, use: ToolUse) -> int:
        ids = [t.called.call_id for t in self._session().tools]
        # The latest: some local servers count anew in every turn.
        return len(ids) - ids[::-1].index(use.call_id)


def schemas(allowed: dict[str, Tool]) -> tuple[ToolSchema, ...]:
    """The tools as the model sees them."""
    return tuple(schema(tool.name, tool.arguments) for tool in allowed.values())


def read_tools() -> dict[str, Tool]:
    """The tools that only read: what a validation has."""
    return {name: tool for name, tool in TOOLS.items() if tool.effect == "read"}


def shown_arguments(use: ToolUse, *, strict: bool = False) -> Any:
    """A call's arguments as they may be kept: without secrets, also those meant for a Secret."""
    arguments = use.arguments
    if too_deep(arguments):
        return CUT_DEEP
    if isinstance(arguments, dict) and "patch" in arguments:
        kind = _kind(str(arguments.get("resource", "")).lower())
        patch = redact_value(arguments["patch"], kind=kind, strict=strict)
        if kind == "Secret":
            patch = _hidden_values(patch)
        arguments = {**arguments, "patch": patch}
    return redact_value(arguments, strict=strict)


def _kind(resource: str) -> str:
    return next((kind for known, kind in _KINDS if known.match(resource)), "")


def _hidden_values(patch: Any) -> Any:
    """A Secret's patch with every value hidden: one that is no object, or sets by a path."""
    if isinstance(patch, list):
        return [
            {k: placeholder(json.dumps(v)) if k == "value" else v for k, v in op.items()}
            if isinstance(op, dict)
            else placeholder(json.dumps(op))
            for op in patch
        ]
    return patch if isinstance(patch, dict) else placeholder(json.dumps(patch))


def told(step: Step, evidence: Evidence, budget: int) -> str:
    """The evidence of a step, in words and JSON, within a budget of tokens."""
    head = f"step {step.number}: {step.command.splitlines()[0]}"
    match evidence:
        case Accepted():
            lines = [head, "accepted by the API server; nothing was changed"]
            lines += [f"warning: {text}" for text in evidence.warnings]
            lines += [f"owned in part by: {text}" for text in evidence.conflicts]
            if evidence.dependents:
                lines.append(f"goes with it: {', '.join(evidence.dependents)}")
            lines.append("diff:")
            return _within("\n".join([*lines, *map(_compact, evidence.diff)]), budget)
        case Refused():
            reason = f" ({evidence.code} {evidence.reason})" if evidence.code else ""
            return _within(f"{head}\nrefused{reason}: {evidence.message}", budget)
        case NotAllowed():
            return f"{head}\nnot allowed: {evidence.message}"
        case DependsOn():
            numbers = ", ".join(map(str, evidence.steps))
            return f"{head}\ncan only be checked after step {numbers} has run"
        case _:
            assert_never(evidence)


def _validated(tool: Tool, arguments: Any) -> dict[str, Any]:
    if too_deep(arguments):
        raise DotAiError(
            f"The arguments are nested deeper than {DEEPEST} levels.",
            hint="Name only the fields that change.",
        )
    if not isinstance(arguments, dict):
        raise DotAiError(
            "The arguments are not a JSON object.", hint=f"Call {tool.name} again with one."
        )
    try:
        return dict(tool.arguments.model_validate(arguments))
    except ValidationError as error:
        raise DotAiError(
            f"{tool.name}: {problems(error)}.", hint="Correct the arguments."
        ) from error


def problems(error: ValidationError) -> str:
    """What is wrong with some arguments, a clause a field."""
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}"
        for e in error.errors(include_url=False, include_input=False)
    )


def _compact(operation: dict[str, Any]) -> str:
    return json.dumps(operation, ensure_ascii=False, separators=(",", ":"))


def _within(text: str, budget: int) -> str:
    limit = budget * 3
    raw = text.encode()
    if len(raw) <= limit:
        return text
    kept = raw[:limit].decode(errors="ignore")
    return (
        f"{kept}\n… cut: {limit} of {len(raw)} bytes; kubectl_get_resource_json reads on by field"
    )
