"""What is generated equals its sources: stubs, descriptor set and OpenAPI document."""

from __future__ import annotations

import filecmp
import subprocess
import sys
from pathlib import Path

import yaml
from google.protobuf import descriptor_pb2
from openapi_spec_validator import validate

ROOT = Path(__file__).resolve().parents[2]


def _files(folder: Path) -> dict[str, Path]:
    return {
        str(path.relative_to(folder)): path
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_generating_again_leaves_no_difference(tmp_path: Path) -> None:
    fresh = tmp_path / "gen"

    subprocess.run([sys.executable, "-m", "proto.generate", str(fresh)], cwd=ROOT, check=True)

    committed, generated = _files(ROOT / "gen"), _files(fresh)
    assert sorted(committed) == sorted(generated)
    different = [
        name
        for name, path in committed.items()
        if not filecmp.cmp(path, generated[name], shallow=False)
    ]
    assert different == []


def test_the_openapi_document_is_valid_and_names_every_served_call() -> None:
    document = yaml.safe_load((ROOT / "gen" / "openapi.yaml").read_text())

    validate(document)

    assert document["openapi"].startswith("3.1")
    calls = {(verb, path) for path, verbs in document["paths"].items() for verb in verbs}
    assert ("post", "/payment-intents/{paymentIntentId}/transactions") in calls
    browsers = [verbs for path, verbs in document["paths"].items() if path.startswith("/card-")]
    assert [list(verbs) for verbs in browsers] == [["post"], ["get"]]
    for verbs in browsers:
        for operation in verbs.values():
            assert operation["security"] == [{"publishableKey": []}]
            assert not operation["parameters"]


def test_the_vendored_google_contracts_are_those_of_the_locked_package() -> None:
    import google.api
    import google.rpc

    packages = {"api": Path(google.api.__path__[0]), "rpc": Path(google.rpc.__path__[0])}
    vendored = list((ROOT / "proto" / "google").rglob("*.proto"))

    assert vendored
    for path in vendored:
        assert path.read_text() == (packages[path.parent.name] / path.name).read_text()


def test_the_descriptor_set_holds_the_types_of_error_details() -> None:
    files = descriptor_pb2.FileDescriptorSet.FromString((ROOT / "gen" / "api.binpb").read_bytes())

    assert "google/rpc/error_details.proto" in {file.name for file in files.file}
