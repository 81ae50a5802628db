"""A session in which every word of a cluster or a model tries to be more than text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, Literal, get_origin

from dotai_nb.session.approval import plan_digest
from dotai_nb.session.events import (
    AnalysisFinished,
    Approved,
    ExecutionStarted,
    Failed,
    Noted,
    Recorded,
    StepChecked,
)
from dotai_nb.session.values import Accepted, Outcome, Value
from tests.unit.sessions import executed_events, record, refused_step, started

if TYPE_CHECKING:
    from dotai_nb.session.events import Event

NASTY = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31mred\x07 "
    "\u202etxt.exe\u2066 zero\u200bwidth ``` ~~~ "
    "[a](http://evil.test) ![b](http://evil.test/p.png) "
    "**bold** $x$ | cell | \"quoted\" 'single' &lt; #1; %% --> end"
)
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")

_KEPT = {"type", "kind", "session_id", "digest", "call_id", "calls", "hash", "outcome", "status"}


def _poisoned(value: Any, name: str = "") -> Any:
    if isinstance(value, Value):
        changes = {
            field: _poisoned(getattr(value, field), field)
            for field, info in type(value).model_fields.items()
            if field not in _KEPT and get_origin(info.annotation) is not Literal
        }
        return value.model_copy(update=changes)
    if isinstance(value, tuple):
        return tuple(_poisoned(item, name) for item in value)
    if type(value) is dict and name in ("before", "after", "arguments", "body"):
        return {key: _poisoned(item, name) for key, item in value.items()}
    if type(value) is str and name != "diff":
        return value + NASTY
    return value


def hostile_session() -> tuple[Recorded, ...]:
    """An executed session with hostile text in every field that holds text."""
    events = [_poisoned(event) for event in executed_events()]
    (first, *_), steps = events, [e for e in events if isinstance(e, StepChecked)]
    accepted = [s for s in steps if isinstance(s.evidence, Accepted)]
    digest = plan_digest(first.fingerprint, accepted)
    return record([*(_bound(event, digest) for event in events), Noted(message=NASTY)])


def _bound(event: Event, digest: str) -> Event:
    match event:
        case AnalysisFinished() | ExecutionStarted():
            return event.model_copy(update={"digest": digest})
        case Approved(approval=approval):
            return Approved(approval=approval.model_copy(update={"digest": digest}))
        case _:
            return event


def hostile_failure() -> tuple[Recorded, ...]:
    """A failed session with hostile words of the provider and the API server."""
    failed = Failed(outcome=Outcome.FAILED, error="ApiError", message="no", hint="wait")
    return record(_poisoned(e) for e in (started(), refused_step(), failed))


class Elements(HTMLParser):
    """The elements, attributes and text of an HTML document."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data
