"""Which cluster answers, and as whom: what a session is pinned to."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from dotai_nb.cluster.identities import to_grant
from dotai_nb.cluster.request import Document, Reply, Request
from dotai_nb.errors import ApiError, ImpersonationRefused, WrongCluster
from dotai_nb.session.values import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dotai_nb.cluster.identities import Identities
    from dotai_nb.cluster.kubeconfig import Access

_UID = Request(verb="get", version="v1", resource="namespaces", name="kube-system")
_WHO = Request(
    verb="create",
    group="authentication.k8s.io",
    version="v1",
    resource="selfsubjectreviews",
    body={"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
)


UNTOLD = "an identity that the server doesn't tell"


@dataclass(frozen=True, slots=True)
class Pinned:
    """What was found out when a connection was opened; the attributes are `Connection`'s."""

    server_version: str
    fingerprint: Fingerprint
    identity: str
    executes_as: str


async def pin(
    identities: Identities,
    investigate: Callable[[Request | Document], Awaitable[Reply]],
    ask_as_person: Callable[[Request], Awaitable[Reply]],
) -> Pinned:
    """Ask which cluster this is, as whom an investigation looks at it, and as whom it is changed.

    Raises:
        ImpersonationRefused: the person's login may not act as the investigating identity.
        WrongCluster: the two identities are of two clusters.
        ClusterError: the API server can't be reached or doesn't answer.
    """
    # One first: it opens the connection, and says clearly what is wrong with it.
    version = await server_version(investigate)
    uid, looking = await asyncio.gather(
        cluster_uid(investigate), _investigator(identities, investigate)
    )
    acting = looking
    if not identities.shared:
        seen, uid = uid, await cluster_uid(ask_as_person)
        _check_same_cluster(identities, seen, uid)
        acting = await identity(ask_as_person) or UNTOLD
    # The person's word for the UID: as the person it is asked for again before an execution.
    pinned = fingerprint(identities.executing, uid)
    return Pinned(version, pinned, looking, acting if acting != looking else "")


async def _investigator(identities: Identities, ask: Callable[[Request], Awaitable[Reply]]) -> str:
    if not identities.impersonated:
        return await identity(ask)
    try:
        return _username(await ask(_WHO))
    except ApiError as error:
        if error.code != HTTPStatus.FORBIDDEN:
            return ""
        raise ImpersonationRefused(
            f"The login of context {identities.executing.context!r} may not act as "
            f"{identities.impersonated} (DOT_AI_INVESTIGATE_AS): {error.message}.",
            hint=to_grant(identities.impersonated),
        ) from error


def _check_same_cluster(identities: Identities, seen: str | None, uid: str | None) -> None:
    """By the UIDs, where both may read it; that the addresses agree is known already."""
    if seen and uid and seen != uid:
        raise WrongCluster(
            f"The investigation would look at the cluster of UID {seen}, and context "
            f"{identities.executing.context!r} leads to the one of UID {uid}.",
            hint="Correct DOT_AI_INVESTIGATE_AS: both have to lead to the same cluster.",
        )


def fingerprint(access: Access, uid: str | None) -> Fingerprint:
    """Of the cluster that a context leads to; `uid` is None where it may not be read."""
    ca = access.cluster.ca
    return Fingerprint(
        server=access.cluster.server,
        ca_sha256=hashlib.sha256(ca).hexdigest() if ca else "",
        cluster_uid=uid,
    )


def described(pinned: Fingerprint) -> str:
    """A fingerprint in a few words."""
    ca = pinned.ca_sha256[:12] or "the system's roots"
    return f"{pinned.server} (CA {ca}, UID {pinned.cluster_uid or 'not readable'})"


async def server_version(ask: Callable[[Document], Awaitable[Reply]]) -> str:
    """The API server's `gitVersion`; empty if it does not tell."""
    try:
        body = (await ask(Document("/version"))).body
    except ApiError:
        return ""
    return str(body.get("gitVersion", "")) if isinstance(body, dict) else ""


async def cluster_uid(ask: Callable[[Request], Awaitable[Reply]]) -> str | None:
    """UID of the `kube-system` namespace, which lives as long as its cluster.

    Returns:
        None where it may not be read, or does not exist.

    Raises:
        ApiError: any other refusal.
    """
    try:
        return str((await ask(_UID)).body["metadata"]["uid"])
    except ApiError as error:
        if error.code not in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            raise
        return None


async def identity(ask: Callable[[Request], Awaitable[Reply]]) -> str:
    """The username as the API server sees it; empty if it does not tell."""
    try:
        return _username(await ask(_WHO))
    except ApiError:
        return ""


def _username(reply: Reply) -> str:
    return str(reply.body.get("status", {}).get("userInfo", {}).get("username", ""))
