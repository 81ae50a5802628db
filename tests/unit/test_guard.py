"""The guard lets out reads and dry runs, and an execution exactly what was approved."""

from __future__ import annotations

import copy
import os
import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotai_nb.cluster.discovery import Discovery
from dotai_nb.cluster.guard import SELF_REVIEWS, Grant, Guard
from dotai_nb.cluster.request import Document, Reply, Request
from dotai_nb.errors import ApiError, RequestRefused
from dotai_nb.session.values import Action, Fingerprint, ObjectRef, Step
from dotai_nb.settings import Settings

CLUSTER = Fingerprint(server="https://here", ca_sha256="", cluster_uid="1")
_DRY = {"parameters": [{"name": "dryRun", "in": "query"}]}
_DOCUMENTS = {
    "/openapi/v3/api/v1": {
        "paths": {
            "/api/v1/namespaces/{namespace}/pods": {"post": _DRY},
            "/api/v1/namespaces/{namespace}/pods/{name}": {
                "put": _DRY,
                "patch": _DRY,
                "delete": _DRY,
            },
            "/api/v1/namespaces/{namespace}/pods/{name}/exec": {"post": _DRY, "get": {}},
            "/api/v1/namespaces/{namespace}/old": {"post": {"parameters": []}},
            "/api/v1/namespaces/{name}": {"patch": _DRY},
        }
    },
    "/openapi/v3/apis/apps/v1": {
        "paths": {
            "/apis/apps/v1/namespaces/{namespace}/deployments/{name}": {"patch": _DRY},
            "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale": {"patch": _DRY},
        }
    },
    "/api": {"kind": "APIGroupDiscoveryList", "items": []},
    "/apis": {
        "kind": "APIGroupDiscoveryList",
        "items": [
            {
                "metadata": {"name": "example.com"},
                "versions": [
                    {
                        "version": "v1",
                        "resources": [
                            {
                                "resource": "wholes",
                                "responseKind": {"kind": "Whole"},
                                "scope": "Cluster",
                                "verbs": ["list"],
                            }
                        ],
                    }
                ],
            }
        ],
    },
}


async def _document(document: Document) -> Reply:
    try:
        return Reply(code=200, body=_DOCUMENTS[document.path], audit_id="")
    except KeyError:
        raise ApiError("not found", code=404) from None


def guard(**settings: object) -> Guard:
    return Guard(Settings(**settings), Discovery(_document))


def pods(verb: str = "get", **parts: object) -> Request:
    named = {} if verb in {"list", "watch", "create"} else {"name": "web"}
    return Request(
        **{"verb": verb, "version": "v1", "resource": "pods", "namespace": "shop"} | named | parts
    )


@pytest.mark.parametrize(
    "request_",
    [
        pods("get"),
        pods("list", query={"labelSelector": "a=b", "limit": "5"}),
        pods("watch", query={"resourceVersion": "1"}),
        pods("get", subresource="status"),
        pods("get", subresource="log", query={"tailLines": "5", "previous": "true"}),
        pods("get", resource="deployments", group="apps", subresource="scale"),
        pods("get", resource="pods", group="metrics.k8s.io", version="v1beta1"),
        pods("get", resource="secrets"),
        pods("get", name="quote'$(x)\n"),
        pods("patch", dry_run=True, content_type="application/merge-patch+json", body={}),
        pods("create", dry_run=True, body={}),
        pods("delete", dry_run=True, body={"propagationPolicy": "Orphan"}),
        pods("patch", resource="deployments", group="apps", subresource="scale", dry_run=True),
        Document("/version"),
        Document("/openapi/v3/apis/apps/v1"),
        Document("/apis/example.com/v1"),
        *(
            Request(verb="create", group=group, version="v1", resource=resource, body={})
            for group, resource in sorted(SELF_REVIEWS)
        ),
    ],
    ids=str,
)
async def test_an_investigation_may_send(request_: Request | Document) -> None:
    await guard().judge_investigation(request_)


@pytest.mark.parametrize(
    "request_",
    [
        *(
            pods(verb, subresource=subresource, dry_run=verb == "create")
            for verb in ("get", "create")
            for subresource in ("exec", "attach", "portforward", "proxy", "eviction", "binding")
        ),
        pods("get", resource="services", subresource="proxy"),
        pods("get", resource="nodes", namespace="", subresource="proxy"),
        pods("create", resource="serviceaccounts", name="x", subresource="token", dry_run=True),
        pods("patch", subresource="ephemeralcontainers", dry_run=True),
        pods("patch"),
        pods("create"),
        pods("delete"),
        pods("update"),
        pods("delete", name="", dry_run=True),
        pods("delete", dry_run=True, body={"dryRun": []}),
        pods("delete", dry_run=True, body='{"dryRun":[]}'),
        pods("create", resource="old", dry_run=True),
        pods("create", resource="unknown", dry_run=True),
        pods("get", group="unknown.io", subresource="console"),
        pods("get", subresource="log", resource="configmaps"),
        pods("get", subresource="log", query={"follow": "true"}),
        pods("list", query={"watch": "true"}),
        pods("patch", query={"dryRun": ""}, dry_run=True),
        pods("patch", query={"force": "true"}, dry_run=True),
        pods("patch", content_type="text/plain", dry_run=True),
        pods("get", name="web/exec"),
        pods("get", name="web%2Fexec"),
        pods("get", name=".."),
        pods("get", name=""),
        pods("list", name="web"),
        pods("get", namespace="a/pods/web/exec?x="),
        pods("get", resource="watch", namespace=""),
        pods("get", resource="proxy", namespace=""),
        pods("list", version="v1/namespaces/x"),
        pods("get", body={}),
        pods("get", dry_run=True),
        Request(
            verb="create",
            group="authorization.k8s.io",
            version="v1",
            resource="subjectaccessreviews",
            dry_run=True,
        ),
        Request(
            verb="delete",
            group="authorization.k8s.io",
            version="v1",
            resource="selfsubjectaccessreviews",
            name="x",
        ),
        Document("/api/v1/pods"),
        Document("/apis/apps/v1/deployments"),
        Document("/metrics"),
        Document("/version?x=/exec"),
        Document("/apis/.."),
        Document("/openapi/v3/../../api/v1/pods"),
        Document("/logs/"),
        Document("/version\n"),
    ],
    ids=str,
)
async def test_an_investigation_never_sends(request_: Request | Document) -> None:
    with pytest.raises(RequestRefused):
        await guard().judge_investigation(request_)


_words = st.sampled_from(
    ["", "pods", "exec", "log", "status", "scale", "proxy", "token", "web", "v1", "apps", "x/exec"]
)
_requests = st.builds(
    Request,
    verb=st.sampled_from(["get", "list", "watch", "create", "update", "patch", "delete"]),
    group=st.sampled_from(["", "apps", "authorization.k8s.io", "authentication.k8s.io"]),
    version=st.just("v1") | _words,
    resource=_words | st.sampled_from(["deployments", *(name for _, name in sorted(SELF_REVIEWS))]),
    namespace=_words | st.text(max_size=4),
    name=_words | st.text(max_size=6),
    subresource=_words | st.text(max_size=4),
    query=st.dictionaries(
        st.sampled_from(["dryRun", "watch", "follow", "limit", "force", "fieldManager"]),
        st.sampled_from(["", "All", "true"]),
        max_size=2,
    ),
    body=st.none() | st.just({}) | st.just({"dryRun": []}),
    dry_run=st.booleans(),
)


@given(request=_requests)
async def test_whatever_an_investigation_sends_changes_nothing(request: Request) -> None:
    try:
        await guard().judge_investigation(request)
    except RequestRefused:
        return
    if request.writes and (request.group, request.resource) not in SELF_REVIEWS:
        assert request.url.endswith("dryRun=All")
        assert request.url.count("dryRun") == 1
        if request.verb == "delete" and request.payload is not None:
            assert request.payload["dryRun"] == ["All"]
        assert request.subresource in {"", "scale"}
    assert request.subresource in {"", "log", "scale", "status"}
    segments = request.path.split("/")
    assert "." not in segments
    assert ".." not in segments
    assert "%2F" not in request.path


async def test_allowed_namespaces_bound_reads_dry_runs_and_executions() -> None:
    bounded = guard(namespaces="shop, other")
    await bounded.judge_investigation(pods("list"))
    await bounded.judge_investigation(pods("patch", dry_run=True))
    await bounded.judge_investigation(
        Request(verb="list", group="example.com", version="v1", resource="wholes")
    )
    await bounded.judge_investigation(
        Request(verb="get", version="v1", resource="namespaces", name="kube-system")
    )
    for request in (
        pods("list", namespace="kube-system"),
        pods("list", namespace=""),
        pods("watch", namespace=""),
        pods("patch", namespace="kube-system", dry_run=True),
        Request(
            verb="patch", version="v1", resource="namespaces", name="kube-system", dry_run=True
        ),
    ):
        with pytest.raises(RequestRefused, match="DOT_AI_NAMESPACES") as caught:
            await bounded.judge_investigation(request)
        assert "other, shop" in caught.value.hint
    with pytest.raises(RequestRefused, match="DOT_AI_NAMESPACES"):
        await bounded.judge_execution(pods("patch", namespace="kube-system"))


async def test_an_execution_sends_writes_that_are_no_dry_run() -> None:
    await guard().judge_execution(pods("patch"))
    for request in (pods("get"), pods("patch", dry_run=True), pods("patch", subresource="exec")):
        with pytest.raises(RequestRefused):
            await guard().judge_execution(request)
    with pytest.raises(RequestRefused, match="DOT_AI_READ_ONLY"):
        await guard(read_only=True).judge_execution(pods("patch"))


def step(number: int = 1, body: object = None) -> Step:
    return Step(
        number=number,
        action=Action.UPDATE,
        target=ObjectRef(version="v1", kind="Pod", resource="pods", namespace="shop", name="web"),
        method="PATCH",
        path="/api/v1/namespaces/shop/pods/web",
        content_type="application/merge-patch+json",
        body=body or {"metadata": {"labels": {"a": "b"}}},
        argv=("kubectl", "label", "pod", "web", "a=b"),
    )


def grant(*steps: Step, minutes: float = 5) -> Grant:
    return Grant("0" * 64, CLUSTER, steps, datetime.now(UTC) + timedelta(minutes=minutes))


def test_a_step_is_spent_once() -> None:
    right = grant(step())
    right.spend(step())
    with pytest.raises(RequestRefused, match="sent already"):
        right.spend(step())


def test_two_equal_steps_are_two_rights() -> None:
    right = grant(step(1), step(2))
    right.spend(step(1))
    right.spend(step(2))


def test_another_request_under_an_approved_number_is_refused() -> None:
    right = grant(step())
    with pytest.raises(RequestRefused, match="not approved"):
        right.spend(step(body={"metadata": {"labels": {"a": "c"}}}))
    with pytest.raises(RequestRefused, match="not approved"):
        right.spend(step(2))


def test_what_was_not_applied_may_be_sent_again_three_times() -> None:
    right = grant(step())
    right.spend(step())
    for _ in range(3):
        right.give_back(step())
        right.spend(step())
    with pytest.raises(RequestRefused, match="once more"):
        right.give_back(step())


def test_what_was_not_sent_can_not_be_given_back() -> None:
    with pytest.raises(RequestRefused):
        grant(step()).give_back(step())


def test_an_expired_approval_sends_nothing() -> None:
    with pytest.raises(RequestRefused, match="expired"):
        grant(step(), minutes=-1).spend(step())


def test_a_grant_can_not_be_copied_or_stored() -> None:
    right = grant(step())
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            duplicate(right)


def test_a_grant_is_worth_nothing_in_a_forked_process() -> None:
    right = grant(step())
    child = os.fork()
    if child == 0:
        try:
            right.spend(step())
        except RequestRefused:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    right.spend(step())
