"""The notebook cell that runs now: running it again ends what it started before."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Protocol


class Cancellable(Protocol):
    """Something a cell started."""

    @property
    def busy(self) -> bool:
        """Whether it still runs."""

    def cancel(self) -> None:
        """End it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell and one execution of it; both are empty outside a notebook."""

    id: str
    execution: str

    @classmethod
    def now(cls) -> Cell:
        """The cell whose code is running."""
        module = sys.modules.get("IPython")
        shell = module.get_ipython() if module else None
        parent: dict[str, Any] = getattr(getattr(shell, "kernel", None), "get_parent", dict)()
        cell = parent.get("metadata", {}).get("cellId", "")
        return cls(cell, parent.get("header", {}).get("msg_id", ""))

    def start(self, started: Cancellable) -> None:
        """Take note of what this execution started, and cancel what an earlier one did."""
        if not self.id:
            return
        execution, before = _live.get(self.id, ("", ()))
        if execution != self.execution:
            for other in before:
                if other.busy:
                    other.cancel()
            before = ()
        _live[self.id] = (self.execution, (*before, started))


_live: dict[str, tuple[str, tuple[Cancellable, ...]]] = {}
"""By cell: its latest execution, and what that started."""
