"""The panel: from an intent to a verdict, with the buttons a person presses."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from dotai_nb import portal
from dotai_nb.cell import Cell
from dotai_nb.errors import DotAiError
from dotai_nb.views.escape import html
from dotai_nb.views.theme import style
from dotai_nb.widgets import door as doors
from dotai_nb.widgets.controls import IDLE, Controls, connecting, controls
from dotai_nb.widgets.destination import Choices
from dotai_nb.widgets.form import Form
from dotai_nb.widgets.pulse import Pulse
from dotai_nb.widgets.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

    from dotai_nb.session.events import Recorded, TextDelta
    from dotai_nb.session.session import Session
    from dotai_nb.session.values import Approval
    from dotai_nb.settings import Settings
    from dotai_nb.widgets.door import Door, PanelOperation
    from dotai_nb.widgets.screen import Screen

REPLAY_PACE = 1.0
"""A replay takes the time that the recorded run took, so that one sees how it came about."""

_WITHOUT_KERNEL = "dotai_nb panel: run this cell to use it."


def panel(  # noqa: PLR0913 - what a person may preset
    intent: str = "",
    *,
    namespace: str = "",
    context: str = "",
    model: str = "",
    recording: str = "",
    steps: str = "",
    operation: PanelOperation | None = None,
    settings: Settings | None = None,
) -> Panel:
    """A panel to run operations in; the last expression of a cell shows it.

    Args:
        intent: what the field holds at first; so for the next five.
        namespace: empty for the context's own.
        context: a kubeconfig context; empty for the current one.
        model: empty for the provider's default.
        recording: name of a recording; empty for a live model.
        steps: your own, as YAML text with one or several manifests: they are planned as they stand,
            and no model is asked.
        operation: show this one, such as `open_session(path)`, rather than an empty panel.
        settings: in place of the environment's.
    """
    choices = Choices(
        intent=intent,
        namespace=namespace,
        context=context,
        model=model,
        recording=recording,
        steps=steps,
    )
    return Panel(choices, operation=operation, settings=settings)


class Panel:
    """Widgets around one operation at a time.

    Attributes:
        widget: what is displayed.
        form: its fields.
        operation: the one it shows; None before the first Start.
    """

    def __init__(
        self,
        choices: Choices | None = None,
        *,
        operation: PanelOperation | None = None,
        settings: Settings | None = None,
        door: Door | None = None,
    ) -> None:
        self.form = Form(choices or Choices())
        self.operation = operation
        self._settings = settings
        self._door = door
        self._screen: Screen | None = None
        self._saying = ""
        self._problem = ""
        self._work: Future[None] | None = None
        self._began = self._ended = 0.0
        self._approval: Approval | None = None
        self._record = Record()
        self._pulse = Pulse(self._paint)
        self._notice = widgets.HTML()
        self._body = widgets.VBox()
        self.widget = widgets.VBox([widgets.HTML(style()), self.form.box, self._notice, self._body])
        self.widget.add_class("dotai-panel")
        self.form.start.on_click(self._on_start)
        self.form.cancel.on_click(self._on_cancel)
        # A button's run belongs to no cell; its panel does, and ends with the cell's next run.
        Cell.now().start(self)
        threading.Thread(target=self._look_around, name="dotai_nb-panel", daemon=True).start()
        if operation is not None:
            operation.subscribe(self._hear)
            self._pulse.mark()

    @property
    def session(self) -> Session | None:
        """The session that is shown; None before the first Start."""
        return self.operation.session if self.operation else None

    @property
    def busy(self) -> bool:
        """Something the panel or its operation began is not done yet."""
        working = self._work is not None and not self._work.done()
        return working or (self.operation is not None and self.operation.busy)

    @property
    def controls(self) -> Controls:
        """What can be pressed now, and why not."""
        if self.operation is None:
            return connecting() if self.busy else IDLE
        return controls(
            self.operation.session,
            busy=self.busy,
            now=datetime.now(UTC),
            replayed=self.operation.replayed,
            approval=self._approval if self.operation.replayed else None,
        )

    def cancel(self) -> None:
        """End what runs, as the button does."""
        if self.operation is not None:
            self.operation.cancel()
        elif self._work is not None:
            self._work.cancel()

    def _ipython_display_(self, **_: Any) -> None:
        from IPython.display import display

        live = self.widget._repr_mimebundle_() | {"text/plain": _WITHOUT_KERNEL}
        display(live, raw=True)
        self._record.place()

    # What a person does; on the kernel's thread.

    def _on_start(self, _: Any) -> None:
        if self.busy:
            return
        self.operation, self._approval = None, None
        self._record.clear()
        self._do(self._start(self.form.choices))

    def _on_cancel(self, _: Any) -> None:
        self._try(self.cancel)

    def _on_approve(self, _: Any) -> None:
        self._try(self._approve)

    def _on_execute(self, _: Any) -> None:
        if self.operation is not None and not self.busy:
            self._do(self._awaited(self.operation.execute()))

    def _on_refine(self, _: Any) -> None:
        screen = self._screen
        if self.operation is None or screen is None or self.busy or not screen.more.value.strip():
            return
        text, screen.more.value = screen.more.value, ""
        self._approval = None
        self._do(self._awaited(self.operation.refine(text)))

    def _approve(self) -> None:
        if self.operation is not None:
            shown = self.operation.session.digest
            self._approval = self.operation.approve(shown, how="button")

    def _try(self, action: Callable[[], object]) -> None:
        """Do it here and now; what it raises is shown."""
        try:
            self._problem = ""
            action()
        except Exception as error:  # noqa: BLE001 - an error in a callback would show nowhere
            self._problem = problem(error)
        self._pulse.mark()

    # What it sets going; on the package's loop.

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        self._problem = ""
        self._began, self._ended = time.monotonic(), 0.0
        self._work = portal.submit(self._guarded(work))
        self._pulse.mark()

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """What a background task raises shows nowhere by itself: show it in the panel."""
        try:
            await work
        except asyncio.CancelledError:
            self._problem = problem(None)
        except Exception as error:  # noqa: BLE001 - see the docstring
            self._problem = problem(error)
        finally:
            self._ended = time.monotonic()
            self._pulse.mark()

    async def _start(self, choices: Choices) -> None:
        operation = await self._opened(choices)
        self.operation = operation
        self._pulse.mark()
        await operation.analysed()

    async def _opened(self, choices: Choices) -> PanelOperation:
        door = self._door or doors.default()
        if choices.by_hand:
            return await door.plan(
                choices.steps,
                namespace=choices.namespace,
                context=choices.context,
                intent=choices.intent,
                settings=self._settings,
                hear=self._hear,
            )
        return await door.start(
            choices.intent,
            namespace=choices.namespace,
            context=choices.context,
            model=choices.model,
            recording=choices.recording,
            pace=REPLAY_PACE,
            settings=self._settings,
            hear=self._hear,
        )

    async def _awaited(self, work: Coroutine[Any, Any, object]) -> None:
        await work

    def _hear(self, heard: Recorded | TextDelta) -> None:
        from dotai_nb.session.events import TextDelta

        self._saying = self._saying + heard.text if isinstance(heard, TextDelta) else ""
        self._pulse.mark()

    def _look_around(self) -> None:
        """Read what can be chosen, then load what the first session will need."""
        try:
            door = self._door or doors.default()
            self.form.offer(door.about(self._settings))
        except Exception as error:  # noqa: BLE001 - shown; a thread's error shows nowhere
            self._problem = problem(error)
        self._pulse.mark()
        from dotai_nb.views import preview

        preview.warm_up()

    # What it shows; on the package's loop.

    def _paint(self) -> bool:
        try:
            self._show()
        except Exception as error:  # noqa: BLE001 - shown; a callback's error shows nowhere
            self._problem = problem(error)
        self._notice.value = self._problem or self._waiting()
        return self.busy

    def _show(self) -> None:
        now = self.controls
        self.form.show(now)
        operation = self.operation
        if operation is None:
            self._body.children = ()
            return
        screen = self._screen or self._build()
        if not self._body.children:
            self._body.children = (screen.box,)
        session = operation.session
        screen.show(
            session,
            now,
            saying=self._saying,
            elapsed=self._elapsed(),
            replayed=operation.replayed,
            path=_seen_from_here(operation.path),
            approval=session.approval or self._approval,
        )
        if session.at_rest and not self.busy:
            self._record.show(session, replayed=operation.replayed)

    def _build(self) -> Screen:
        from dotai_nb.widgets.screen import Screen

        screen = self._screen = Screen()
        screen.approve.on_click(self._on_approve)
        screen.execute.on_click(self._on_execute)
        screen.refine.on_click(self._on_refine)
        return screen

    def _elapsed(self) -> float | None:
        if not self._began:
            return None
        return (self._ended or time.monotonic()) - self._began

    def _waiting(self) -> str:
        if self.operation is not None or not self.busy:
            return ""
        seconds = int(self._elapsed() or 0)
        return f'<div class="dn dn-quiet" role="status">Connecting… {seconds} s</div>'


def _seen_from_here(path: Path) -> str:
    """Relative to the kernel's folder, which is the notebook's, where it lies in that."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def problem(error: BaseException | None) -> str:
    """An error as HTML: what happened, and what to do next. None: it was cancelled."""
    if error is None:
        said, hint = "Cancelled.", ""
    elif isinstance(error, DotAiError):
        said, hint = error.message, error.hint
    else:
        said, hint = f"{type(error).__name__}: {error}", "This is a fault of dotai_nb itself."
    return (
        f'<div class="dn" role="alert"><p class="dn-banner dn-bad"><span><b>{html(said)}</b> '
        f"{html(hint)}</span></p></div>"
    )
