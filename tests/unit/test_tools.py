from __future__ import annotations

import pytest

from dotai_nb.workflow.conclusion import Propose
from dotai_nb.workflow.toolbox import read_tools, schemas, shown_arguments
from dotai_nb.workflow.tools import TOOLS, schema

READS = (
    "kubectl_api_resources",
    "kubectl_get",
    "kubectl_describe",
    "kubectl_logs",
    "kubectl_events",
    "kubectl_get_resource_json",
    "kubectl_get_crd_schema",
)
DRY_RUNS = (
    "kubectl_patch_dryrun",
    "kubectl_apply_dryrun",
    "kubectl_delete_dryrun",
    "kubectl_set_image_dryrun",
    "kubectl_scale_dryrun",
    "kubectl_rollout_dryrun",
    "kubectl_label_dryrun",
    "kubectl_annotate_dryrun",
)


def test_the_model_has_these_tools_and_no_others() -> None:
    assert tuple(TOOLS) == READS + DRY_RUNS
    assert tuple(read_tools()) == READS
    assert {TOOLS[n].effect for n in READS} == {"read"}
    assert {TOOLS[n].effect for n in DRY_RUNS} == {"dry_run"}


@pytest.mark.parametrize(
    "tool", [*schemas(TOOLS), schema("propose", Propose)], ids=lambda t: t.name
)
def test_a_schema_is_closed_described_and_free_of_noise(tool) -> None:
    assert tool.description.endswith(".")
    assert tool.parameters["type"] == "object"
    assert tool.parameters["additionalProperties"] is False
    assert '"title"' not in str(tool.parameters).replace("'", '"')


def test_kubectls_required_arguments_are_required() -> None:
    required = {t.name: set(t.parameters.get("required", ())) for t in schemas(TOOLS)}
    assert required["kubectl_get"] == {"resource"}
    assert required["kubectl_describe"] == {"resource", "name"}
    assert required["kubectl_patch_dryrun"] == {"resource", "name", "patch"}
    assert required["kubectl_scale_dryrun"] == {"resource", "name", "replicas"}
    assert required["kubectl_apply_dryrun"] == {"manifest"}


def test_values_meant_for_a_secret_are_not_kept() -> None:
    from dotai_nb.llm.conversation import ToolUse

    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "stringData": {"password": "canary-8c1f"},
    }
    apply = ToolUse("1", "kubectl_apply_dryrun", {"manifest": manifest})
    patch = ToolUse(
        "2", "kubectl_patch_dryrun",
        {"resource": "Secrets.v1", "name": "s", "patch": {"stringData": {"p": "canary-8c1f"}}},
    )  # fmt: skip
    for use in (apply, patch):
        assert "canary-8c1f" not in str(shown_arguments(use))
    plain = ToolUse("3", "kubectl_get", {"resource": "pods"})
    assert shown_arguments(plain) == {"resource": "pods"}
