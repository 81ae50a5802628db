"""What the panel needs of the rest of the package, as Protocols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dotai_nb.session.events import Recorded, TextDelta
    from dotai_nb.session.session import Session
    from dotai_nb.session.values import Approval
    from dotai_nb.settings import Settings

    Hear = Callable[[Recorded | TextDelta], None]


class PanelOperation(Protocol):
    """An operation, as the panel holds it."""

    @property
    def path(self) -> Path:
        """The session's file."""

    @property
    def session(self) -> Session:
        """The session as it stands now."""

    @property
    def busy(self) -> bool:
        """An analysis or an execution is under way."""

    @property
    def replayed(self) -> bool:
        """Everything comes from a file and nothing is sent anywhere."""

    def subscribe(self, hear: Hear) -> Callable[[], None]:
        """Hear events and text deltas on the package's loop; the returned function ends it."""

    def approve(self, digest: str = "", *, how: Literal["button"] = ...) -> Approval:
        """Say yes to the plan of this digest."""

    async def analysed(self) -> object:
        """Wait for the analysis in flight; raises what ended it."""

    async def execute(self, on_error: Literal["continue", "stop"] = "continue") -> object:
        """Send the approved steps, wait, check."""

    async def refine(self, text: str) -> object:
        """Analyse again with more said."""

    def cancel(self) -> None:
        """Stop what runs."""


class Surroundings(Protocol):
    """What a person can choose from, known without the network."""

    @property
    def contexts(self) -> tuple[str, ...]:
        """Names of kubeconfig contexts."""

    @property
    def current(self) -> str:
        """The current context; may be empty."""

    @property
    def model(self) -> str:
        """The model that is asked unless another is named."""

    @property
    def endpoint(self) -> str:
        """The URL that is sent data."""

    @property
    def has_key(self) -> bool:
        """A model can be asked."""

    @property
    def key_variable(self) -> str:
        """The environment variable that holds its key."""

    @property
    def recordings(self) -> Mapping[str, str]:
        """Name to intent."""

    @property
    def problem(self) -> str:
        """Why there are no contexts; empty when there are."""


class Door(Protocol):
    """The way from the panel to operations."""

    async def start(  # noqa: PLR0913 - what a person may choose
        self,
        intent: str,
        *,
        namespace: str = "",
        context: str = "",
        model: str = "",
        recording: str = "",
        pace: float = 0.0,
        settings: Settings | None = None,
        hear: Hear | None = None,
    ) -> PanelOperation:
        """Connect, create the session, begin the analysis; returns at once.

        `pace` is that of a replay: 1.0 takes the time it took.
        """

    async def plan(  # noqa: PLR0913 - what a person may choose
        self,
        steps: str,
        *,
        namespace: str = "",
        context: str = "",
        intent: str = "",
        settings: Settings | None = None,
        hear: Hear | None = None,
    ) -> PanelOperation:
        """The same with a person's own steps, as YAML text; no model is asked."""

    def about(self, settings: Settings | None = None) -> Surroundings:
        """What is there; quick, no network."""


def default() -> Door:
    """The package's own door; imported late, so that the first paint does not wait for it."""
    from dotai_nb import operation, planning, surroundings

    return _Package(operation.start, planning.start_plan, surroundings.about)


@dataclass(frozen=True, slots=True)
class _Package:
    start: Any
    plan: Any
    about: Any
