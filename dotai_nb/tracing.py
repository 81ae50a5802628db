"""`DEBUG_DOT_AI=true`: a line a event on stderr, without what models and clusters say."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from dotai_nb.session.events import TextDelta

if TYPE_CHECKING:
    from dotai_nb.session.events import Recorded

log = logging.getLogger("dotai_nb.events")


def trace(heard: Recorded | TextDelta) -> None:
    """Log an event's number, time and type; never its content, which may be confidential."""
    if isinstance(heard, TextDelta):
        return
    if not log.handlers:
        log.addHandler(logging.StreamHandler(sys.stderr))
        log.setLevel(logging.DEBUG)
        log.propagate = False
    log.debug("dotai_nb %s #%d %s", heard.at.isoformat(), heard.seq, heard.event.type)
