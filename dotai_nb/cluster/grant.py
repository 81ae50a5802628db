"""The right to send what was approved: each request once, to the byte, in this process only."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from dotai_nb.errors import RequestRefused
from dotai_nb.session.approval import request_of
from dotai_nb.session.canonical import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dotai_nb.session.values import Fingerprint, Step


class Grant:
    """The approved requests, each to be sent once, in this process only.

    Attributes:
        digest: of the approved plan.
        fingerprint: of the cluster it was approved for.
    """

    LONGEST_RETRY = 3
    """How often a step may be given back after the server answered that it did not apply it."""

    def __init__(
        self, digest: str, fingerprint: Fingerprint, steps: Iterable[Step], expires_at: datetime
    ) -> None:
        self.digest = digest
        self.fingerprint = fingerprint
        self._approved = {step.number: canonical(request_of(step)) for step in steps}
        self._unspent = set(self._approved)
        self._given_back: dict[int, int] = {}
        self._expires_at = expires_at
        self._process = os.getpid()

    def spend(self, step: Step) -> None:
        """Take the one right to send this step's request.

        Raises:
            RequestRefused: not approved to the byte, spent, expired, or in another process.
        """
        self._judge(step)
        if datetime.now(UTC) >= self._expires_at:
            raise RequestRefused(
                f"Step {step.number} is refused: the approval has expired.",
                hint="Review the plan and approve it again.",
            )
        if step.number not in self._unspent:
            raise RequestRefused(f"Step {step.number} is refused: its request was sent already.")
        self._unspent.remove(step.number)

    def give_back(self, step: Step) -> None:
        """Only after the server answered 409 or 429: the request was definitely not applied.

        Raises:
            RequestRefused: it was not spent, or was given back as often as is sensible.
        """
        self._judge(step)
        times = self._given_back.get(step.number, 0)
        if step.number in self._unspent or times >= self.LONGEST_RETRY:
            raise RequestRefused(f"Step {step.number} is refused: it can't be sent once more.")
        self._given_back[step.number] = times + 1
        self._unspent.add(step.number)

    def _judge(self, step: Step) -> None:
        if os.getpid() != self._process:
            raise RequestRefused("An approval is good only in the process that asked for it.")
        if self._approved.get(step.number) != canonical(request_of(step)):
            raise RequestRefused(
                f"Step {step.number} is refused: {step.method} {step.path} was not approved."
            )

    def __copy__(self) -> NoReturn:
        raise TypeError("a grant can't be copied: each request may be sent once")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("a grant can't be copied: each request may be sent once")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a grant can't be stored or sent: it is good in this process only")
