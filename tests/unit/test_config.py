"""Configuration: a process with a wrong environment says which variable is wrong."""

from __future__ import annotations

import pytest

from chassis.config import ServiceSettings, read_settings


def test_missing_variables_are_named_and_end_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PAYMESH_SERVICE_NAME", "test")
    monkeypatch.setenv("PAYMESH_DRAIN_S", "soon")

    with pytest.raises(SystemExit) as ended:
        read_settings(ServiceSettings)

    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "PAYMESH_DATABASE_URL" in said
    assert "PAYMESH_DRAIN_S" in said
    assert "PAYMESH_SERVICE_NAME" not in said
