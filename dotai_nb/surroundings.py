"""What a person can choose from before an operation starts, known without the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dotai_nb.errors import ClusterError, SessionError
from dotai_nb.session import paths, recordings
from dotai_nb.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a person can choose from, known without the network.

    Attributes:
        endpoint: the URL that is sent data.
        key_variable: the environment variable of the key.
        recordings: name to intent.
        problem: why there are no contexts; empty when there are.
    """

    contexts: tuple[str, ...]
    current: str
    model: str
    endpoint: str
    has_key: bool
    key_variable: str
    recordings: dict[str, str]
    directory: Path
    problem: str = ""


def about(settings: Settings | None = None) -> Surroundings:
    """What is there: contexts, the model, its endpoint, recordings, where sessions are kept."""
    from dotai_nb.cluster.connection import contexts
    from dotai_nb.llm import catalogue

    chosen = settings or Settings.from_environment()
    provider = catalogue.provider_of(chosen)
    problem = ""
    try:
        names, current = contexts(chosen)
    except ClusterError as error:
        names, current, problem = (), "", str(error)
    return Surroundings(
        contexts=names,
        current=current,
        model=catalogue.model_name(chosen),
        endpoint=catalogue.endpoint_of(chosen),
        has_key=bool(provider.key_in(chosen).get_secret_value()),
        key_variable=provider.key_variable,
        recordings=_intents(paths.recordings_directories()),
        directory=paths.session_directory(chosen),
        problem=problem,
    )


def _intents(folders: tuple[Path, ...]) -> dict[str, str]:
    """Recordings by name; one that can't be read is listed too, and says why when it is used."""
    found = {}
    for name in recordings.names(folders):
        try:
            found[name] = recordings.find(folders, name=name).intent
        except SessionError as error:
            found[name] = str(error)
    return found
