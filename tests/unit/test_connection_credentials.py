"""Credential helpers run without a terminal, in time, and their failure is told."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dotai_nb.cluster.credentials import Credentials
from dotai_nb.cluster.kubeconfig import Cluster, User
from dotai_nb.errors import CredentialsRejected

V1 = "client.authentication.k8s.io/v1"
V1BETA1 = "client.authentication.k8s.io/v1beta1"
CLUSTER = Cluster(
    server="https://h",
    as_written={
        "server": "https://h",
        "certificate-authority-data": "Q0E=",
        "extensions": [
            {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}
        ],
    },
)


def helper(code: str, **parts: Any) -> User:
    entry = {"apiVersion": V1, "command": sys.executable, "args": ["-c", code], **parts}
    return User(helper=entry)


def answering(status: dict[str, Any], version: str = V1) -> str:
    answer = json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status})
    return f"print({answer!r})"


async def test_a_token_is_kept_until_it_expires(tmp_path: Path) -> None:
    count = tmp_path / "count"
    for minutes, runs in ((60, 1), (-1, 2)):
        count.write_text("", encoding="utf-8")
        moment = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
        code = f"open({str(count)!r}, 'a').write('x')\n" + answering(
            {"token": "t", "expirationTimestamp": moment}
        )
        credentials = Credentials(helper(code), CLUSTER)
        assert (await credentials.login()).token == "t"
        assert (await credentials.login()).token == "t"
        assert len(count.read_text(encoding="utf-8")) == runs


async def test_calls_at_once_run_the_helper_once(tmp_path: Path) -> None:
    count = tmp_path / "count"
    code = f"open({str(count)!r}, 'a').write('x')\n" + answering({"token": "t"})
    credentials = Credentials(helper(code), CLUSTER)
    await asyncio.gather(*(credentials.login() for _ in range(5)))
    assert count.read_text(encoding="utf-8") == "x"


async def test_the_helper_is_told_that_nobody_is_there_and_which_cluster_it_is() -> None:
    code = (
        "import json, os, sys\n"
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "said = [info, os.environ['MINE'], sys.stdin.read()]\n"
        f"print(json.dumps({{'apiVersion': {V1BETA1!r}, 'kind': 'ExecCredential',\n"
        " 'status': {'token': json.dumps(said)}}))"
    )
    user = helper(
        code,
        apiVersion=V1BETA1,
        provideClusterInfo=True,
        env=[{"name": "MINE", "value": "yes"}],
    )
    info, mine, stdin = json.loads((await Credentials(user, CLUSTER).login()).token)
    assert info == {
        "apiVersion": V1BETA1,
        "kind": "ExecCredential",
        "spec": {
            "interactive": False,
            "cluster": {
                "server": "https://h",
                "certificate-authority-data": "Q0E=",
                "config": {"audience": "x"},
            },
        },
    }
    assert (mine, stdin) == ("yes", "")


async def test_a_relative_command_lies_beside_the_kubeconfig(tmp_path: Path) -> None:
    script = tmp_path / "bin" / "login"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\n" + answering({"token": "t"}), encoding="utf-8")
    script.chmod(0o700)
    user = User(helper={"apiVersion": V1, "command": "bin/login"}, folder=tmp_path)
    assert (await Credentials(user, CLUSTER).login()).token == "t"


@pytest.mark.parametrize(
    ("user", "said"),
    [
        (helper("import sys; sys.exit('please log in')"), "ended with 1: please log in"),
        (helper("print('SECRET')"), "did not answer with an ExecCredential"),
        (helper(answering({"token": "SECRET"}, V1BETA1)), "did not answer with"),
        (helper(answering({})), "gave no credential"),
        (helper("", command="/no/such/helper"), "can't be run: No such file"),
        (helper("", apiVersion="client.authentication.k8s.io/v1alpha1"), "v1alpha1"),
        (helper("", interactiveMode="Always"), "needs a terminal"),
    ],
)
async def test_a_helper_that_fails_is_told_without_what_it_printed(user: User, said: str) -> None:
    with pytest.raises(CredentialsRejected, match=said) as caught:
        await Credentials(user, CLUSTER).login()
    assert "SECRET" not in str(caught.value)


async def test_a_helper_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(60)"
    )
    credentials = Credentials(helper(code), CLUSTER, helper_timeout=1.0)
    with pytest.raises(CredentialsRejected, match="did not answer within 1 s"):
        await credentials.login()
    for pid in map(int, pids.read_text(encoding="utf-8").split()):
        assert await _gone(pid)


async def test_an_install_hint_is_passed_on() -> None:
    user = helper("", command="no-such-helper", installHint="Install it from example.com.")
    with pytest.raises(CredentialsRejected) as caught:
        await Credentials(user, CLUSTER).login()
    assert caught.value.hint == "Install it from example.com."


async def test_a_token_file_is_read_again_after_a_rejection(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one\n", encoding="utf-8")
    credentials = Credentials(User(token_file=path), CLUSTER)
    assert (await credentials.login()).token == "one"
    path.write_text("two\n", encoding="utf-8")
    assert (await credentials.login()).token == "one"
    credentials.forget()
    assert (await credentials.login()).token == "two"
    path.unlink()
    credentials.forget()
    with pytest.raises(CredentialsRejected, match="token"):
        await credentials.login()


def _is_zombie(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text(encoding="ascii").rsplit(") ", 1)[1].startswith("Z")


async def _gone(pid: int) -> bool:
    """Whether a process ends: killed ones may linger until they are reaped."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if _is_zombie(pid):
            return True
        await asyncio.sleep(0.05)
    return False
