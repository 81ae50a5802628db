"""The kubeconfig is read as kubectl reads it."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dotai_nb.cluster.connection import Connection, contexts
from dotai_nb.cluster.kubeconfig import find_access, in_cluster
from dotai_nb.cluster.network import proxy_for
from dotai_nb.errors import ConnectionFailed
from dotai_nb.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, *, current: str = "", **names: str) -> Path:
    """A kubeconfig with a context per name; the value is the server."""
    document = {
        "current-context": current,
        "clusters": [{"name": n, "cluster": {"server": s}} for n, s in names.items()],
        "users": [{"name": n, "user": {"token": f"token of {s}"}} for n, s in names.items()],
        "contexts": [{"name": n, "context": {"cluster": n, "user": n}} for n in names],
    }
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def one(
    path: Path, *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None
) -> Settings:
    document = {
        "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": "https://h:6443/", **(cluster or {})}}],
        "users": [{"name": "a", "user": user or {}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return Settings(kubeconfig=str(path))


def test_files_of_a_list_are_merged_and_the_first_to_say_something_wins(tmp_path: Path) -> None:
    first = write(tmp_path / "first", a="https://a-1")
    second = write(tmp_path / "second", current="b", a="https://a-2", b="https://b")
    listed = os.pathsep.join(map(str, [first, tmp_path / "missing", second]))
    settings = Settings(kubeconfig=listed)
    assert contexts(settings) == (("a", "b"), "b")
    assert find_access(settings, "a").cluster.server == "https://a-1"
    assert find_access(settings).cluster.server == "https://b"


def test_the_home_folders_file_is_the_default(tmp_path: Path) -> None:
    write(tmp_path / "home" / ".kube" / "config", current="mine", mine="https://mine")
    assert contexts(Settings()) == (("mine",), "mine")
    assert find_access(Settings()).namespace == "default"


def test_no_kubeconfig_is_no_context_and_connecting_says_what_to_do() -> None:
    assert contexts(Settings()) == ((), "")
    with pytest.raises(ConnectionFailed, match="No cluster") as caught:
        find_access(Settings())
    assert "make practice" in caught.value.hint


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    settings = Settings(kubeconfig=str(tmp_path / "nowhere"))
    with pytest.raises(ConnectionFailed, match="nowhere"):
        contexts(settings)


async def test_an_unknown_context_lists_the_known_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "config", current="a", a="https://a", b="https://b")
    with pytest.raises(ConnectionFailed, match="'c'") as caught:
        await Connection.open(Settings(kubeconfig=str(path)), context="c")
    assert caught.value.hint == "Contexts: a, b."


def test_no_current_context_asks_for_one(tmp_path: Path) -> None:
    path = write(tmp_path / "config", a="https://a")
    with pytest.raises(ConnectionFailed, match="no current context") as caught:
        find_access(Settings(kubeconfig=str(path)))
    assert "a" in caught.value.hint


@pytest.mark.parametrize("text", ["{", "- a", "a: b: c", "users: [{user: {token: SECRET}}]"])
def test_a_broken_file_is_named_and_its_content_is_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConnectionFailed, match=str(path)) as caught:
        contexts(Settings(kubeconfig=str(path)))
    assert "SECRET" not in str(caught.value)


def test_relative_files_lie_beside_the_kubeconfig_and_data_wins(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"CA")
    (tmp_path / "cert.pem").write_bytes(b"CERT")
    (tmp_path / "token").write_text("from file", encoding="utf-8")
    settings = one(
        tmp_path / "config",
        cluster={"certificate-authority": "ca.pem", "tls-server-name": "api"},
        user={
            "client-certificate": "cert.pem",
            "client-key-data": base64.b64encode(b"KEY").decode(),
            "client-key": "missing.pem",
            "tokenFile": "token",
            "as": "dev",
            "as-groups": ["x", "y"],
        },
    )
    access = find_access(settings)
    assert access.cluster.server == "https://h:6443"
    assert access.cluster.ca == b"CA"
    assert access.cluster.tls_server_name == "api"
    assert (access.user.certificate, access.user.key) == (b"CERT", b"KEY")
    assert access.user.token_file == tmp_path / "token"
    assert access.user.impersonate == (
        ("Impersonate-User", "dev"),
        ("Impersonate-Group", "x"),
        ("Impersonate-Group", "y"),
    )


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"auth-provider": {"name": "gcp"}}, "auth-provider"),
        ({"username": "u", "password": "SECRET"}, "username"),
        ({"client-key-data": "§SECRET"}, "not base64"),
        ({"client-certificate": "missing.pem"}, "missing.pem"),
    ],
)
def test_a_user_that_can_not_be_used_says_why(
    tmp_path: Path, user: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConnectionFailed, match=said) as caught:
        find_access(one(tmp_path / "config", user=user))
    assert "SECRET" not in str(caught.value)


def test_secrets_are_not_in_a_repr(tmp_path: Path) -> None:
    helper = {"command": "x", "env": [{"name": "A", "value": "SECRET"}]}
    user = {"token": "SECRET", "exec": helper, "client-key-data": "U0VDUkVU"}
    access = find_access(one(tmp_path / "config", user=user))
    assert "SECRET" not in repr(access)


def test_a_pod_uses_its_own_service_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    for name, text in {"token": "t", "ca.crt": "CA", "namespace": "shop"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    access = in_cluster(tmp_path)
    assert access.cluster.server == "https://[fd00::1]:6443"
    assert access.namespace == "shop"
    assert access.user.token_file == tmp_path / "token"
    assert contexts(Settings()) == (("in-cluster",), "in-cluster")


@pytest.mark.parametrize(
    ("server", "environment", "proxy"),
    [
        ("https://api.example.com", {}, ""),
        ("https://api.example.com", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://api.example.com", {"https_proxy": "p:1"}, "http://p:1"),
        ("https://api.example.com", {"HTTP_PROXY": "http://p:1"}, ""),
        ("https://127.0.0.1:6443", {"HTTPS_PROXY": "http://p:1"}, ""),
        ("https://localhost", {"HTTPS_PROXY": "http://p:1"}, ""),
        ("https://api.example.com", {"HTTPS_PROXY": "p:1", "NO_PROXY": "example.com"}, ""),
        (
            "https://example.com",
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".example.com"},
            "http://p:1",
        ),
        (
            "https://notexample.com",
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com"},
            "http://p:1",
        ),
        ("https://10.1.2.3", {"HTTPS_PROXY": "p:1", "NO_PROXY": "x, 10.0.0.0/8"}, ""),
        ("https://a:6443", {"HTTPS_PROXY": "p:1", "NO_PROXY": "a:6443"}, ""),
        ("https://a:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a:443"}, "http://p:1"),
        ("https://a", {"HTTPS_PROXY": "p:1", "NO_PROXY": "*"}, ""),
    ],
)
def test_the_environments_proxy_is_used_by_gos_rules(
    tmp_path: Path, server: str, environment: dict[str, str], proxy: str
) -> None:
    cluster = find_access(one(tmp_path / "config", cluster={"server": server})).cluster
    assert proxy_for(cluster, environment) == proxy


def test_the_kubeconfigs_proxy_comes_first_and_socks_is_told(tmp_path: Path) -> None:
    cluster = {"proxy-url": "http://own:2"}
    access = find_access(one(tmp_path / "config", cluster=cluster))
    assert proxy_for(access.cluster, {"HTTPS_PROXY": "http://p:1"}) == "http://own:2"
    socks = find_access(one(tmp_path / "config", cluster={"proxy-url": "socks5://p:1"}))
    with pytest.raises(ConnectionFailed, match="socks5"):
        proxy_for(socks.cluster, {})


@pytest.mark.parametrize("ca", ["not a certificate", "ünï"])
async def test_a_ca_that_is_none_is_told(tmp_path: Path, ca: str) -> None:
    data = base64.b64encode(ca.encode()).decode()
    settings = one(tmp_path / "config", cluster={"certificate-authority-data": data})
    with pytest.raises(ConnectionFailed, match="certificates for https://h:6443"):
        await Connection.open(settings)
