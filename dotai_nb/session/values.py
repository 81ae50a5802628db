"""The values that events carry: what is planned, what the server said, what came of it.

They live here, below everything that makes them, so that a session can be read with nothing
but this folder. In JSON their names are camelCase, as in the DevOps AI Toolkit's own files.
"""

from __future__ import annotations

import shlex
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from dotai_nb.session.canonical import JsonObject


class Value(BaseModel):
    """A frozen value with camelCase JSON; an unknown field is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        serialize_by_alias=True,
    )

    def json_object(self) -> JsonObject:
        """As plain JSON values, camelCase."""
        return self.model_dump(mode="json", by_alias=True)


class Status(StrEnum):
    """Where a session stands. Exactly these six."""

    ANALYZING = "analyzing"
    ANALYSIS_COMPLETE = "analysis_complete"
    EXECUTING = "executing"
    EXECUTED_SUCCESSFULLY = "executed_successfully"
    EXECUTED_WITH_ERRORS = "executed_with_errors"
    FAILED = "failed"


class Outcome(StrEnum):
    """What came of the analysis, beside the status."""

    PROPOSAL = "proposal"
    NO_CHANGE_NEEDED = "no_change_needed"
    BLOCKED_BY_POLICY = "blocked_by_policy"
    NEEDS_CLARIFICATION = "needs_clarification"
    FAILED = "failed"
    BUDGET_EXHAUSTED = "budget_exhausted"
    CANCELLED = "cancelled"


class RiskLevel(StrEnum):
    """How much may go wrong; ordered low < medium < high by `rank`."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """0, 1 or 2."""
        return list(RiskLevel).index(self)


class Fingerprint(Value):
    """Which cluster this is.

    Attributes:
        server: the API server's URL.
        ca_sha256: SHA-256 of the trusted CA bundle's DER/PEM bytes; empty for the system's roots.
        cluster_uid: UID of the `kube-system` namespace; None where it may not be read.
    """

    server: str
    ca_sha256: str
    cluster_uid: str | None


class ObjectRef(Value):
    """One Kubernetes object, or a collection's future member.

    Attributes:
        group: API group; empty for the core group.
        resource: the plural, such as `deployments`.
        namespace: empty for a cluster-scoped object.
    """

    group: str = ""
    version: str
    kind: str
    resource: str
    namespace: str = ""
    name: str

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{kind}/{self.name}"


class Action(StrEnum):
    """What a step does to its object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Step(Value):
    """One typed change: exactly one API request.

    Attributes:
        number: 1-based, in the order of the dry-run calls.
        subresource: `scale`, or empty for the object itself.
        query: without `dryRun`; includes `fieldManager` for writes that take one.
        body: as sent, without preconditions; None for a request without one.
        argv: the equal kubectl command as arguments.
        stdin: a manifest the command reads with `-f -`; empty when it reads none.
        call_id: the tool call that made it.
    """

    number: int = Field(ge=1)
    action: Action
    target: ObjectRef
    subresource: str = ""
    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    path: str
    query: dict[str, str] = {}
    content_type: str = ""
    body: Any = None
    argv: tuple[str, ...]
    stdin: str = ""
    call_id: str = ""

    @property
    def command(self) -> str:
        """The equal kubectl command, shell-quoted, with its manifest as a heredoc."""
        line = shlex.join(self.argv)
        if not self.stdin:
            return line
        marker = "EOF"
        while f"\n{marker}\n" in f"\n{self.stdin}\n":
            marker += "_"
        return f"{line} <<'{marker}'\n{self.stdin.rstrip()}\n{marker}"


class Accepted(Value):
    """The API server accepted the dry run.

    Attributes:
        before: the object now, redacted; None for a create.
        after: the object as it would be, redacted; None for a delete.
        diff: the normalised difference as RFC 6902 JSON Patch operations from before to after,
            leaving out `status` and bookkeeping metadata.
        uid: of the object before; empty for a create.
        resource_version: of the object before; empty for a create.
        warnings: admission warnings, in the server's words.
        conflicts: managers that own fields this step touches.
        dependents: objects that go with a delete, by owner reference.
    """

    kind: Literal["accepted"] = "accepted"
    before: JsonObject | None
    after: JsonObject | None
    diff: tuple[JsonObject, ...]
    uid: str = ""
    resource_version: str = ""
    warnings: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    dependents: tuple[str, ...] = ()


class Refused(Value):
    """The API server refused the dry run; `message` is in its words."""

    kind: Literal["refused"] = "refused"
    code: int
    reason: str
    message: str


class NotAllowed(Value):
    """The identity may not do this; may be proposed, never approved."""

    kind: Literal["not_allowed"] = "not_allowed"
    message: str


class DependsOn(Value):
    """Can't be dry-run before other steps have run."""

    kind: Literal["depends_on"] = "depends_on"
    steps: tuple[int, ...]


Evidence = Annotated[Accepted | Refused | NotAllowed | DependsOn, Field(discriminator="kind")]


class Observation(Value):
    """Something the model saw, and the tool calls it rests on."""

    text: str
    calls: tuple[str, ...] = Field(min_length=1)


class PlannedStep(Value):
    """A checked step that the proposal names, and why."""

    step: int
    reason: str


class Risk(Value):
    """The level is the higher of the model's and the code's floor; each reason is a sentence."""

    level: RiskLevel
    reasons: tuple[str, ...]


class Analysis(Value):
    """What the model concluded.

    Attributes:
        question: what it needs to know, with `needs_clarification`.
        alternative: what would be allowed, with `blocked_by_policy`.
        validation_intent: what to check after the execution; empty for the code's checks alone.
    """

    outcome: Outcome
    summary: str
    observations: tuple[Observation, ...] = ()
    steps: tuple[PlannedStep, ...] = ()
    risk: Risk | None = None
    validation_intent: str = ""
    question: str = ""
    alternative: str = ""
    patterns_applied: tuple[str, ...] = ()
    policies_checked: tuple[str, ...] = ()
    capabilities_used: tuple[str, ...] = ()


class Approval(Value):
    """A person's yes to a digest. Single use; never honoured when it comes from a file.

    Attributes:
        digest: 64 hex digits.
        by: who said yes.
        how: `asked` in the cell, `button` in the panel, or `digest` written in code.
    """

    digest: str
    by: str
    how: Literal["asked", "button", "digest"]
    approved_at: datetime
    expires_at: datetime

    def __repr__(self) -> str:
        until = f"{self.expires_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"<Approval of plan {self.digest[:12]} by {self.by} ({self.how}), until {until}>"


class ResultKind(StrEnum):
    """What came of a step."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class StepResult(Value):
    """What came of a step, in the server's words where it spoke.

    Attributes:
        output: one line in kubectl's manner, such as `deployment.apps/web patched`.
        duration_ms: 0 for a skipped step.
    """

    step: int
    result: ResultKind
    output: str = ""
    error: str = ""
    code: int = 0
    duration_ms: int = 0
    audit_id: str = ""


class Check(Value):
    """One condition looked at after the execution."""

    name: str
    ok: bool | None = Field(description="None: could not be told")
    detail: str = ""


class VerdictKind(StrEnum):
    """What the post-check says; worse is later."""

    PASSED = "passed"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"

    @property
    def rank(self) -> int:
        """0, 1 or 2; the worse of two verdicts has the higher rank."""
        return list(VerdictKind).index(self)


class Verdict(Value):
    """The worse of the code's checks and the model's own look."""

    verdict: VerdictKind
    summary: str
    checks: tuple[Check, ...] = ()
    by_code: VerdictKind
    by_model: VerdictKind | None = Field(description="None: the model was not asked")


class Usage(Value):
    """Tokens of one turn, as the provider counts them."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
        )

    @property
    def total(self) -> int:
        """Input of every kind plus output."""
        return self.input + self.output + self.cache_read + self.cache_write


class Node(Value):
    """An object in a topology.

    Attributes:
        action: what a step does to it; None when it only hangs on one that changes.
        detail: a few words such as `2 pods` or `v1 -> v2`.
    """

    ref: ObjectRef
    action: Action | None = None
    detail: str = ""


class Edge(Value):
    """`source` and `target` are positions in the topology's nodes; `label` is a verb."""

    source: int
    target: int
    label: str


class Topology(Value):
    """What changes and what hangs on it."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()


class Measured(Value):
    """How much of an answer was given: counts are rows, or characters for running text."""

    returned: int
    total: int | None = Field(description="None: the server did not say")
    truncated: bool
