"""Over the whole suite: the audit log and the sessions tell the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dotai_nb.errors import SessionCorrupt
from dotai_nb.session.store import load
from tests.cluster.controlplane.audit import read_audit_log
from tests.cluster.joined import violations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.controlplane.plane import Cluster


@pytest.fixture(scope="session", autouse=True)
def audited(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """After the last test: every write that reached the server was an approved step's."""
    yield
    if control_plane.audit_log is None:
        return
    sessions = []
    for path in tmp_path_factory.getbasetemp().rglob("opr-*.json"):
        try:
            sessions.append(load(path).recorded)
        except SessionCorrupt:
            # A test of tampering left it; what it says is not to be believed.
            continue
    found = violations(read_audit_log(control_plane.audit_log), sessions)
    assert not found, "\n".join(found)
