"""Renders the overlays and the second capture into `build/k8s/` and validates what came out.

`python -m k8s.render` does it; with `--release NAME` it refuses images of that overlay that have no
digest yet.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate
import yaml
from pydantic import ValidationError

from k8s.kafka_resources import SHAPES
from k8s.kustomize import BUILT_IN, Resource, containers, render

ROOT = Path(__file__).parent.parent
OVERLAYS = {folder.name: folder for folder in sorted((ROOT / "k8s" / "overlays").iterdir())}
# Stands beside an overlay, in another namespace; none of them holds it.
SECOND_CAPTURE = ROOT / "k8s" / "second-capture"
KUBERNETES = "1.34"  # the oldest that these are for
UNRELEASED = "sha256:" + 64 * "0"


def problems(resource: Resource) -> Iterator[str]:
    """Yield what is wrong with a resource by the schema of its kind, each with its place."""
    name = f"{resource['kind']}/{resource['metadata']['name']}"
    kind = (resource["apiVersion"], resource["kind"])
    if resource["apiVersion"] in BUILT_IN:
        try:
            kubernetes_validate.validate(resource, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as refused:
            yield f"{name}: {refused.message}"
    elif kind not in SHAPES:
        yield f"{name}: no schema for {kind}"
    else:
        unknown = resource.keys() - {"apiVersion", "kind", "metadata", "spec"}
        yield from (f"{name}: {field} is no field" for field in sorted(unknown))
        try:
            SHAPES[kind].model_validate(resource["spec"])
        except ValidationError as refused:
            for each in refused.errors():
                place = ".".join(map(str, each["loc"]))
                yield f"{name}: spec.{place}: {each['msg']}"


def unreleased(resource: Resource) -> Iterator[str]:
    """Yield the images of a resource whose digest is still the placeholder."""
    spec = resource.get("spec", {})
    images = [each["image"] for each in containers(resource)]
    images += [spec[field] for field in ("image", "imageName") if field in spec]
    for image in images:
        if image.endswith(UNRELEASED):
            yield f"{resource['kind']}/{resource['metadata']['name']}: {image} is not released"


def main() -> None:
    """Write the overlays; end with exit code 1 and a line for each problem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", choices=OVERLAYS, help="demand digests of this overlay")
    release = parser.parse_args().release
    target = ROOT / "build" / "k8s"
    target.mkdir(parents=True, exist_ok=True)
    found = []
    for name, folder in {**OVERLAYS, SECOND_CAPTURE.name: SECOND_CAPTURE}.items():
        resources = render(folder)
        (target / f"{name}.yaml").write_text(yaml.safe_dump_all(resources, sort_keys=False))
        for resource in resources:
            found += [f"{name}: {problem}" for problem in problems(resource)]
            if name == release:
                found += [f"{name}: {problem}" for problem in unreleased(resource)]
        sys.stdout.write(f"{name}: {len(resources)} resources in build/k8s/{name}.yaml\n")
    sys.stdout.writelines(f"{line}\n" for line in found)
    if found:
        sys.exit(1)


if __name__ == "__main__":
    main()
