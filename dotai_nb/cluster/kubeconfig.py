"""Which cluster, as whom: kubeconfig as kubectl reads it, or a pod's own ServiceAccount.

https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dotai_nb.errors import ConnectionFailed

if TYPE_CHECKING:
    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.settings import Settings

IN_CLUSTER = "in-cluster"
"""The name of the context that a pod's own ServiceAccount makes."""

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

_START = "Set KUBECONFIG, or start a practice cluster with `make practice`."
_SECTIONS = ("clusters", "users", "contexts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """An API server and how to reach it.

    Attributes:
        server: its URL, without a slash at the end; may have a path.
        ca: the trusted CA bundle as PEM; empty for the system's roots.
        proxy_url: of this cluster; empty: what the environment says.
        as_written: the kubeconfig entry, for a credential helper that asks for it.
    """

    server: str
    ca: bytes = b""
    insecure: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    as_written: JsonObject = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Where the credentials come from; secrets are kept out of the repr.

    Attributes:
        helper: the `exec` entry of a credential helper; empty for none.
        folder: where a relative command of the helper is looked for.
        impersonate: `Impersonate-*` headers.
    """

    token: str = field(default="", repr=False)
    token_file: Path | None = None
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)
    helper: JsonObject = field(default_factory=dict, repr=False)
    folder: Path = Path()
    impersonate: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """A context, resolved: everything needed to connect."""

    context: str
    namespace: str
    cluster: Cluster
    user: User


@dataclass(frozen=True, slots=True)
class _Entry:
    value: JsonObject
    folder: Path


class Kubeconfig:
    """The files of `KUBECONFIG` merged: the first to say something wins, as for kubectl."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.current = ""
        self._entries: dict[str, dict[str, _Entry]] = {section: {} for section in _SECTIONS}
        for path in paths:
            self._merge(path)

    @classmethod
    def find(cls, settings: Settings) -> Kubeconfig:
        """Read what `KUBECONFIG` lists, else `~/.kube/config`; files that don't exist are skipped.

        Raises:
            ConnectionFailed: a file can't be read or is not a kubeconfig.
        """
        listed = [part for part in settings.kubeconfig.split(os.pathsep) if part]
        paths = [Path(part).expanduser() for part in listed or ["~/.kube/config"]]
        found = [path for path in paths if path.exists()]
        if listed and not found:
            raise ConnectionFailed(
                f"KUBECONFIG names {settings.kubeconfig}, which does not exist.", hint=_START
            )
        return cls(found)

    @property
    def contexts(self) -> tuple[str, ...]:
        """Names, in the order of the files."""
        return tuple(self._entries["contexts"])

    def access(self, context: str) -> Access:
        """Resolve a context; an empty name is the current one.

        Raises:
            ConnectionFailed: no such context, or it names what isn't there.
        """
        name = context or self.current
        known = ", ".join(self.contexts) or "none"
        if not name:
            raise ConnectionFailed(
                "The kubeconfig has no current context.", hint=f"Name one of: {known}."
            )
        if name not in self._entries["contexts"]:
            raise ConnectionFailed(
                f"There is no context {name!r} in the kubeconfig.", hint=f"Contexts: {known}."
            )
        chosen = self._entries["contexts"][name].value
        return Access(
            context=name,
            namespace=str(chosen.get("namespace") or "default"),
            cluster=_cluster(self._named("clusters", chosen.get("cluster"), name)),
            user=_user(self._named("users", chosen.get("user"), name)),
        )

    def _named(self, section: str, name: Any, context: str) -> _Entry:
        if section == "users" and not name:
            return _Entry({}, Path())
        try:
            return self._entries[section][str(name)]
        except KeyError:
            raise ConnectionFailed(
                f"Context {context!r} names {name!r}, which is not among the kubeconfig's "
                f"{section}.",
                hint="Correct the kubeconfig, or choose another context.",
            ) from None

    def _merge(self, path: Path) -> None:
        document = _parsed(path)
        self.current = self.current or str(document.get("current-context") or "")
        for section in _SECTIONS:
            for item in document.get(section) or ():
                if not isinstance(item, dict) or "name" not in item:
                    raise ConnectionFailed(f"{path}: an entry of `{section}` has no name.")
                value = item.get(section.removesuffix("s")) or {}
                self._entries[section].setdefault(str(item["name"]), _Entry(value, path.parent))


def contexts(settings: Settings) -> tuple[tuple[str, ...], str]:
    """Names of the contexts, and the current one (empty when there is none); no network.

    Nothing to connect to is `((), "")`; a kubeconfig that can't be read is an error.

    Raises:
        ConnectionFailed: a kubeconfig file can't be read, or KUBECONFIG names none that exists.
    """
    config = Kubeconfig.find(settings)
    if not config.contexts and _in_cluster_host():
        return (IN_CLUSTER,), IN_CLUSTER
    return config.contexts, config.current


def find_access(settings: Settings, context: str = "") -> Access:
    """The cluster and identity kubectl would use; in a pod without kubeconfig, the pod's own.

    Raises:
        ConnectionFailed: nothing to connect to, or the kubeconfig can't be used.
    """
    config = Kubeconfig.find(settings)
    if not config.contexts and _in_cluster_host() and context in {"", IN_CLUSTER}:
        return in_cluster()
    if not config.contexts:
        where = ", ".join(map(str, config.paths)) or "~/.kube/config does not exist"
        raise ConnectionFailed(
            f"No cluster to connect to: no context found ({where}).", hint=_START
        )
    return config.access(context)


def in_cluster(folder: Path = SERVICE_ACCOUNT) -> Access:
    """The API server as a pod sees it, with the pod's ServiceAccount.

    https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
    """
    host = _in_cluster_host()
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    bracketed = f"[{host}]" if ":" in host else host
    namespace = folder / "namespace"
    return Access(
        context=IN_CLUSTER,
        namespace=_read(namespace).decode().strip() if namespace.exists() else "default",
        cluster=Cluster(server=f"https://{bracketed}:{port}", ca=_read(folder / "ca.crt")),
        user=User(token_file=folder / "token"),
    )


def _in_cluster_host() -> str:
    return os.environ.get("KUBERNETES_SERVICE_HOST", "")


def _parsed(path: Path) -> JsonObject:
    import yaml

    try:
        document = yaml.safe_load(_read(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" near line {mark.line + 1}" if mark else ""
        # The cause is dropped: its text quotes the file, which holds credentials.
        raise ConnectionFailed(f"{path} is not valid YAML{where}.") from None
    if document is not None and not isinstance(document, dict):
        raise ConnectionFailed(f"{path} is not a kubeconfig.")
    return document or {}


def _cluster(entry: _Entry) -> Cluster:
    value = entry.value
    server = str(value.get("server") or "").rstrip("/")
    if not server.startswith(("https://", "http://")):
        raise ConnectionFailed(f"The kubeconfig's cluster has no usable server URL: {server!r}.")
    if "@" in urlsplit(server).netloc:
        # It would be shown and recorded as the cluster's address.
        raise ConnectionFailed(
            "The kubeconfig's cluster has a login in its server URL.",
            hint="Give it as the user's credentials instead.",
        )
    return Cluster(
        server=server,
        ca=_material(entry, "certificate-authority"),
        insecure=value.get("insecure-skip-tls-verify") is True,
        tls_server_name=str(value.get("tls-server-name") or ""),
        proxy_url=str(value.get("proxy-url") or ""),
        as_written=value,
    )


def _user(entry: _Entry) -> User:
    value = entry.value
    for unsupported in ("auth-provider", "username"):
        if value.get(unsupported):
            raise ConnectionFailed(
                f"The kubeconfig's user logs in by `{unsupported}`, which is not supported.",
                hint="Use a token, a client certificate or an `exec` credential helper.",
            )
    token_file = value.get("tokenFile")
    return User(
        token=str(value.get("token") or ""),
        token_file=entry.folder / str(token_file) if token_file else None,
        certificate=_material(entry, "client-certificate"),
        key=_material(entry, "client-key"),
        helper=value.get("exec") or {},
        folder=entry.folder,
        impersonate=_impersonation(value),
    )


def _impersonation(value: JsonObject) -> tuple[tuple[str, str], ...]:
    pairs = [("Impersonate-User", value.get("as")), ("Impersonate-Uid", value.get("as-uid"))]
    pairs += [("Impersonate-Group", group) for group in value.get("as-groups") or ()]
    for key, extras in (value.get("as-user-extra") or {}).items():
        pairs += [(f"Impersonate-Extra-{key}", extra) for extra in extras]
    return tuple((name, str(text)) for name, text in pairs if text)


def _material(entry: _Entry, name: str) -> bytes:
    """PEM bytes from `NAME-data` (base64) or the file `NAME`; data wins, as for kubectl."""
    if data := entry.value.get(f"{name}-data"):
        try:
            return base64.b64decode("".join(str(data).split()), validate=True)
        except ValueError:
            raise ConnectionFailed(f"The kubeconfig's `{name}-data` is not base64.") from None
    path = entry.value.get(name)
    return _read(entry.folder / Path(str(path)).expanduser()) if path else b""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConnectionFailed(f"{path} can't be read: {error.strerror}.") from error
