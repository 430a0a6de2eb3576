"""Renders kustomizations in Python: the fields that ours use, and no others.

What `kustomize build` prints is the same but for the order. Other fields are refused, so nothing
is left out in silence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

Resource = dict[str, Any]

FIELDS = {
    *("apiVersion", "kind", "namespace", "resources", "components", "configMapGenerator"),
    *("patches", "labels", "images"),
}
CLUSTER_WIDE = {"Namespace", "ClusterSecretStore"}
BUILT_IN = {"v1", "apps/v1", "batch/v1", "policy/v1", "autoscaling/v2", "networking.k8s.io/v1"}
# Strategic merge: the lists of built-in kinds that are merged, by what names an item there.
MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "topologySpreadConstraints": "topologyKey",
}
HASH_LETTERS = str.maketrans("013ae", "ghkmt")
WORKLOADS = ("Deployment", "Job", "CronJob")


class UnknownField(Exception):
    """A field of a kustomization that this renderer doesn't know."""


def render(folder: Path) -> list[Resource]:
    """Return the resources of a kustomization, as `kustomize build` does. Raises UnknownField."""
    found = _accumulate(folder, [])
    names = {
        each["metadata"]["name"]: _hashed(each)
        for each in found
        if each.pop("generated", False)  # marks those whose name gets their hash
    }
    for each in found:
        if each["kind"] == "ConfigMap":
            each["metadata"]["name"] = names.get(each["metadata"]["name"], each["metadata"]["name"])
        for reference in config_map_references(each):
            reference["name"] = names.get(reference["name"], reference["name"])
    return found


def config_map_references(node: object) -> Iterator[dict[str, Any]]:
    """Yield what names a ConfigMap in a built-in kind."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name in ("configMap", "configMapRef", "configMapKeyRef") and "name" in value:
                yield value
            else:
                yield from config_map_references(value)
    elif isinstance(node, list):
        for item in node:
            yield from config_map_references(item)


def _accumulate(folder: Path, found: list[Resource]) -> list[Resource]:
    """Return the resources of a folder; a component also changes those that were found before."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    unknown = kustomization.keys() - FIELDS
    if unknown:
        raise UnknownField(f"{folder}: {', '.join(sorted(unknown))}")
    for name in kustomization.get("resources", []):
        path = folder / name
        found += _accumulate(path, []) if path.is_dir() else _documents(path)
    found += [_config_map(folder, entry) for entry in kustomization.get("configMapGenerator", [])]
    for name in kustomization.get("components", []):
        found = _accumulate(folder / name, found)
    for patch in kustomization.get("patches", []):
        found = _patched(found, folder, patch)
    for resource in found:
        _transform(resource, kustomization)
    return found


def _documents(path: Path) -> list[Resource]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each is not None]


def _config_map(folder: Path, entry: Mapping[str, Any]) -> Resource:
    options = entry.get("options", {})
    metadata: dict[str, Any] = {"name": entry["name"]}
    if "labels" in options:
        metadata["labels"] = dict(options["labels"])
    data = {Path(name).name: (folder / name).read_text() for name in entry["files"]}
    made: Resource = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    return made if options.get("disableNameSuffixHash") else {**made, "generated": True}


def _hashed(config_map: Resource) -> str:
    """Return the name with the hash of the content, as kustomize makes it."""
    content = {"data": config_map["data"], "kind": "ConfigMap", "name": ""}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for letter in "<>&\u2028\u2029":  # Go's JSON is safe to put into HTML
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return f"{config_map['metadata']['name']}-{digest.translate(HASH_LETTERS)}"


def _patched(found: list[Resource], folder: Path, entry: Mapping[str, Any]) -> list[Resource]:
    patch = yaml.safe_load(
        entry["patch"] if "patch" in entry else (folder / entry["path"]).read_text()
    )
    target = entry.get("target") or {
        "kind": patch["kind"],
        "name": patch["metadata"]["name"],
    }
    chosen = [each for each in found if _is_meant(each, target)]
    if not chosen:
        raise LookupError(f"{folder}: a patch for {target} changes nothing")
    if patch.get("$patch") == "delete":
        return [each for each in found if each not in chosen]
    change = {name: value for name, value in patch.items() if name not in ("kind", "apiVersion")}
    change["metadata"] = {k: v for k, v in patch.get("metadata", {}).items() if k != "name"}
    for resource in chosen:
        _merge(resource, change, is_strategic=resource["apiVersion"] in BUILT_IN)
    return found


def _is_meant(resource: Resource, target: Mapping[str, str]) -> bool:
    metadata = resource["metadata"]
    labels = metadata.get("labels", {})
    wanted = [part.split("=") for part in target.get("labelSelector", "").split(",") if part]
    return (
        target.get("kind", resource["kind"]) == resource["kind"]
        and target.get("name", metadata["name"]) == metadata["name"]
        and all(labels.get(name) == value for name, value in wanted)
    )


def _merge(base: dict[str, Any], change: Mapping[str, Any], *, is_strategic: bool) -> None:
    for name, value in change.items():
        if value is None:
            base.pop(name, None)
        elif isinstance(value, dict) and isinstance(base.get(name), dict):
            _merge(base[name], value, is_strategic=is_strategic)
        elif is_strategic and name in MERGE_KEYS and name in base:
            _merge_items(base[name], value, MERGE_KEYS[name])
        else:
            base[name] = deepcopy(value)


def _merge_items(base: list[dict[str, Any]], change: list[dict[str, Any]], key: str) -> None:
    for item in change:
        same = [each for each in base if each[key] == item[key]]
        if item.get("$patch") == "delete":
            base.remove(same[0])
        elif same:
            _merge(same[0], item, is_strategic=True)
        else:
            base.append(deepcopy(item))


def _transform(resource: Resource, kustomization: Mapping[str, Any]) -> None:
    metadata = resource["metadata"]
    if "namespace" in kustomization and resource["kind"] not in CLUSTER_WIDE:
        metadata["namespace"] = kustomization["namespace"]
    for entry in kustomization.get("labels", []):
        metadata.setdefault("labels", {}).update(entry["pairs"])
        if entry.get("includeTemplates"):
            for template in _templates(resource):
                labelled = template.setdefault("metadata", {}).setdefault("labels", {})
                labelled.update(entry["pairs"])
    for container in containers(resource):
        for image in kustomization.get("images", []):
            if container["image"].partition("@")[0] == image["name"]:
                container["image"] = f"{image.get('newName', image['name'])}@{image['digest']}"


def containers(resource: Resource) -> list[dict[str, Any]]:
    """Return the containers of a workload, those that run first included."""
    templates = _templates(resource)
    if not templates:
        return []
    pod = templates[-1]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


def _templates(resource: Resource) -> list[dict[str, Any]]:
    """Return what a workload makes: pods last, and before them the Jobs of a CronJob."""
    if resource["kind"] not in WORKLOADS:
        return []
    if resource["kind"] == "CronJob":
        job = resource["spec"]["jobTemplate"]
        return [job, job["spec"]["template"]]
    return [resource["spec"]["template"]]
