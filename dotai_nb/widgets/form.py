"""The fields above a panel: intent, steps, namespace, context, model, recording; the buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from dotai_nb.views.escape import html
from dotai_nb.widgets.destination import Choices, sentence

if TYPE_CHECKING:
    from dotai_nb.widgets.controls import Controls
    from dotai_nb.widgets.door import Surroundings

_NO_RECORDING = "None: ask the model"
_STEPS_HINT = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: example
---
# Each document is applied. When there is text here, Start plans it, and no model is asked."""
_INTENT_HINT = "What should change? For example: update my-api to v2.0 with zero downtime"

WHOLE = {"continuous_update": False}
"""Text is sent when its field is left, not letter by letter: while a letter is on its way the page
holds the next ones back, but never a click, so that Start would overtake the end of an intent."""


class Form:
    """The fields, and the sentence that says where data goes.

    Attributes:
        box: the widget.
        start, cancel: the buttons.
    """

    def __init__(self, choices: Choices) -> None:
        self._around: Surroundings | None = None
        self._preset = choices
        self.intent = _field(
            widgets.Textarea, "Intent", choices.intent, placeholder=_INTENT_HINT, rows=2, **WHOLE
        )
        self.namespace = _field(
            widgets.Text, "Namespace", choices.namespace, placeholder="the context's own", **WHOLE
        )
        self.context = _field(widgets.Dropdown, "Context")
        self.model = _field(
            widgets.Text, "Model", choices.model, placeholder="the default", **WHOLE
        )
        self.recording = _field(widgets.Dropdown, "Recording")
        self.steps = _field(
            widgets.Textarea, "YAML", choices.steps, placeholder=_STEPS_HINT, rows=8, **WHOLE
        )
        self.start = widgets.Button(description="Start", button_style="primary")
        self.cancel = widgets.Button(description="Cancel", disabled=True)
        self._sentence = widgets.HTML()
        self._offer_choices()
        for field in (self.intent, self.context, self.model, self.recording, self.steps):
            field.observe(self._changed, names="value")
        self.recording.observe(self._recording_chosen, names="value")
        self.box = self._arranged()
        self._changed(None)

    @property
    def choices(self) -> Choices:
        """What stands in the fields now."""
        return Choices(
            intent=self.intent.value,
            namespace=self.namespace.value.strip(),
            context=self.context.value or "",
            model=self.model.value.strip(),
            recording=self.recording.value or "",
            steps=self.steps.value,
        )

    def offer(self, around: Surroundings) -> None:
        """Fill the choices with what is there; what a person chose meanwhile stays."""
        chosen = self.choices
        self._around = around
        self._preset = Choices(context=chosen.context, recording=chosen.recording)
        self._offer_choices()
        self.model.placeholder = around.model
        self._changed(None)

    def show(self, controls: Controls) -> None:
        """Enable and disable; a disabled button says why when pointed at."""
        press(self.start, controls.start.against)
        press(self.cancel, controls.cancel.against)
        fields = (self.intent, self.namespace, self.context, self.model, self.recording, self.steps)
        for field in fields:
            field.disabled = not controls.form

    def _offer_choices(self) -> None:
        around, preset = self._around, self._preset
        contexts = around.contexts if around else ()
        current = f"current: {around.current}" if around and around.current else "current"
        if around and not contexts:
            current = "none found"
        names = around.recordings if around else ()
        _options(self.context, [(current, ""), *((n, n) for n in contexts)], preset.context)
        _options(self.recording, [(_NO_RECORDING, ""), *((n, n) for n in names)], preset.recording)

    def _changed(self, _: Any) -> None:
        text = sentence(self._around, self.choices)
        replays = self.recording.value and not self.choices.by_hand
        problem = self._around.problem if self._around and not replays else ""
        warning = f' <span class="dn-warn">{html(problem)}</span>' if problem else ""
        self._sentence.value = f'<div class="dn dn-quiet">{html(text)}{warning}</div>'

    def _recording_chosen(self, change: Any) -> None:
        """A recording is of one intent: put it there, unless the person wrote their own."""
        intents = self._around.recordings if self._around else {}
        known = {"", *intents.values()}
        if change.new in intents and self.intent.value in known:
            self.intent.value = intents[change.new]

    def _arranged(self) -> widgets.VBox:
        fields = widgets.GridBox([self.namespace, self.context, self.model, self.recording])
        fields.add_class("dn-fields")
        buttons = widgets.HBox([self.start, self.cancel])
        buttons.add_class("dn-buttons")
        foot = widgets.HBox([self._sentence, buttons])
        foot.add_class("dn-foot")
        # Folded as long as it is empty: most operations ask a model.
        by_hand = widgets.Accordion([self.steps], titles=("Write steps",))
        by_hand.selected_index = 0 if self.steps.value else None
        return widgets.VBox([self.intent, by_hand, fields, foot])


def press(button: widgets.Button, against: str) -> None:
    """Enable the button, or disable it and say why."""
    button.disabled = bool(against)
    button.tooltip = against


def _field(kind: type, label: str, value: str | None = None, **more: Any) -> Any:
    given = more if value is None else {"value": value, **more}
    field = kind(description=label, **given)
    field.add_class("dn-field")
    return field


def _options(field: widgets.Dropdown, options: list[tuple[str, str]], chosen: str) -> None:
    if chosen and chosen not in dict(map(reversed, options)):  # type: ignore[arg-type]
        options.append((chosen, chosen))
    field.options = options
    field.value = chosen
