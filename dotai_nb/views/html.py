"""A session as HTML: the pieces around the others, and the page that stays in the notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotai_nb.views import activity, execution, markdown, proposal, words
from dotai_nb.views.escape import html
from dotai_nb.views.theme import style

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dotai_nb.session.session import Session
    from dotai_nb.views.activity import Fragment


def banner(session: Session, *, replayed: bool) -> str:
    """What marks a replay, recorded turns or a person's own steps; empty for a live run."""
    marks = words.marks(session.started, replayed=replayed)
    if not marks:
        return ""
    said = "<br>".join(f"<b>{html(mark)}</b>" for mark in marks)
    return f'<p class="dn-banner dn-warn"><span>{said}</span></p>'


def facts(session: Session, path: str = "") -> str:
    """Which cluster, as whom, where, with which model, kept in which file."""
    started = session.started
    uid = started.fingerprint.cluster_uid or "not readable"
    access = ", read only" if started.access == "read" else ""
    rows = [
        ("Cluster", f"<code>{html(started.fingerprint.server)}</code> {html(_version(session))}"),
        ("Investigates as", f"<code>{html(started.identity)}</code>{access}"),
        ("Executes as", _executor(session)),
        ("Namespace", f"<code>{html(started.namespace or 'not narrowed')}</code>"),
        ("Model", html(words.model(started))),
        ("Organisation", html(started.knowledge)),
        ("Session", f"<code>{html(path or session.id)}</code>"),
    ]
    items = "".join(f"<dt>{name}</dt><dd{_title(name, uid)}>{value}</dd>" for name, value in rows)
    return f'<dl class="dn dn-facts">{items}</dl>'


def _executor(session: Session) -> str:
    name = f"<code>{html(words.executor(session.started))}</code>"
    return f"{name}, {words.SEPARATE if session.started.executes_as else words.SHARED}"


def _version(session: Session) -> str:
    context = session.started.context
    return f"{session.started.server_version}" + (f", context {context}" if context else "")


def _title(name: str, uid: str) -> str:
    return f' title="UID of kube-system: {html(uid)}"' if name == "Cluster" else ""


def page(session: Session, *, replayed: bool = False) -> str:
    """The whole session on one static page, without script; folds work wherever HTML does."""
    body = "".join(fragment.html for fragment in _fragments(session))
    return (
        f"{activity.status_line(session)}"
        f'<div class="dn">{banner(session, replayed=replayed)}'
        f"<p><b>{html(session.intent)}</b></p>{_refined(session)}</div>"
        f"{facts(session)}{body}"
    )


def _refined(session: Session) -> str:
    return "".join(f"<p>Refined: {html(text)}</p>" for text in session.refinements)


def _fragments(session: Session) -> Iterator[Fragment]:
    yield from activity.log(session, "investigate")
    yield from proposal.conclusion(session)
    yield from proposal.overview(session)
    yield from proposal.differences(session)
    yield from proposal.consequences(session, copy_button=False)
    yield from _executed(session)


def _executed(session: Session) -> Iterator[Fragment]:
    yield from execution.results(session)
    yield from execution.rollouts(session)
    yield from activity.log(session, "validate")
    yield from execution.verdict(session)
    yield from execution.ending(session)


def static_bundle(session: Session, *, replayed: bool = False) -> dict[str, str]:
    """What stays in the notebook when the kernel is gone: HTML, Markdown and plain text."""
    return {
        "text/html": f'{style()}<div class="dn">{page(session, replayed=replayed)}</div>',
        "text/markdown": markdown.report(session, replayed=replayed),
        "text/plain": markdown.plain(session, replayed=replayed),
    }


def execution_bundle(session: Session, *, replayed: bool = False) -> dict[str, str]:
    """The execution alone, for a cell that comes after the one with the analysis."""
    body = "".join(fragment.html for fragment in _executed(session))
    head = f"{activity.status_line(session)}{banner(session, replayed=replayed)}"
    return static_bundle(session, replayed=replayed) | {
        "text/html": f'{style()}<div class="dn">{head}{body}</div>'
    }


def record(session: Session, *, replayed: bool = False) -> dict[str, str]:
    """The same below a live panel: one line while the panel is there, everything without it."""
    said = f"{words.headline(session)} · {session.id} · kept in this notebook"
    line = f'<div class="dn-live-only dn-quiet" hidden>{html(said)}</div>'
    rest = f'<div class="dn-live-hidden">{page(session, replayed=replayed)}</div>'
    return static_bundle(session, replayed=replayed) | {
        "text/html": f'{style()}<div class="dn dn-record">{line}{rest}</div>'
    }
