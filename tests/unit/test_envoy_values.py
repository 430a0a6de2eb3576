"""What fills Envoy's placeholders: the environment has a variable for each, and nothing is left."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

from edge.config import EnvoySettings
from edge.fill import EDGE, main

SOURCES = (EDGE / "envoy.yaml", *sorted((EDGE / "secrets").iterdir()))
OF_THE_FOLDER = {"SECRETS_DIR", "DESCRIPTOR_SET"}


def test_the_environment_has_a_variable_for_each_placeholder() -> None:
    placeholders = {
        name for source in SOURCES for name in re.findall(r"\$\{(\w+)\}", source.read_text())
    }

    fields = {name.upper() for name in EnvoySettings.model_fields}
    assert fields == placeholders - OF_THE_FOLDER


def test_a_folder_is_filled_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in EnvoySettings.model_fields:
        monkeypatch.setenv(f"PAYMESH_ENVOY_{name.upper()}", "8001" if "port" in name else "here")
    monkeypatch.setattr(sys, "argv", ["edge.fill", str(tmp_path / "envoy")])

    main()

    folder = tmp_path / "envoy"
    names = {file.name for file in folder.iterdir()}
    assert names == {"envoy.yaml", "mesh.yaml", "public.yaml", "api.binpb"}
    for source in SOURCES:
        assert "${" not in (folder / source.name).read_text()
    configuration = yaml.safe_load((folder / "envoy.yaml").read_text())
    for listener in configuration["static_resources"]["listeners"]:
        assert listener["address"]["socket_address"]["port_value"] == "8001"
    assert str(folder / "api.binpb") in (folder / "envoy.yaml").read_text()
