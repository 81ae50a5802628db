"""The review a person approves, the report, and the plain text of a console."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mistune
import pytest

from dotai_nb.session.fold import fold
from dotai_nb.views import markdown
from tests.unit.hostile import HIDDEN, Elements, hostile_failure, hostile_session
from tests.unit.sessions import (
    by_hand_session,
    clarification_session,
    executed_session,
    failed_session,
    proposal_digest,
    proposal_session,
    record,
    started,
)

if TYPE_CHECKING:
    from dotai_nb.session.session import Session

RENDER = mistune.create_markdown(escape=False, plugins=["table", "url", "strikethrough", "math"])


def _proposal() -> Session:
    return fold(proposal_session())


def test_the_review_holds_everything_a_person_approves() -> None:
    text = markdown.review(_proposal())
    for expected in (
        "Update my-api to nginx:1.20 with zero downtime",
        "`kind-shop`",
        "`https://10.0.0.1:6443`",
        "`system:serviceaccount:shop:agent`",
        "`shop`",
        "Proposal ready for review",
        f"`{proposal_digest()[:12]}`",
        "`#1 kubectl_get resource=deployments namespace=shop`",
        "```diff\n@@ -13,8 +13,8 @@",
        "-        image: nginx:1.19\n+        image: nginx:1.20",
        "```sh\nkubectl delete deployment my-api-canary -n shop\n```",
        "would violate PodSecurity",
        "replicasets.apps/my-api-canary-7d9c5b8f6d",
        "### Risk: high",
        "A Deployment is deleted.",
        "my-api runs 2 ready pods of nginx:1.20",
    ):
        assert expected in text


def test_the_review_says_nothing_of_an_execution() -> None:
    text = markdown.review(fold(executed_session()))
    assert "### Results" not in text
    assert "Verdict" not in text


def test_the_report_adds_results_rollouts_verdict_and_tokens() -> None:
    text = markdown.report(fold(executed_session()))
    assert "| 2 | `deployments.apps/my-api in shop` | succeeded |" in text
    assert "2 of 2 ready, done" in text
    assert "### Verdict: passed" in text
    assert "15,480 tokens" in text


def test_a_question_is_shown_with_the_summary() -> None:
    text = markdown.review(fold(clarification_session()))
    assert "**Question:** Which of the four Deployments is too slow" in text


def test_a_failure_says_what_to_do_next() -> None:
    session = fold(failed_session())
    assert "Wait a minute and start again." in markdown.report(session)
    assert "Wait a minute and start again." in markdown.plain(session)


@pytest.mark.parametrize("view", [markdown.review, markdown.report, markdown.plain])
def test_a_replay_is_marked_in_every_text(view: object) -> None:
    assert callable(view)
    assert "Nothing is sent anywhere" in view(_proposal(), replayed=True)
    assert "Nothing is sent anywhere" not in view(_proposal())


@pytest.mark.parametrize("view", [markdown.review, markdown.report, markdown.plain])
def test_steps_written_by_hand_are_marked_at_the_top(view: object) -> None:
    assert callable(view)
    text = view(fold(by_hand_session()))
    assert "Written by hand: no model was asked." in text.split("\n| ", 1)[0]


@pytest.mark.parametrize("view", [markdown.review, markdown.report, markdown.plain])
@pytest.mark.parametrize("scripted", [True, False])
def test_recorded_turns_are_marked_and_scripted_ones_are_told_apart(
    view: object, *, scripted: bool
) -> None:
    session = fold(record([started(recording="demo", scripted=scripted, provider="recording")]))
    assert callable(view)
    text = view(session)
    assert "RECORDED TURNS" in text
    assert ("no model made them" in text) is scripted


@pytest.mark.parametrize("entries", [hostile_session(), hostile_failure()])
def test_hostile_words_stay_words(entries: tuple[object, ...]) -> None:
    session = fold(entries)  # type: ignore[arg-type]
    page = Elements(str(RENDER(markdown.report(session))))
    assert not {"img", "a", "script", "del", "em"} & set(page.tags)
    assert {key for key, _ in page.attributes} <= {"class", "start"}
    assert not HIDDEN.search(markdown.report(session).replace("\n", ""))
    assert not HIDDEN.search(markdown.plain(session).replace("\n", ""))


def test_plain_text_tells_each_call_each_step_and_the_verdict() -> None:
    lines = markdown.plain(fold(executed_session())).splitlines()
    assert lines[0] == "opr-1767225600000-0a1b2c3d: Executed successfully"
    assert "  [ok] #1 kubectl_get resource=deployments namespace=shop 31 ms 2 of 2" in lines
    assert 'step 4: succeeded deployment.apps "my-api-canary" deleted' in lines
    assert lines[-1].startswith("15,480 tokens")
