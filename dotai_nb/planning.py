"""Operations of a person's own steps: `dotai_nb.plan`. No model is asked, no key is needed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from dotai_nb.operation import begun, heard_by
from dotai_nb.session import paths

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from dotai_nb.engine import Engine, Hear, Hub
    from dotai_nb.operation import Operation
    from dotai_nb.settings import Settings
    from dotai_nb.steps import Change


async def plan(
    steps: str | Sequence[Change | str],
    *,
    namespace: str = "",
    context: str = "",
    intent: str = "",
    settings: Settings | None = None,
) -> Operation:
    """Check a person's own steps to a plan that can be approved; nothing in the cluster changes.

    The same evidence, risk floor, approval, execution, waits and checks as of a model's proposal.
    A step that would change nothing is left out, and told in the summary.

    Args:
        steps: in the order in which they are to run: values of `dotai_nb.steps`, or YAML text with
            one or several manifests, of which each is an `Apply`.
        namespace: for steps that name none; empty for the context's own.
        context: a kubeconfig context; empty for the current one.
        intent: what it is for, in your words; empty to name the steps.
        settings: the environment's, unless given.

    Returns:
        The operation, its status `analysis_complete`.

    Raises:
        StepRefused: a step can't be read; says which. Nothing was started.
        PlanRefused: names every step that the API server refused; the session's file does too.
        DotAiError: what else ended it, and what to do next.
    """
    operation = await start_plan(
        steps, namespace=namespace, context=context, intent=intent, settings=settings
    )
    return await operation.analysed()


async def start_plan(  # noqa: PLR0913 - what a person may choose
    steps: str | Sequence[Change | str],
    *,
    namespace: str = "",
    context: str = "",
    intent: str = "",
    settings: Settings | None = None,
    hear: Hear | None = None,
) -> Operation:
    """Begin such an operation and return at once; its dry runs are made on the package's loop.

    Args:
        steps: and the next four: see `plan`.
        namespace: see `plan`.
        context: see `plan`.
        intent: see `plan`.
        settings: see `plan`.
        hear: hears every event from the first on.

    Raises:
        StepRefused, IntentError, ConnectionFailed, CredentialsRejected, SettingsError: nothing was
            started.
    """

    def open_engine(hub: Hub, chosen: Settings) -> Coroutine[Any, Any, Engine]:
        return _engine(steps, hub, chosen, namespace=namespace, context=context, intent=intent)

    return await begun(open_engine, settings, hear)


async def _engine(  # noqa: PLR0913 - see start_plan
    steps: str | Sequence[Change | str],
    hub: Hub,
    settings: Settings,
    *,
    namespace: str,
    context: str,
    intent: str,
) -> Engine:
    from dotai_nb.workflow import by_hand

    # A large text takes PyYAML seconds, in which the loop has panels to paint.
    changes = await asyncio.to_thread(by_hand.written, steps)
    run = await by_hand.begin(
        changes,
        intent=intent,
        namespace=namespace,
        context=context,
        directory=paths.session_directory(settings),
        settings=settings,
    )
    return heard_by(hub, run)
