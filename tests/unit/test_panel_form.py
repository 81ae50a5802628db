"""The fields, and the sentence that says where data goes before it goes there."""

from __future__ import annotations

import pytest

from dotai_nb.widgets.controls import IDLE, connecting
from dotai_nb.widgets.destination import Choices, sentence
from dotai_nb.widgets.form import Form
from tests.unit.panel_door import Around


@pytest.mark.parametrize(
    ("around", "choices", "said"),
    [
        (
            Around(),
            Choices(),
            (
                "Your intent and what the tools read will be sent to https://api.anthropic.com "
                "(claude-sonnet-5)."
            ),
        ),
        (Around(), Choices(model="other"), "https://api.anthropic.com (other)."),
        (Around(), Choices(recording="demo"), "nothing is sent anywhere"),
        (Around(), Choices(recording="demo", context="staging"), "the cluster of staging"),
        (
            Around(has_key=False),
            Choices(steps="a: 1", recording="demo"),
            "dry-run by the API server of kind-shop; nothing is sent to any model.",
        ),
        (Around(), Choices(steps="a: 1", context="staging"), "the API server of staging;"),
        (Around(), Choices(steps=" \n"), "sent to https://api.anthropic.com"),
        (Around(has_key=False), Choices(), "ANTHROPIC_API_KEY is not set, so no model can"),
        (
            Around(has_key=False),
            Choices(intent=" Update my-api "),
            "ANTHROPIC_API_KEY is not set. Replay of “zero-downtime”",
        ),
    ],
)
def test_who_is_sent_what(around: Around, choices: Choices, said: str) -> None:
    assert said in sentence(around, choices)


def test_nothing_is_promised_before_the_settings_are_read() -> None:
    assert "Reading" in sentence(None, Choices())


def test_presets_stand_in_the_fields_also_before_anything_is_known() -> None:
    preset = Choices("do it", "shop", "staging", "model-x", "demo", "a: 1")
    form = Form(preset)
    assert form.choices == preset
    form.offer(Around())
    assert form.choices == preset


def test_an_empty_context_is_the_current_one_and_says_which() -> None:
    form = Form(Choices())
    form.offer(Around())
    assert form.context.options[0] == ("current: kind-shop", "")
    assert form.choices.context == ""


def test_choosing_a_recording_brings_its_intent() -> None:
    form = Form(Choices())
    form.offer(Around())
    form.recording.value = "zero-downtime"
    assert form.intent.value == "Update my-api"


def test_choosing_a_recording_leaves_an_intent_of_ones_own() -> None:
    form = Form(Choices(intent="mine"))
    form.offer(Around())
    form.recording.value = "zero-downtime"
    assert form.intent.value == "mine"


def test_the_sentence_follows_the_fields() -> None:
    form = Form(Choices())
    form.offer(Around())
    assert "https://api.anthropic.com" in form._sentence.value
    form.recording.value = "zero-downtime"
    assert "nothing is sent anywhere" in form._sentence.value


def test_a_problem_with_the_kubeconfig_is_shown_as_text() -> None:
    form = Form(Choices())
    form.offer(Around(contexts=(), current="", problem="no <b>kubeconfig</b>"))
    assert "no &lt;b&gt;kubeconfig&lt;/b&gt;" in form._sentence.value
    assert form.context.options[0] == ("none found", "")


def test_locked_fields_cannot_be_edited_and_a_button_says_why() -> None:
    form = Form(Choices())
    form.show(connecting())
    assert form.intent.disabled
    assert form.steps.disabled
    assert form.start.disabled
    assert form.start.tooltip == "The session is being opened."
    form.show(IDLE)
    assert not form.intent.disabled
    assert form.cancel.disabled


def test_every_field_has_a_label() -> None:
    form = Form(Choices())
    fields = (form.intent, form.namespace, form.context, form.model, form.recording, form.steps)
    assert [f.description for f in fields] == [
        "Intent",
        "Namespace",
        "Context",
        "Model",
        "Recording",
        "YAML",
    ]


def test_steps_are_folded_until_there_are_some() -> None:
    assert Form(Choices()).box.children[1].selected_index is None
    assert Form(Choices(steps="a: 1")).box.children[1].selected_index == 0


def test_the_sentence_says_that_written_steps_go_to_no_model() -> None:
    form = Form(Choices())
    form.offer(Around())
    form.steps.value = "a: 1"
    assert "nothing is sent to any model" in form._sentence.value
    assert "anthropic" not in form._sentence.value


def test_steps_of_ones_own_need_a_cluster_whatever_recording_is_chosen() -> None:
    form = Form(Choices(steps="a: 1", recording="zero-downtime"))
    form.offer(Around(contexts=(), current="", problem="no kubeconfig"))
    assert "no kubeconfig" in form._sentence.value
