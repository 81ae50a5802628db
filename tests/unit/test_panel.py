"""The panel, on a real event loop and real widgets: from a typed intent to a verdict."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import pytest

from dotai_nb import portal
from dotai_nb.errors import ConnectionFailed, IntentError
from dotai_nb.session.values import Status
from dotai_nb.views.activity import Fragment
from dotai_nb.widgets import pulse as pulses
from dotai_nb.widgets.destination import Choices
from dotai_nb.widgets.panel import Panel
from dotai_nb.widgets.pulse import Pulse
from dotai_nb.widgets.stack import Stack
from tests.unit.hostile import Elements, hostile_session
from tests.unit.panel_door import Around, PlayedDoor
from tests.unit.sessions import (
    by_hand_session,
    clarification_session,
    executed_session,
    failed_session,
    proposal_digest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 20.0


def until(true: Callable[[], object]) -> None:
    """Wait until it is so; the panel works on another thread."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it never became so"
        time.sleep(0.01)


def settle(panel: Panel) -> None:
    """Wait until nothing runs and everything is painted."""
    until(lambda: not panel.busy)
    panel._pulse.mark()
    portal.call(lambda: None)
    until(lambda: portal.call(lambda: panel._pulse._due is None))


def texts(widget: widgets.Widget) -> str:
    """All text of all visible HTML in it."""
    if getattr(widget.layout, "display", None) == "none":
        return ""
    if isinstance(widget, widgets.HTML):
        return Elements(widget.value).text + "\n"
    return "".join(texts(child) for child in getattr(widget, "children", ()))


def opened(door: PlayedDoor, **preset: Any) -> Panel:
    panel = Panel(Choices(intent="do it", **preset), door=door)
    until(lambda: panel.form._around is not None)
    return panel


def analysed(door: PlayedDoor) -> Panel:
    panel = opened(door)
    panel.form.start.click()
    settle(panel)
    return panel


def test_an_empty_panel_offers_start_and_shows_where_data_goes() -> None:
    panel = opened(PlayedDoor(executed_session()))
    settle(panel)
    assert not panel.form.start.disabled
    assert panel.form.cancel.disabled
    assert "https://api.anthropic.com" in texts(panel.widget)
    assert panel.session is None


def test_start_hands_over_what_stands_in_the_fields() -> None:
    door = PlayedDoor(executed_session())
    panel = opened(door, namespace="shop", context="staging", model="m", recording="zero-downtime")
    panel.form.start.click()
    settle(panel)
    assert (
        door.given[0].items()
        >= {
            "intent": "do it",
            "namespace": "shop",
            "context": "staging",
            "model": "m",
            "recording": "zero-downtime",
        }.items()
    )


def test_start_plans_the_steps_that_are_written_and_asks_no_model() -> None:
    door = PlayedDoor(by_hand_session(), around=Around(has_key=False))
    panel = opened(door, namespace="shop", context="staging", steps="a: 1", recording="demo")
    panel.form.start.click()
    settle(panel)
    assert door.given == [
        {
            "steps": "a: 1",
            "intent": "do it",
            "namespace": "shop",
            "context": "staging",
            "settings": None,
        }
    ]
    assert "Written by hand: no model was asked." in texts(panel.widget)
    screen = panel._screen
    assert screen is not None
    assert not screen.approve.disabled
    assert screen._refining.layout.display == "none"


def test_from_start_to_verdict_by_the_buttons() -> None:
    panel = analysed(PlayedDoor(executed_session()))
    screen = panel._screen
    assert screen is not None
    assert "Proposal ready for review" in texts(panel.widget)
    assert proposal_digest()[:12] in texts(panel.widget)
    assert screen.execute.disabled
    screen.approve.click()
    settle(panel)
    assert "approved by ada" in texts(panel.widget)
    assert screen.approve.disabled
    screen.execute.click()
    settle(panel)
    assert panel.session is not None
    assert panel.session.status is Status.EXECUTED_SUCCESSFULLY
    assert "passed." in texts(panel.widget)
    assert screen.execute.disabled


def test_the_diagram_is_drawn_by_jupyterlab_itself() -> None:
    panel = analysed(PlayedDoor(executed_session()))
    assert panel._screen is not None
    (output,) = panel._screen._diagram.outputs
    assert list(output["data"]) == ["text/vnd.mermaid", "text/plain"]


def test_an_error_before_the_start_is_shown_with_what_to_do_next() -> None:
    refusal = ConnectionFailed("No route to <b>10.0.0.1</b>.", hint="Check the context.")
    panel = analysed(PlayedDoor(executed_session(), refuse=refusal))
    assert "No route to <b>10.0.0.1</b>. Check the context." in texts(panel.widget)
    assert not panel.form.start.disabled
    panel._door = PlayedDoor(executed_session())
    panel.form.start.click()
    settle(panel)
    assert "No route" not in texts(panel.widget)


def test_a_fault_of_our_own_is_shown_as_one() -> None:
    panel = analysed(PlayedDoor(executed_session(), refuse=RuntimeError("boom")))
    assert "RuntimeError: boom This is a fault of dotai_nb itself." in texts(panel.widget)


def test_an_error_of_the_intent_leaves_the_form_to_be_corrected() -> None:
    panel = analysed(PlayedDoor(executed_session(), refuse=IntentError("The intent is empty.")))
    assert "The intent is empty." in texts(panel.widget)
    assert not panel.form.intent.disabled


def test_a_failed_analysis_says_why_and_can_be_started_again() -> None:
    panel = analysed(PlayedDoor(failed_session()))
    assert "Wait a minute and start again." in texts(panel.widget)
    assert not panel.form.start.disabled


def test_a_question_can_be_answered_by_refining() -> None:
    panel = analysed(PlayedDoor(clarification_session()))
    screen = panel._screen
    assert screen is not None
    assert "Which of the four Deployments" in texts(panel.widget)
    screen.more.value = "my-api"
    screen.refine.click()
    settle(panel)
    assert panel.session is not None
    assert panel.session.refinements == ("my-api",)
    assert "Refined: my-api" in texts(panel.widget)
    assert screen.more.value == ""


def test_cancel_ends_an_analysis_that_runs() -> None:
    panel = opened(PlayedDoor(executed_session(), pace=0.05))
    panel.form.start.click()
    until(lambda: panel.session is not None and not panel.form.cancel.disabled)
    panel.form.cancel.click()
    settle(panel)
    assert panel.session is not None
    assert panel.session.status is Status.FAILED
    assert "Cancelled" in texts(panel.widget)


def test_cancel_ends_the_connecting() -> None:
    panel = opened(PlayedDoor(executed_session(), delay=PATIENCE * 10))
    panel.form.start.click()
    until(lambda: "Connecting" in texts(panel.widget))
    panel.form.cancel.click()
    settle(panel)
    assert panel.session is None
    assert "Cancelled." in texts(panel.widget)
    assert not panel.form.start.disabled


def test_start_pressed_twice_starts_once() -> None:
    door = PlayedDoor(executed_session(), pace=0.02)
    panel = opened(door)
    panel.form.start.click()
    panel.form.start.click()
    settle(panel)
    assert len(door.given) == 1


def test_words_are_shown_while_they_come() -> None:
    panel = opened(PlayedDoor(executed_session(), pace=0.2))
    panel.form.start.click()
    until(lambda: "I look at" in texts(panel.widget))
    assert "naïve café" not in texts(panel.widget)
    panel.form.cancel.click()
    settle(panel)


def test_everything_is_painted_on_the_packages_own_loop() -> None:
    threads: set[str] = set()
    panel = opened(PlayedDoor(executed_session()))
    panel._body.observe(lambda _: threads.add(threading.current_thread().name), names="children")
    panel.form.start.click()
    until(lambda: threads)
    settle(panel)
    assert threads == {"dotai_nb"}


def test_a_replay_is_marked_and_shows_the_recorded_approval() -> None:
    panel = analysed(PlayedDoor(executed_session(), replayed=True))
    assert "Nothing is sent anywhere." in texts(panel.widget)


def test_hostile_words_stay_words_in_the_panel() -> None:
    panel = analysed(PlayedDoor(hostile_session()))
    found: set[str] = set()

    def look(widget: widgets.Widget) -> None:
        if isinstance(widget, widgets.HTML):
            found.update(Elements(widget.value).tags)
        for child in getattr(widget, "children", ()):
            look(child)

    look(panel.widget)
    assert not {"script", "img", "iframe", "object"} & found


def test_an_operation_that_exists_can_be_shown() -> None:
    first = analysed(PlayedDoor(executed_session()))
    second = Panel(operation=first.operation, door=PlayedDoor(executed_session()))
    settle(second)
    assert "Proposal ready for review" in texts(second.widget)


def test_a_piece_that_stays_the_same_is_the_same_widget() -> None:
    stack = Stack()
    stack.show([Fragment("a", "1"), Fragment("b", "2")])
    first, second = stack.box.children
    stack.show([Fragment("a", "1"), Fragment("b", "3"), Fragment("c", "4")])
    assert stack.box.children[:2] == (first, second)
    assert [piece.value for piece in stack.box.children] == ["1", "3", "4"]
    stack.show([Fragment("c", "4")])
    assert [piece.value for piece in stack.box.children] == ["4"]


def test_many_marks_are_few_paints() -> None:
    painted: list[float] = []

    def paint() -> bool:
        painted.append(portal.loop().time())
        return False

    pulse = Pulse(paint)
    for _ in range(2000):
        pulse.mark()
    until(lambda: painted)
    until(lambda: portal.call(lambda: pulse._due is None))
    gaps = [b - a for a, b in itertools.pairwise(painted)]
    assert all(gap >= pulses.INTERVAL for gap in gaps)
    assert len(painted) < 2000


@pytest.mark.parametrize("heavy", ["pandas", "itables", "pydantic", "kubernetes", "anthropic"])
def test_the_first_paint_loads_nothing_heavy(heavy: str) -> None:
    code = (
        "import sys, threading\n"
        "threading.Thread.start = lambda self: None  # what comes after the first paint\n"
        "from dotai_nb.widgets.panel import panel\n"
        "panel('do it')\n"
        "print(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert heavy not in done.stdout.split()
