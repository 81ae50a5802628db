"""The checker: looks at the cluster, and prepares it, as its admin. Never what is being tested."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from kubernetes import client, config

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Json = dict[str, Any]

_MERGE_PATCH: Final = "application/merge-patch+json"


class Admin:
    """Plain JSON in and out, one request a call, over the official client.

    Every call raises `kubernetes.client.exceptions.ApiException` where the server refuses.
    """

    def __init__(self, kubeconfig: Path, context: str | None = None) -> None:
        self._api = config.new_client_from_config(config_file=str(kubeconfig), context=context)
        self._resources: dict[tuple[str, str], Json] = {}

    def close(self) -> None:
        """Closes the connections."""
        self._api.rest_client.pool_manager.clear()

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Json:
        """One object."""
        return self.request("GET", self.path(api_version, kind, namespace, name))

    def find(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> Json | None:
        """One object, or None if there is none of that name."""
        try:
            return self.get(api_version, kind, name, namespace)
        except client.exceptions.NotFoundException:
            return None

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
    ) -> list[Json]:
        """The objects of one namespace, or of all."""
        query = {"labelSelector": label_selector} if label_selector else {}
        path = self.path(api_version, kind, namespace)
        items: list[Json] = self.request("GET", path, query=query)["items"]
        return items

    def create(self, manifest: Json, namespace: str | None = None) -> Json:
        """Creates an object, in its own namespace or the one given; returns it as stored."""
        target = manifest.get("metadata", {}).get("namespace", namespace)
        path = self.path(manifest["apiVersion"], manifest["kind"], target)
        return self.request("POST", path, body=manifest)

    def patch(
        self, api_version: str, kind: str, name: str, namespace: str | None, body: Json
    ) -> Json:
        """Changes an object by a merge patch; returns it as stored."""
        path = self.path(api_version, kind, namespace, name)
        return self.request("PATCH", path, body=body, headers={"Content-Type": _MERGE_PATCH})

    def delete(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Json:
        """Asks for an object's deletion; its dependents go in the background."""
        path = self.path(api_version, kind, namespace, name)
        return self.request("DELETE", path, query={"propagationPolicy": "Background"})

    def path(
        self, api_version: str, kind: str, namespace: str | None = None, name: str | None = None
    ) -> str:
        """The URL path of a kind's collection, or of one object of it."""
        prefix = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        resource = self._resource(prefix, kind)
        scope = f"/namespaces/{namespace}" if resource["namespaced"] and namespace else ""
        return f"{prefix}{scope}/{resource['name']}" + (f"/{name}" if name else "")

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        """Any request; returns the decoded answer."""
        answer: Json = json.loads(self.text(method, path, query=query, body=body, headers=headers))
        return answer

    def text(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Any request; returns the answer undecoded, for example of a pod's log."""
        url = f"{self._api.configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        sent = {"Accept": "application/json", "Content-Type": "application/json", **(headers or {})}
        sent |= self._credentials()
        response = self._api.call_api(method, url, header_params=sent, body=body)
        data: bytes = response.read() or b""
        text = data.decode()
        if not 200 <= response.status < 300:
            raise client.exceptions.ApiException.from_response(
                http_resp=response, body=text, data=None
            )
        return text

    @staticmethod
    def wait_for(description: str, condition: Callable[[], bool], *, timeout: float = 30) -> None:
        """Waits until `condition()` is true, asking every 50 ms.

        Raises:
            TimeoutError: it isn't within `timeout` seconds; names the description.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"Not within {timeout} s: {description}")
            time.sleep(0.05)

    def _credentials(self) -> dict[str, str]:
        settings = self._api.configuration.auth_settings().values()
        return {setting["key"]: setting["value"] for setting in settings}

    def _resource(self, prefix: str, kind: str) -> Json:
        key = (prefix, kind)
        if key not in self._resources:
            for resource in self.request("GET", prefix)["resources"]:
                if "/" not in resource["name"]:
                    self._resources[prefix, resource["kind"]] = resource
        return self._resources[key]
