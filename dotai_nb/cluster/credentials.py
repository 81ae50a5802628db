"""Credentials as they are at this moment: given, from a token file, or from a helper program."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

from dotai_nb.errors import CredentialsRejected

if TYPE_CHECKING:
    from pathlib import Path

    from dotai_nb.cluster.kubeconfig import Cluster, User
    from dotai_nb.session.canonical import JsonObject

HELPER_TIMEOUT = 30.0
"""Seconds a credential helper may take; it is told that nobody can answer questions."""

TOKEN_FILE_FOR = 60.0
"""Seconds a token file's content is used before it is read again: bound tokens are rotated."""

_EXEC_VERSIONS = (
    "client.authentication.k8s.io/v1",
    "client.authentication.k8s.io/v1beta1",
)
_EARLY = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Login:
    """What one request authenticates with."""

    token: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)
    expires_at: datetime | None = None


class Credentials:
    """The login of a user, made when first needed and kept while it is good."""

    def __init__(
        self, user: User, cluster: Cluster, *, helper_timeout: float = HELPER_TIMEOUT
    ) -> None:
        self._user = user
        self._cluster = cluster
        self._helper_timeout = helper_timeout
        self._login: Login | None = None
        self._reread_at = float("inf")
        self._lock = asyncio.Lock()

    @property
    def renewable(self) -> bool:
        """Whether asking again may give another login."""
        return bool(self._user.helper) or self._user.token_file is not None

    def forget(self) -> None:
        """The server rejected the login: the next request asks for a new one."""
        self._login = None

    async def login(self) -> Login:
        """The current login.

        Raises:
            CredentialsRejected: the helper failed, or the token file can't be read.
        """
        if self._login is not None and self._good(self._login):
            return self._login
        async with self._lock:
            if self._login is None or not self._good(self._login):
                self._login = await self._made()
            return self._login

    def _good(self, login: Login) -> bool:
        expired = login.expires_at is not None and login.expires_at - _EARLY <= datetime.now(UTC)
        return not expired and monotonic() < self._reread_at

    async def _made(self) -> Login:
        user = self._user
        if user.helper:
            return await run_helper(user, self._cluster, timeout=self._helper_timeout)
        token = user.token
        if user.token_file is not None:
            token = await asyncio.to_thread(_token_in, user.token_file)
            self._reread_at = monotonic() + TOKEN_FILE_FOR
        return Login(token=token, certificate=user.certificate, key=user.key)


async def run_helper(user: User, cluster: Cluster, *, timeout: float) -> Login:  # noqa: ASYNC109 -- the helper's process group must end too
    """Run the kubeconfig's credential helper: no shell, no stdin, told that nobody is there.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins

    Raises:
        CredentialsRejected: it could not be run, took too long, failed, or answered nonsense.
    """
    helper = user.helper
    version, command = helper.get("apiVersion"), str(helper.get("command") or "")
    if version not in _EXEC_VERSIONS:
        raise CredentialsRejected(
            f"The credential helper {command!r} speaks {version!r}.",
            hint=f"Supported: {', '.join(_EXEC_VERSIONS)}.",
        )
    if helper.get("interactiveMode") == "Always":
        raise CredentialsRejected(
            f"The credential helper {command!r} needs a terminal, and a notebook has none.",
            hint="Log in from a terminal first, with a helper that keeps its login.",
        )
    output = await _answer_of(helper, command, _environment(helper, cluster), user.folder, timeout)
    return _login_in(output, command, str(version))


async def _answer_of(
    helper: JsonObject,
    command: str,
    environment: dict[str, str],
    folder: Path,
    timeout: float,  # noqa: ASYNC109 -- see run_helper
) -> bytes:
    relative = os.sep in command and not os.path.isabs(command)  # noqa: PTH117 -- as in a kubeconfig: text, not yet a path
    program = str(folder / command) if relative else command
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *map(str, helper.get("args") or ()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        install = str(helper.get("installHint") or "").strip()
        raise CredentialsRejected(
            f"The credential helper {command!r} can't be run: {error.strerror}.",
            hint=install or "Install it, or choose another context.",
        ) from error
    try:
        output, complaint = await asyncio.wait_for(process.communicate(), timeout)
    except TimeoutError:
        raise CredentialsRejected(
            f"The credential helper {command!r} did not answer within {timeout:g} s.",
            hint="It may be waiting for a person: log in from a terminal, then try again.",
        ) from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        tail = complaint.decode(errors="replace").strip()[-500:]
        raise CredentialsRejected(
            f"The credential helper {command!r} ended with {process.returncode}: {tail}",
            hint="Log in again with your provider's tool, then try again.",
        )
    return output


def _environment(helper: JsonObject, cluster: Cluster) -> dict[str, str]:
    spec: JsonObject = {"interactive": False}
    if helper.get("provideClusterInfo"):
        spec["cluster"] = _cluster_info(cluster.as_written)
    about = {"apiVersion": helper["apiVersion"], "kind": "ExecCredential", "spec": spec}
    added = {str(item["name"]): str(item["value"]) for item in helper.get("env") or ()}
    return {**os.environ, **added, "KUBERNETES_EXEC_INFO": json.dumps(about)}


def _cluster_info(entry: JsonObject) -> JsonObject:
    names = ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url")
    info = {name: entry[name] for name in (*names, "certificate-authority-data") if name in entry}
    for extension in entry.get("extensions") or ():
        if extension.get("name") == "client.authentication.k8s.io/exec":
            info["config"] = extension.get("extension")
    return info


def _login_in(output: bytes, command: str, version: str) -> Login:
    try:
        status = _status_in(output, version)
        login = Login(
            token=status.get("token") or "",
            certificate=(status.get("clientCertificateData") or "").encode(),
            key=(status.get("clientKeyData") or "").encode(),
            expires_at=_moment(status.get("expirationTimestamp")),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        # The cause is dropped: its text may quote the credential.
        raise CredentialsRejected(
            f"The credential helper {command!r} did not answer with an ExecCredential of {version}."
        ) from None
    if not login.token and not login.certificate:
        raise CredentialsRejected(f"The credential helper {command!r} gave no credential.")
    return login


def _status_in(output: bytes, version: str) -> JsonObject:
    answer = json.loads(output)
    if (answer["kind"], answer["apiVersion"]) != ("ExecCredential", version):
        raise ValueError(version)
    status: JsonObject = answer["status"]
    return status


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _token_in(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise CredentialsRejected(
            f"The token file {path} can't be read: {error.strerror}."
        ) from error
