"""Where an operation gets its cluster and its model's turns from: decided once, at its start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dotai_nb.cluster.connection import Connection, is_practice
from dotai_nb.errors import ClusterError, ModelKeyMissing, RecordingNotFound
from dotai_nb.llm import catalogue
from dotai_nb.llm.scripted import ScriptedModel, answers_of
from dotai_nb.session import recordings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dotai_nb.llm.conversation import Model
    from dotai_nb.session.recordings import Recording
    from dotai_nb.settings import Settings


@dataclass(frozen=True, slots=True)
class Source:
    """A live cluster, and a model that is live or recorded.

    Attributes:
        recording: the recording that the turns come from; empty for a live model.
        scripted: no model ever made those turns.
    """

    connection: Connection
    model: Model
    recording: str = ""
    scripted: bool = False


async def choose(  # noqa: PLR0913 - what a person may choose
    intent: str,
    *,
    context: str,
    model: str,
    recording: str,
    folders: Sequence[Path],
    settings: Settings,
) -> Source | Recording:
    """A live source, or a recording to replay with nothing sent anywhere.

    A recording's turns run against a cluster only when both are named, or on the practice cluster.

    Raises:
        RecordingNotFound: no recording of that name.
        ModelKeyMissing: no key, and no recording of this intent.
        ConnectionFailed, CredentialsRejected: the cluster can't be reached.
    """
    provider = catalogue.provider_of(settings)
    if not recording and provider.key_in(settings).get_secret_value():
        return await _live(context, model, settings)
    found = _recorded(intent, recording, folders, settings)
    if recording and context:
        return _on(await Connection.open(settings, context=context), found, model)
    practice = None if context else await _practice(settings)
    return found if practice is None else _on(practice, found, model)


async def _live(context: str, model: str, settings: Settings) -> Source:
    asked = catalogue.model_for(settings, model)
    try:
        return Source(await Connection.open(settings, context=context), asked)
    except BaseException:
        await asked.close()
        raise


def _recorded(
    intent: str, recording: str, folders: Sequence[Path], settings: Settings
) -> Recording:
    try:
        return recordings.find(folders, name=recording, intent=intent)
    except RecordingNotFound as missing:
        if recording:
            raise
        key = catalogue.provider_of(settings).key_variable
        raise ModelKeyMissing(
            f"{key} is not set, and no recording has this intent.",
            hint=f"Set {key} to ask a model, or use a recorded intent. {missing.hint}".strip(),
        ) from missing


async def _practice(settings: Settings) -> Connection | None:
    """A connection to the current context if that is the practice cluster."""
    try:
        connection = await Connection.open(settings)
    except ClusterError:
        # No cluster is a fine reason to replay from the file; naming a context would raise.
        return None
    if await is_practice(connection):
        return connection
    await connection.close()
    return None


def _on(connection: Connection, found: Recording, model: str) -> Source:
    started = found.loaded.session.started
    turns = ScriptedModel(answers_of(found.loaded.recorded), name=model or started.model)
    return Source(connection, turns, recording=found.name, scripted=started.scripted)
