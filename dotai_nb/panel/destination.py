"""Where data goes when Start is pressed, in a plain sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dotai_nb.panel.door import Surroundings


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person chose; empty stands for the default."""

    intent: str = ""
    namespace: str = ""
    context: str = ""
    model: str = ""
    recording: str = ""


def sentence(around: Surroundings | None, choices: Choices) -> str:
    """Who is sent what, before it is sent."""
    if around is None:
        return "Reading the kubeconfig and the settings…"
    if choices.recording:
        return _recorded(choices)
    if not around.has_key:
        return (
            f"{around.key_variable} is not set, so no model can be asked. An intent that was "
            "recorded is replayed from its file; set the key for any other."
        )
    model = choices.model or around.model
    return f"Your intent and what the tools read will be sent to {around.endpoint} ({model})."


def _recorded(choices: Choices) -> str:
    if choices.context:
        return (
            f"No model is asked: the turns recorded in “{choices.recording}” run against the "
            f"cluster of {choices.context}, with a fresh review and approval."
        )
    return (
        f"Replay of “{choices.recording}”: no model is asked and nothing is sent anywhere. "
        "Only if the current context is the practice cluster do the recorded turns run there."
    )
