"""Every overlay is rendered and fits the schemas; what does not fit is found."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s.kustomize import UnknownField, render
from k8s.render import problems, unreleased
from tests.unit.manifests.parts import OVERLAYS, named, of_kind, overlay


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_resource_fits_the_schema_of_its_kind(name: str) -> None:
    assert [problem for each in overlay(name) for problem in problems(each)] == []


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_two_resources_have_the_same_name(name: str) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in overlay(name)]

    assert len(names) == len(set(names))
    namespaces = {each["metadata"].get("namespace") for each in overlay(name)}
    assert namespaces == {"paymesh", None}
    assert [each["kind"] for each in overlay(name) if "namespace" not in each["metadata"]] == [
        "Namespace"
    ]


def _misspell_a_probe(deployment: Any) -> None:
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["readinessprobe"] = container.pop("readinessProbe")


def _write_a_port_as_text(deployment: Any) -> None:
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["ports"][0]["containerPort"] = "50051"


def _misspell_a_limit(scaled: Any) -> None:
    scaled["spec"]["maxReplicas"] = scaled["spec"].pop("maxReplicaCount")


def _let_a_commit_be_lost(cluster: Any) -> None:
    cluster["spec"]["postgresql"]["synchronous"]["dataDurability"] = "preferred"


def _write_a_number_as_text(topic: Any) -> None:
    topic["spec"]["partitions"] = "24"


def _use_an_unknown_kind(topic: Any) -> None:
    topic["apiVersion"] = "kafka.strimzi.io/v1beta2"


@pytest.mark.parametrize(
    ("kind", "of", "break_it"),
    [
        ("Deployment", "txn", _misspell_a_probe),
        ("Deployment", "txn", _write_a_port_as_text),
        ("ScaledObject", "webhook", _misspell_a_limit),
        ("Cluster", "txn-db", _let_a_commit_be_lost),
        ("KafkaTopic", "events.attempt", _write_a_number_as_text),
        ("KafkaTopic", "events.attempt", _use_an_unknown_kind),
    ],
)
def test_what_does_not_fit_is_named(kind: str, of: str, break_it: Callable[[Any], None]) -> None:
    broken = deepcopy(named("production", kind)[of])

    break_it(broken)

    [first, *_] = problems(broken)
    assert first.startswith(f"{kind}/{of}: ")


def test_an_image_without_a_digest_of_its_own_is_not_released() -> None:
    [connect] = of_kind("production", "KafkaConnect")
    pinned = deepcopy(connect)

    pinned["spec"]["image"] = "registry.example.com/connect@sha256:" + 64 * "a"

    assert list(unreleased(pinned)) == []
    assert len(list(unreleased(connect))) == 1


def _write(folder: Path, **files: object) -> Path:
    for name, content in files.items():
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        (folder / f"{name}.yaml").write_text(text)
    return folder


def test_a_field_that_the_renderer_does_not_know_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, kustomization={"resources": [], "replacements": []})

    with pytest.raises(UnknownField, match="replacements"):
        render(tmp_path)


def test_a_patch_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    patch = {"kind": "Service", "metadata": {"name": "nobody"}}
    _write(tmp_path, kustomization={"patches": [{"patch": yaml.safe_dump(patch)}]})

    with pytest.raises(LookupError, match="nobody"):
        render(tmp_path)


def test_a_config_map_is_named_for_its_content_as_kustomize_names_it(tmp_path: Path) -> None:
    pod = {"volumes": [{"configMap": {"name": "rules"}}]}
    job = {"metadata": {}, "spec": {**pod, "containers": []}}
    _write(
        tmp_path,
        kustomization={
            "resources": ["job.yaml"],
            "configMapGenerator": [{"name": "rules", "files": ["rules.yaml"]}],
        },
        job={
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "a"},
            "spec": {"template": job},
        },
        rules="a: <66>\n",
    )

    [used, rules] = render(tmp_path)

    assert (
        rules["metadata"]["name"] == "rules-kkg7khbktm"
    )  # what `kubectl kustomize` of 1.32 prints
    [volume] = used["spec"]["template"]["spec"]["volumes"]
    assert volume["configMap"]["name"] == rules["metadata"]["name"]
