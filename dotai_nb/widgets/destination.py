"""Where data goes when Start is pressed, in a plain sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dotai_nb.widgets.door import Surroundings


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person chose; empty stands for the default."""

    intent: str = ""
    namespace: str = ""
    context: str = ""
    model: str = ""
    recording: str = ""
    steps: str = ""

    @property
    def by_hand(self) -> bool:
        """The person has written the steps: no model and no recording is used."""
        return bool(self.steps.strip())


def sentence(around: Surroundings | None, choices: Choices) -> str:
    """Who is sent what, before it is sent."""
    if around is None:
        return "Reading the kubeconfig and the settings…"
    if choices.by_hand:
        return (
            "Your own steps are dry-run by the API server of "
            f"{choices.context or around.current or 'the current context'}; nothing is sent to any "
            "model."
        )
    if choices.recording:
        return _recorded(choices.recording, choices.context)
    if not around.has_key:
        return _without_key(around, choices)
    model = choices.model or around.model
    return f"Your intent and what the tools read will be sent to {around.endpoint} ({model})."


def _without_key(around: Surroundings, choices: Choices) -> str:
    asked = choices.intent.strip()
    for name, intent in around.recordings.items():
        if asked == intent:
            return f"{around.key_variable} is not set. {_recorded(name, '')}"
    key = around.key_variable
    return f"{key} is not set, so no model can be asked: set it, or choose a recording."


def _recorded(name: str, context: str) -> str:
    if context:
        return (
            f"No model is asked: the turns recorded in “{name}” run against the cluster of "
            f"{context}, with a fresh review and approval."
        )
    return (
        f"Replay of “{name}”: no model is asked and nothing is sent anywhere. Only on the practice "
        "cluster do the recorded turns run against the cluster itself."
    )
