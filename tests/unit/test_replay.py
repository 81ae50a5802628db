from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotai_nb.session.events import (
    Approved,
    Event,
    Recorded,
    Refined,
    TextDelta,
    TextSaid,
    TurnStarted,
)
from dotai_nb.session.replay import recorded_approval, replay, stages
from tests.unit.sessions import (
    approval,
    clarification_session,
    executed_session,
    failed_session,
    proposal_events,
    proposal_session,
    record,
    started,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Heard = list[Recorded | TextDelta]


async def heard_of(recorded: tuple[Recorded, ...], *, pace: float = 0.0) -> Heard:
    heard: Heard = []
    await replay(recorded, heard.append, pace=pace)
    return heard


def refined_events() -> Iterator[Event]:
    """Approved, then refined, and not yet analysed again."""
    yield from proposal_events()
    yield Approved(approval=approval())
    yield Refined(text="and keep the canary")


async def test_every_event_is_heard_once_in_its_order():
    recorded = executed_session()
    heard = await heard_of(recorded)
    assert tuple(one for one in heard if isinstance(one, Recorded)) == recorded


async def test_the_pieces_before_a_text_are_that_text():
    pieces: list[TextDelta] = []
    texts = 0
    for one in await heard_of(executed_session()):
        if isinstance(one, TextDelta):
            pieces.append(one)
        elif isinstance(one.event, TextSaid):
            assert "".join(piece.text for piece in pieces) == one.event.text
            assert {piece.turn for piece in pieces} == {one.event.turn}
            assert len(pieces) > 1
            pieces.clear()
            texts += 1
        else:
            assert not pieces
    assert texts == 6


@given(st.text())
def test_any_text_is_told_to_the_letter(text: str):
    recorded = record(
        [started(), TurnStarted(turn=1, purpose="investigate"), TextSaid(turn=1, text=text)]
    )
    heard = asyncio.run(heard_of(recorded))
    assert "".join(one.text for one in heard if isinstance(one, TextDelta)) == text


async def test_a_replay_leaves_the_loop_its_turn_and_can_be_cancelled():
    heard: Heard = []
    begun = asyncio.Event()

    def hear(one: Recorded | TextDelta) -> None:
        heard.append(one)
        begun.set()

    running = asyncio.ensure_future(replay(executed_session(), hear))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert 1 <= len(heard) < 5


async def test_what_a_listener_raises_is_not_swallowed():
    def hear(one: Recorded | TextDelta) -> None:
        raise RuntimeError("the panel is gone")

    with pytest.raises(RuntimeError, match="the panel is gone"):
        await replay(proposal_session(), hear)


async def test_a_paced_replay_says_the_same_and_skips_long_pauses():
    later = record([started()], began=executed_session()[0].at)
    paused = Recorded.after(
        later[0],
        TurnStarted(turn=1, purpose="investigate"),
        later[0].at + timedelta(days=1),
    )
    assert await heard_of((*later, paused), pace=0.001) == [*later, paused]


def test_the_stages_part_where_the_person_decided():
    recorded = executed_session()
    analysis, execution = stages(recorded)
    assert analysis == proposal_session()
    assert (*analysis, *execution) == recorded
    assert [entry.event.type for entry in execution[:2]] == ["approved", "execution_started"]


@pytest.mark.parametrize("session", [proposal_session, clarification_session, failed_session])
def test_a_session_that_nobody_approved_has_one_stage(session):
    assert stages(session()) == (session(), ())


def test_a_refined_session_parts_after_its_last_analysis():
    again = list(proposal_events())[-1]
    events = [*refined_events(), again, Approved(approval=approval())]
    analysis, execution = stages(record(events))
    assert [entry.event.type for entry in execution] == ["approved"]
    assert len(analysis) == len(events) - 1


def test_the_recorded_approval_is_the_one_that_was_used():
    assert recorded_approval(executed_session()) == approval()


def test_there_is_no_approval_before_one_and_none_after_it_was_voided():
    assert recorded_approval(proposal_session()) is None
    assert recorded_approval(record(refined_events())) is None
