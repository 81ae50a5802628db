"""Which cluster answers, and as whom: what a session is pinned to."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING

from dotai_nb.cluster.request import Document, Reply, Request
from dotai_nb.errors import ApiError
from dotai_nb.session.values import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dotai_nb.cluster.kubeconfig import Access

_UID = Request(verb="get", version="v1", resource="namespaces", name="kube-system")
_WHO = Request(
    verb="create",
    group="authentication.k8s.io",
    version="v1",
    resource="selfsubjectreviews",
    body={"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
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
        body = (await ask(_WHO)).body
    except ApiError:
        return ""
    return str(body.get("status", {}).get("userInfo", {}).get("username", ""))
