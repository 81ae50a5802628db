"""Writes kubeconfig files that hold everything they need."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Endpoint:
    """Where an API server listens, and the private CA (PEM) of its certificate, if any."""

    server: str
    ca: bytes | None


def write_kubeconfig(
    path: Path,
    context: str,
    endpoint: Endpoint,
    user: dict[str, Any],
    *,
    namespace: str = "default",
) -> None:
    """Writes `path`, readable by its owner only; `user` is the kubeconfig's user entry."""
    cluster = {"server": endpoint.server}
    if endpoint.ca is not None:
        cluster["certificate-authority-data"] = encoded(endpoint.ca)
    names = {"cluster": context, "user": context, "namespace": namespace}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": context, "user": user}],
        "contexts": [{"name": context, "context": names}],
        "current-context": context,
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        yaml.safe_dump(document, file, sort_keys=False)


def encoded(data: bytes) -> str:
    """Base64, as kubeconfig's `*-data` fields hold it."""
    return base64.b64encode(data).decode("ascii")
