"""The rendered overlays, and what is asked of them again and again."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic_settings import BaseSettings

from chassis.config import MeshSettings
from k8s.kustomize import WORKLOADS, Resource, render
from k8s.render import OVERLAYS
from sandbox.topology import SERVICES

__all__ = ["OVERLAYS", "SERVICES", "WORKLOADS", "Resource"]

MODULES = dict(SERVICES.values())  # service → package
NAME = "app.kubernetes.io/name"


@cache
def overlay(name: str) -> list[Resource]:
    """Return the resources of an overlay. They are shared: nobody changes them."""
    return render(OVERLAYS[name])


def of_kind(name: str, *kinds: str) -> list[Resource]:
    """Return the resources of an overlay that are of these kinds."""
    return [each for each in overlay(name) if each["kind"] in kinds]


def named(name: str, kind: str) -> dict[str, Resource]:
    """Return the resources of a kind by their names."""
    return {each["metadata"]["name"]: each for each in of_kind(name, kind)}


def pod_of(workload: Resource) -> dict[str, Any]:
    """Return the pod of a workload."""
    job = workload["spec"].get("jobTemplate", workload)
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


def walk(node: object) -> Iterator[dict[str, Any]]:
    """Yield every object inside a resource, itself first."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for item in node:
            yield from walk(item)


def environment(name: str, container: dict[str, Any]) -> dict[str, str]:
    """Return the variables of a container: what secrets hold is stood in for."""
    return {each["name"]: _value(name, each) for each in container.get("env", [])}


def _value(name: str, variable: dict[str, Any]) -> str:
    if "value" in variable:
        return str(variable["value"])
    source = variable["valueFrom"]
    if "configMapKeyRef" in source:
        reference = source["configMapKeyRef"]
        text: str = named(name, "ConfigMap")[reference["name"]]["data"][reference["key"]]
        return text
    return f"s3://of-a-secret/{source['secretKeyRef']['key']}"


def settings_types(package: str) -> list[type[BaseSettings]]:
    """Return what a service reads from its environment."""
    found: list[type[BaseSettings]] = []
    for room in ("config", "__main__"):
        try:
            module = importlib.import_module(f"{package}.{room}")
        except ModuleNotFoundError:
            continue
        for _, each in inspect.getmembers(module, inspect.isclass):
            if issubclass(each, MeshSettings) and each.__module__ == module.__name__:
                found.append(each)
    return found
