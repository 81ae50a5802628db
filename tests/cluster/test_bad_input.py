"""What goes wrong: each ends in a typed state, one clear message, and a file that loads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import dotai_nb
from dotai_nb import errors
from dotai_nb.session.store import load
from dotai_nb.session.values import Outcome, Status
from dotai_nb.settings import Settings
from tests.cluster.turns import call, propose, turn
from tests.wire import provider as wire
from tests.wire.aimock import fixtures_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dotai_nb.session.session import Session
    from tests.cluster.fixtures import Agent
    from tests.wire.fixtures import Aimock


@pytest.fixture
def settings(agent: Agent, tmp_path: Path) -> Callable[..., Settings]:
    def make(**changes: Any) -> Settings:
        given = {
            "KUBECONFIG": str(agent.kubeconfig),
            "ANTHROPIC_API_KEY": "test-key",
            "DOT_AI_SESSION_DIR": str(tmp_path),
            "DOT_AI_MODEL_RETRIES": 0,
        }
        return Settings.model_validate({**given, **changes})

    return make


def the_file(folder: Path) -> Session:
    """The one session of the folder, which must load and be at rest."""
    (path,) = folder.rglob("opr-*.json")
    loaded = load(path)
    assert loaded.session.at_rest
    assert not list(folder.rglob("*.jsonl"))
    return loaded.session


def no_file(folder: Path) -> None:
    assert not list(folder.rglob("opr-*.json"))


async def test_no_kubeconfig_says_how_to_get_one(
    settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(errors.ConnectionFailed) as caught:
        await dotai_nb.operate("x", settings=settings(KUBECONFIG=str(tmp_path / "none.yaml")))
    assert "KUBECONFIG" in str(caught.value)
    no_file(tmp_path)


async def test_a_kubeconfig_that_is_no_yaml_is_named(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("{[}")
    with pytest.raises(errors.ConnectionFailed, match=r"bad\.yaml"):
        await dotai_nb.operate("x", settings=settings(KUBECONFIG=str(bad)))


async def test_an_unknown_context_lists_the_known_ones(settings: Callable[..., Settings]) -> None:
    with pytest.raises(errors.ConnectionFailed, match="agent"):
        await dotai_nb.operate("x", context="elsewhere", settings=settings())


async def test_a_server_that_is_gone_is_told_with_its_address(
    settings: Callable[..., Settings], agent: Agent, tmp_path: Path, unused_port: int
) -> None:
    import yaml

    config = yaml.safe_load(agent.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{unused_port}"
    gone = tmp_path / "gone.yaml"
    gone.write_text(yaml.safe_dump(config))
    with pytest.raises(errors.ConnectionFailed, match=str(unused_port)):
        await dotai_nb.operate("x", settings=settings(KUBECONFIG=str(gone)))


async def test_expired_credentials_are_told_as_such(
    settings: Callable[..., Settings], agent: Agent, tmp_path: Path
) -> None:
    import yaml

    config = yaml.safe_load(agent.kubeconfig.read_text())
    config["users"][0]["user"]["token"] = "expired"
    stale = tmp_path / "stale.yaml"
    stale.write_text(yaml.safe_dump(config))
    with pytest.raises(errors.CredentialsRejected) as caught:
        await dotai_nb.operate("x", settings=settings(KUBECONFIG=str(stale)))
    assert caught.value.hint
    assert "expired" not in caught.value.message.split()


async def test_no_key_and_no_recording_says_which_key(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    with pytest.raises(errors.ModelKeyMissing, match="ANTHROPIC_API_KEY"):
        await dotai_nb.operate("x", settings=settings(ANTHROPIC_API_KEY=""))
    no_file(tmp_path)


async def test_an_unknown_namespace_is_an_answer_that_says_so(
    settings: Callable[..., Settings], aimock: Aimock, tmp_path: Path, reader: Agent
) -> None:
    del reader
    answers = [
        turn(call("get", resource="pods", namespace="no-such-place")),
        propose(
            outcome="needs_clarification", risk=None, question="Which namespace?",
            validation_intent="",
        ),
    ]  # fmt: skip
    chosen = settings(ANTHROPIC_BASE_URL=aimock(fixtures_for(answers)).url)
    op = await dotai_nb.operate("x", settings=chosen)
    told = op.session.tools[0].finished
    assert told is not None
    assert "no-such-place" in told.output
    assert "No resources found" not in told.output
    assert the_file(tmp_path).outcome == Outcome.NEEDS_CLARIFICATION


async def test_an_unknown_model_is_a_failed_session_that_says_what_to_do(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    refusal = wire.Refusal(404, "not_found_error", "model: claude-made-up")
    async with wire.provider(refusal) as served:
        with pytest.raises(errors.ModelRejected, match="claude-made-up"):
            await dotai_nb.operate(
                "x", model="claude-made-up", settings=settings(ANTHROPIC_BASE_URL=served.url)
            )
    session = the_file(tmp_path)
    assert (session.status, session.outcome) == (Status.FAILED, Outcome.FAILED)
    assert session.failure is not None
    assert "claude-made-up" in session.failure.message


async def test_a_stream_cut_in_the_middle_keeps_what_was_learnt(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    first = wire.Streamed(
        wire.flat(
            wire.begun(), wire.call(0, "toolu_1", "kubectl_get", '{"resource": "pods"}'),
            wire.ended("tool_use"),
        )
    )  # fmt: skip
    cut = wire.Streamed(wire.flat(wire.begun(), wire.text(0, "I was about")), end="cut")
    async with wire.provider(first, cut) as served:
        with pytest.raises(errors.ModelStreamCut):
            await dotai_nb.operate("x", settings=settings(ANTHROPIC_BASE_URL=served.url))
    session = the_file(tmp_path)
    assert session.status == Status.FAILED
    assert session.tools[0].state == "ok"


async def test_garbage_arguments_are_answered_and_the_model_goes_on(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    garbage = wire.Streamed(
        wire.flat(
            wire.begun(),
            wire.call(0, "toolu_1", "kubectl_get", '{"resource": '),
            wire.call(1, "toolu_2", "kubectl_get", '{"resorce": "pods"}'),
            wire.call(2, "toolu_3", "kubectl_exec", "{}"),
            wire.ended("tool_use"),
        )
    )
    prose = wire.said("All is well, I think.")
    asked = '{"outcome": "needs_clarification", "summary": "s", "question": "q?"}'
    done = wire.Streamed(
        wire.flat(wire.begun(), wire.call(0, "toolu_4", "propose", asked), wire.ended("tool_use"))
    )
    async with wire.provider(garbage, prose, done) as served:
        op = await dotai_nb.operate("x", settings=settings(ANTHROPIC_BASE_URL=served.url))
        said = [str(request.body["messages"][-1]) for request in served.requests]
    assert [t.state for t in op.session.tools] == ["failed", "failed", "failed", "ok"]
    assert "not a JSON object" in said[1]
    assert "resorce" in said[1]
    assert "There is no tool kubectl_exec" in said[1]
    assert "propose" in said[2]
    assert the_file(tmp_path).outcome == Outcome.NEEDS_CLARIFICATION


async def test_a_model_that_never_concludes_ends_after_thirty_turns(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    turns = [wire.said(f"Hm, {n}.") for n in range(31)]
    async with wire.provider(*turns) as served:
        with pytest.raises(errors.ModelError, match="30 turns"):
            await dotai_nb.operate("x", settings=settings(ANTHROPIC_BASE_URL=served.url))
        assert len(served.requests) == 30
        told = [str(request.body["messages"][-1]) for request in served.requests]
    assert "This is the last turn" in told[-1]
    assert not any("This is the last turn" in words for words in told[:-1])
    session = the_file(tmp_path)
    assert (session.status, session.outcome) == (Status.FAILED, Outcome.BUDGET_EXHAUSTED)


async def test_cancel_in_the_middle_of_a_turn_leaves_nothing_live(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    held = wire.Streamed(wire.flat(wire.begun(), wire.text(0, "One moment")), end="held")
    async with wire.provider(held) as served:
        op = await dotai_nb.start("x", settings=settings(ANTHROPIC_BASE_URL=served.url))
        while not served.requests:
            await asyncio.sleep(0.01)
        op.cancel()
        with pytest.raises(errors.Cancelled):
            await op.analysed()
        await asyncio.wait_for(served.hung_up.wait(), 10)
    assert not op.busy
    session = the_file(tmp_path)
    assert (session.status, session.outcome) == (Status.FAILED, Outcome.CANCELLED)


async def test_an_interrupted_cell_cancels_its_run(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    held = wire.Streamed(wire.flat(wire.begun(), wire.text(0, "One moment")), end="held")
    async with wire.provider(held) as served:
        cell = asyncio.create_task(
            dotai_nb.operate("x", settings=settings(ANTHROPIC_BASE_URL=served.url))
        )
        while not served.requests:
            await asyncio.sleep(0.01)
        cell.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cell
    assert the_file(tmp_path).outcome == Outcome.CANCELLED
