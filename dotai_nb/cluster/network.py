"""The way to the API server: TLS as the kubeconfig wants it, and the proxy in between."""

from __future__ import annotations

import ipaddress
import os
import ssl
import tempfile
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dotai_nb.errors import ConnectionFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dotai_nb.cluster.credentials import Login
    from dotai_nb.cluster.kubeconfig import Cluster


def tls_context(cluster: Cluster, login: Login) -> ssl.SSLContext:
    """Trust the cluster's CA alone, or else the system's roots; show the login's certificate.

    Raises:
        ConnectionFailed: the CA or the client certificate can't be used.
    """
    try:
        ca = cluster.ca.decode("ascii") or None
        context = ssl.create_default_context(cadata=ca)
        # Python 3.13 asks for extensions that CAs made for clusters often lack; Go does not.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if cluster.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if login.certificate:
            _show(context, login)
    except (ssl.SSLError, ValueError) as error:
        raise ConnectionFailed(
            f"The certificates for {cluster.server} can't be used: {error}.",
            hint="Check certificate-authority, client-certificate and client-key.",
        ) from error
    return context


def _show(context: ssl.SSLContext, login: Login) -> None:
    """The `ssl` module takes client certificates from files only; this one lives for the call."""
    with tempfile.NamedTemporaryFile(prefix="dotai-") as file:
        file.write(login.certificate + b"\n" + login.key)
        file.flush()
        context.load_cert_chain(file.name, password=_no_password)


def _no_password() -> str:
    """Instead of a prompt on the terminal that nobody would see."""
    raise ValueError("the client key is encrypted")


def proxy_for(cluster: Cluster, environment: Mapping[str, str] = os.environ) -> str:
    """The proxy's URL, or nothing: the cluster's own, else the environment's, by Go's rules.

    https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config

    Raises:
        ConnectionFailed: a proxy of a kind that is not supported.
    """
    target = urlsplit(cluster.server)
    proxy = cluster.proxy_url or _from_environment(
        target.scheme, target.hostname or "", target.port, environment
    )
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    if proxy and urlsplit(proxy).scheme not in {"http", "https"}:
        raise ConnectionFailed(
            f"Proxies of kind {urlsplit(proxy).scheme!r} are not supported.",
            hint="Use an http or https proxy.",
        )
    return proxy


def _from_environment(
    scheme: str, host: str, port: int | None, environment: Mapping[str, str]
) -> str:
    def value(name: str) -> str:
        return environment.get(name) or environment.get(name.lower()) or ""

    proxy = value(f"{scheme.upper()}_PROXY")
    excepted = any(_excepts(rule, host, port) for rule in value("NO_PROXY").split(","))
    return "" if is_loopback(host) or excepted else proxy


def _excepts(rule: str, host: str, port: int | None) -> bool:
    rule = rule.strip().lower()
    if rule == "*":
        return True
    name, _, wanted = rule.rpartition(":") if rule.count(":") == 1 else (rule, "", "")
    if not name or (wanted and wanted != str(port or 443)):
        return False
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:
        bare = name.removeprefix("*").removeprefix(".")
        return host.endswith(f".{bare}") or (host == bare and not name.startswith((".", "*")))


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
