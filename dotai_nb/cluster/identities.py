"""Who investigates and who executes: one identity for both, or two that share nothing.

An execution's access never holds the investigator's impersonation, so that it can't be sent with
it. https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dotai_nb.cluster.kubeconfig import Access, find_access
from dotai_nb.errors import WrongCluster

if TYPE_CHECKING:
    from dotai_nb.settings import Settings

SERVICE_ACCOUNT = "system:serviceaccount:"
USER = "user:"
CONTEXT = "context:"


@dataclass(frozen=True, slots=True)
class Identities:
    """How the API server is reached for what.

    Attributes:
        executing: for executions: the person's own access.
        investigating: for everything else; the same object where they share one.
        impersonated: the username that the person's login acts as to investigate; empty for none.
    """

    executing: Access
    investigating: Access
    impersonated: str = ""

    @property
    def shared(self) -> bool:
        """Whether an investigation has the person's own credentials."""
        return self.investigating is self.executing


def find_identities(settings: Settings, context: str = "") -> Identities:
    """What the kubeconfig and `DOT_AI_INVESTIGATE_AS` say.

    Raises:
        ConnectionFailed: a context is not there, or can't be used.
        WrongCluster: the context to investigate with names another server, or another CA.
    """
    person, chosen = find_access(settings, context), settings.investigate_as
    if not chosen:
        return Identities(person, person)
    if chosen.startswith(CONTEXT):
        other = find_access(settings, chosen.removeprefix(CONTEXT))
        _check_same_server(person, other)
        return Identities(person, other)
    username = chosen.removeprefix(USER)
    # The groups of a ServiceAccount, and `system:authenticated`, the API server adds by itself;
    # to name them would take a right to impersonate those groups, as anyone who may be in them.
    user = replace(person.user, impersonate=(("Impersonate-User", username),))
    return Identities(person, replace(person, user=user), username)


def to_grant(username: str) -> str:
    """The permission that impersonating takes, in a sentence."""
    if not username.startswith(SERVICE_ACCOUNT):
        return f"Grant the verb `impersonate` on users {username!r}, in a ClusterRole."
    namespace, _, name = username.removeprefix(SERVICE_ACCOUNT).partition(":")
    return (
        f"Grant the verb `impersonate` on serviceaccounts {name!r} in namespace {namespace!r}, as "
        "manifests/investigator/4-impersonation.yaml does."
    )


def _check_same_server(person: Access, other: Access) -> None:
    ours, theirs = person.cluster, other.cluster
    if (ours.server, ours.ca) != (theirs.server, theirs.ca):
        differs = "another CA" if ours.server == theirs.server else theirs.server
        raise WrongCluster(
            f"DOT_AI_INVESTIGATE_AS names context {other.context!r}, which leads to {differs}; "
            f"context {person.context!r} leads to {ours.server}.",
            hint="Both have to lead to the same cluster, by the same address.",
        )
