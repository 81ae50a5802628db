"""A connection to one cluster, pinned by its fingerprint: the only way anything is sent to it."""

from __future__ import annotations

import asyncio
import importlib.metadata
import math
import uuid
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dotai_nb.cluster import pinning
from dotai_nb.cluster.answers import Busy, Rejected, Unanswered, api_error, in_doubt
from dotai_nb.cluster.discovery import Discovery
from dotai_nb.cluster.guard import Guard
from dotai_nb.cluster.identities import find_identities
from dotai_nb.cluster.kubeconfig import contexts, find_access
from dotai_nb.cluster.network import is_loopback
from dotai_nb.cluster.request import Document, Reply, Request, request_for
from dotai_nb.cluster.transport import Transport
from dotai_nb.errors import ApiError, OutcomeUnknown, RequestRefused, WrongCluster

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from dotai_nb.cluster.guard import Grant
    from dotai_nb.cluster.identities import Identities
    from dotai_nb.cluster.request import Precondition
    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.session.values import Fingerprint, Step
    from dotai_nb.settings import Settings

__all__ = ["Connection", "contexts", "is_practice"]

_trails: ContextVar[tuple[list[str], ...]] = ContextVar("dotai_audit_ids", default=())

_BUSY_RETRIES = 2
_LONGEST_WAIT = 10.0


class Connection:
    """One cluster; an execution is sent as the person, all else as the investigating identity.

    Attributes:
        context: the context's name.
        namespace: the context's default namespace, else `default`.
        fingerprint: which cluster this is.
        server_version: the API server's, such as `v1.37.2`; empty if it can't be told.
        identity: the investigating username as the API server sees it; empty if it can't be told.
        executes_as: the executing one, where it is another; empty where they share one.
        strict: whether values of environment variables and ConfigMaps are hidden too.
        discovery: the types this API server has.
    """

    context: str
    namespace: str
    fingerprint: Fingerprint
    server_version: str
    identity: str
    executes_as: str
    strict: bool
    discovery: Discovery

    def __init__(self, settings: Settings, identities: Identities) -> None:
        """Connects to nothing yet; `open` is the way in."""
        access = identities.executing
        self.context = access.context
        self.namespace = access.namespace
        self.fingerprint = pinning.fingerprint(access, None)
        self.server_version = ""
        self.identity = ""
        self.executes_as = ""
        self.strict = settings.redact == "strict"
        self.discovery = Discovery(self.investigate)
        self._settings = settings
        self._asked = access.context
        self._guard = Guard(settings, self.discovery)
        self._identities = identities
        self._executing = Transport(access, user_agent=_user_agent())
        self._investigating = self._executing.investigating(identities)
        self._sent_writes: set[str] = set()

    @classmethod
    async def open(cls, settings: Settings, *, context: str = "") -> Connection:
        """Connect as kubectl would; an empty context is the current one.

        Raises:
            ConnectionFailed: nothing to connect to, no such context, no route, TLS, timeout.
            CredentialsRejected: 401, or the credential helper failed.
            ImpersonationRefused: the login may not act as `DOT_AI_INVESTIGATE_AS`.
            WrongCluster: the context to investigate with leads to another cluster.
        """
        identities = await asyncio.to_thread(find_identities, settings, context)
        connection = cls(settings, identities)
        connection._asked = context
        try:
            await connection._look_around()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def investigate(
        self,
        request: Request | Document,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 -- of the HTTP exchange, told in the error
    ) -> Reply:
        """Send a read or a dry run, judged by the guard before anything leaves.

        A read is repeated once when its answer breaks off, twice when the server is busy, and once
        with a new login; a dry run is sent once.

        Args:
            request: in Kubernetes' terms.
            timeout: seconds; None: `DOT_AI_CLUSTER_TIMEOUT`.

        Raises:
            RequestRefused: neither a read nor a dry run; nothing was sent.
            ApiError: the API server said no.
            CredentialsRejected: 401, or the credential helper failed.
            ConnectionFailed: no route, TLS, timeout, or no API server.
        """
        await self._guard.judge_investigation(request)
        seconds = timeout or self._settings.cluster_timeout
        if isinstance(request, Request) and request.writes:
            return await self._investigating.send(request, self._new_audit_id(), timeout=seconds)
        return await self._read(request, seconds)

    async def execute(
        self,
        grant: Grant,
        step: Step,
        *,
        audit_id: str,
        precondition: Precondition | None = None,
    ) -> Reply:
        """Send an approved step's request, once: the only way a write leaves.

        Args:
            grant: the approval; the step's right to be sent is spent first.
            step: one of the grant's.
            audit_id: of this one request; never used before.
            precondition: the object as it was looked at.

        Raises:
            RequestRefused: not approved, sent already, switched off, or never sent by anyone.
            WrongCluster: approved for another cluster.
            ApiError: the API server said no; the step was not applied.
            CredentialsRejected: 401; the step was not applied.
            ConnectionFailed: no connection; nothing was sent.
            OutcomeUnknown: sent, and no answer arrived, or one that leaves it open.
        """
        request = request_for(step, precondition=precondition)
        await self._guard.judge_execution(request)
        if grant.fingerprint != self.fingerprint:
            raise WrongCluster(
                f"Step {step.number} was approved for {grant.fingerprint.server}, and this is "
                f"{self.fingerprint.server}.",
                hint="Review and approve the plan on this cluster.",
            )
        if audit_id in self._sent_writes:
            raise RequestRefused(f"Audit-ID {audit_id} was used for a write already.")
        grant.spend(step)
        self._sent_writes.add(audit_id)
        self._note(audit_id)
        try:
            return await self._executing.send(
                request, audit_id, timeout=self._settings.cluster_timeout, fresh=True
            )
        except Unanswered as error:
            raise _unknown(step, error.message) from error
        except ApiError as error:
            if in_doubt(error):
                raise _unknown(step, error.message) from error
            raise

    async def watch(
        self,
        request: Request,
        *,
        timeout: float,  # noqa: ASYNC109 -- how long to watch; reaching it is no error
    ) -> AsyncGenerator[JsonObject]:
        """Watch events, decoded, as they come: `{"type": "MODIFIED", "object": {…}}`.

        Ends after `timeout` seconds, or earlier when the server ends it.

        Raises:
            RequestRefused: not a watch that may be sent.
            ApiError: the API server said no; code 410 when the resourceVersion is too old.
            ConnectionFailed: the stream broke.
        """
        if request.verb != "watch":
            raise RequestRefused(f"A watch was asked for with the verb {request.verb}.")
        await self._guard.judge_investigation(request)
        query = {**request.query, "timeoutSeconds": str(math.ceil(timeout))}
        events = self._investigating.stream(
            replace(request, query=query), self._new_audit_id(), timeout=timeout
        )
        async with aclosing(events):
            async for event in events:
                if event.get("type") == "ERROR":
                    raise api_error(event.get("object"))
                yield event

    async def verify(self) -> None:
        """Ask again whether this is still the cluster that was pinned.

        Reads the kubeconfig's context again, and the server on a new connection.

        Raises:
            WrongCluster: it is another one, or it can no longer be told.
            ConnectionFailed: the context is gone, or the server can't be reached.
        """
        access = await asyncio.to_thread(find_access, self._settings, self._asked)
        pinned = self.fingerprint
        now = pinning.fingerprint(access, pinned.cluster_uid)
        if now == pinned:
            uid = await pinning.cluster_uid(self._ask_anew)
            if pinned.cluster_uid is None or uid == pinned.cluster_uid:
                return
            now = pinning.fingerprint(access, uid)
        raise WrongCluster(
            f"Context {access.context!r} led to {pinning.described(pinned)}; "
            f"now to {pinning.described(now)}.",
            hint="Switch back to the first cluster, or start a new session on this one.",
        )

    @contextmanager
    def trail(self) -> Iterator[list[str]]:
        """Collect the Audit-IDs of all requests made inside, also by child tasks."""
        collected: list[str] = []
        token = _trails.set((*_trails.get(), collected))
        try:
            yield collected
        finally:
            _trails.reset(token)

    async def close(self) -> None:
        """Close the pools; the connection can't be used afterwards."""
        await self._investigating.close()
        if self._executing is not self._investigating:
            await self._executing.close()

    async def _look_around(self) -> None:
        pinned = await pinning.pin(self._identities, self.investigate, self._ask_anew)
        self.server_version, self.fingerprint = pinned.server_version, pinned.fingerprint
        self.identity, self.executes_as = pinned.identity, pinned.executes_as

    async def _ask_anew(self, request: Request) -> Reply:
        """As the person, on a new connection: a kept one leads to where the address led before."""
        return await self._executing.send(
            request, self._new_audit_id(), timeout=self._settings.cluster_timeout, fresh=True
        )

    async def _read(self, request: Request | Document, seconds: float) -> Reply:
        broken = renewed = False
        busy = 0
        while True:
            try:
                return await self._investigating.send(
                    request, self._new_audit_id(), timeout=seconds
                )
            except Rejected:
                if renewed or not self._investigating.renewable:
                    raise
                renewed = True
            except Busy as error:
                if busy == _BUSY_RETRIES:
                    raise
                busy += 1
                await asyncio.sleep(min(error.wait, _LONGEST_WAIT))
            except (Unanswered, ApiError) as error:
                passing = (
                    isinstance(error, Unanswered) or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR
                )
                if broken or not passing:
                    raise
                broken = True

    def _new_audit_id(self) -> str:
        audit_id = str(uuid.uuid4())
        self._note(audit_id)
        return audit_id

    def _note(self, audit_id: str) -> None:
        for collected in _trails.get():
            collected.append(audit_id)


async def is_practice(connection: Connection) -> bool:
    """Whether this is the practice cluster: on this machine, and marked as such."""
    if not is_loopback(urlsplit(connection.fingerprint.server).hostname or ""):
        return False
    mark = Request(
        verb="get",
        version="v1",
        resource="configmaps",
        namespace="kube-public",
        name="dotai-practice",
    )
    try:
        await connection.investigate(mark)
    except (ApiError, RequestRefused):
        return False
    return True


def _unknown(step: Step, why: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"Step {step.number} was sent, and whether it was applied is not known: {why}",
        hint=f"Look at {step.target} in the cluster; it is not sent again.",
    )


def _user_agent() -> str:
    return f"dotai-nb/{importlib.metadata.version('dotai_nb')}"
