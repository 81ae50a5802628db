"""Container logs: the last lines, searched on our side, with nothing in them that acts."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from dotai_nb.cluster.paging import answered
from dotai_nb.cluster.printing import Reading, cut, visible
from dotai_nb.cluster.redaction import redact_text
from dotai_nb.cluster.request import Request
from dotai_nb.errors import ApiError
from dotai_nb.session.values import Measured

if TYPE_CHECKING:
    from dotai_nb.cluster.connection import Connection

SEARCHED_LINES = 10_000
"""How many of the last lines a search looks at."""

_MOST_BYTES = 4 * 1024 * 1024
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


async def logs(  # noqa: PLR0913 -- kubectl's own options
    c: Connection,
    *,
    pod: str,
    namespace: str = "",
    container: str = "",
    tail: int = 100,
    since_seconds: int = 0,
    previous: bool = False,
    grep: str = "",
    budget: int,
) -> Reading:
    """The end of a container's log.

    Args:
        c: the cluster.
        pod: its name, with or without `pod/`.
        namespace: empty for the context's own.
        container: empty for the default one, as kubectl chooses it.
        tail: how many of the last lines, of those that match.
        since_seconds: only newer ones; 0 for all.
        previous: of the container's instance before, the one that crashed.
        grep: only lines with this text, ignoring case; `|` between alternatives. Plain text
            rather than a pattern: a pattern can take for ever.
        budget: tokens.

    Raises:
        ApiError: no such pod, container or permission; or the container has not started.
    """
    pod = pod.removeprefix("pods/").removeprefix("pod/")
    query = {
        "tailLines": str(SEARCHED_LINES if grep else max(tail, 1)),
        "limitBytes": str(_MOST_BYTES),
    }
    query |= {"container": container} if container else {}
    query |= {"sinceSeconds": str(since_seconds)} if since_seconds > 0 else {}
    query |= {"previous": "true"} if previous else {}
    request = Request(
        verb="get",
        version="v1",
        resource="pods",
        namespace=namespace or c.namespace,
        name=pod,
        subresource="log",
        query=query,
        accept="text/plain,application/json",
    )
    text, note = await _text(c, request)
    # Whole, as a key has many lines; before the search, which else would tell what is hidden.
    lines = redact_text("\n".join(visible(line) for line in text.splitlines())).split("\n")
    lines = lines if text else []
    notes = [note] if note else []
    unread = len(text.encode()) >= _MOST_BYTES
    if unread:
        notes.append("The log is longer than what was read: its newest lines are missing here.")
    matching = [line for line in lines if _has(line, grep)][-max(tail, 1) :]
    if not matching:
        said = "\n".join((*notes, _nothing(pod, len(lines), grep, unread=unread)))
        total = None if unread else 0
        return Reading(said, Measured(returned=0, total=total, truncated=unread))
    reading = cut(
        "\n".join(matching),
        budget=budget,
        narrow="Narrow with tail, since_seconds or grep.",
        keep_end=True,
    )
    return Reading("\n".join((*notes, reading.text)), reading.measured)


async def _text(c: Connection, request: Request) -> tuple[str, str]:
    """The log, and a note when the container was chosen for the caller."""
    try:
        return str((await answered(c, request)).body), ""
    except ApiError as error:
        if (
            error.code != HTTPStatus.BAD_REQUEST
            or "a container name must be specified" not in error.message
        ):
            raise
    pod = (await c.investigate(replace(request, subresource="", query={}))).body
    names = [each["name"] for each in pod["spec"]["containers"]]
    marked = (pod["metadata"].get("annotations") or {}).get(_DEFAULT_CONTAINER)
    chosen = marked if marked in names else names[0]
    query = {**request.query, "container": str(chosen)}
    reply = await c.investigate(replace(request, query=query))
    return str(reply.body), f"Defaulted container {chosen!r} out of: {', '.join(names)}."


def _has(line: str, grep: str) -> bool:
    wanted = [part.strip().lower() for part in grep.split("|") if part.strip()]
    return not wanted or any(part in line.lower() for part in wanted)


def _nothing(pod: str, searched: int, grep: str, *, unread: bool) -> str:
    if searched:
        which = "lines that were read" if unread else f"last {searched} lines"
        return f"None of the {which} of the log of pod {pod} has {grep!r}."
    return f"The log of pod {pod} is empty for what was asked."
