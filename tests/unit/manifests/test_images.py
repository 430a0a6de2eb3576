"""How images are built, as far as their files tell: nothing here builds one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from sandbox.topology import SERVICES
from tests.unit.manifests.parts import OVERLAYS, WORKLOADS, of_kind, pod_of

ROOT = Path(__file__).resolve().parents[3]
FILES = {file.name.partition(".")[0]: file for file in (ROOT / "k8s" / "images").iterdir()}
EVERY = pytest.mark.parametrize("image", FILES)
DIGEST = re.compile(r"^[a-z0-9./-]+:[\w.-]+@sha256:[0-9a-f]{64}$")
PACKAGES = {"chassis", "gen", *(module.partition(".")[0] for _, module in SERVICES.values())}


def _instructions(image: str) -> list[tuple[str, str]]:
    """Return the instructions of a Containerfile, each with its arguments."""
    text = re.sub(r"^#.*\n", "", FILES[image].read_text(), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", "").splitlines() if line]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def _copied(image: str) -> list[str]:
    """Return what is copied from the repository."""
    found = []
    for name, arguments in _instructions(image):
        if name == "COPY" and not arguments.startswith("--from"):
            found += arguments.split()[:-1]
    return found


@EVERY
def test_everything_from_elsewhere_is_named_by_a_digest(image: str) -> None:
    instructions = _instructions(image)
    given = dict(each.split("=", 1) for name, each in instructions if name == "ARG")
    stages = [each.split(" AS ") for name, each in instructions if name == "FROM"]

    for source, *_ in stages:
        assert DIGEST.match(given[source.removeprefix("${").removesuffix("}")])
    names = {stage[1] for stage in stages if len(stage) == 2}
    assert len(stages) > 1
    for name, arguments in instructions:
        if name == "COPY" and arguments.startswith("--from="):
            assert arguments.split()[0].removeprefix("--from=") in names
        assert name != "ADD"


@EVERY
def test_everything_that_is_copied_is_there_and_not_ignored(image: str) -> None:
    ignored = (ROOT / ".containerignore").read_text().splitlines()
    let_in = tuple(line.removeprefix("!") for line in ignored if line.startswith("!"))

    for source in _copied(image):
        assert (ROOT / source).exists()
        assert source.startswith(let_in)


@EVERY
def test_packages_come_by_the_hashes_of_the_lock(image: str) -> None:
    commands = [each for name, each in _instructions(image) if name == "RUN"]
    makefile = (ROOT / "Makefile").read_text()
    [version] = re.findall(r"^UV_VERSION := (.+)$", makefile, re.MULTILINE)

    [install] = [each for each in commands if "uv pip install" in each]
    assert "--require-hashes" in install
    assert "uv export --quiet --frozen" in install
    assert f"uv:{version}@" in FILES[image].read_text()


def test_the_services_have_their_packages_and_nothing_else() -> None:
    copied = set(_copied("services"))

    assert copied == PACKAGES | {"pyproject.toml", "uv.lock"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [python] = re.findall(r"library/python:(\d+\.\d+)", FILES["services"].read_text())
    assert project["requires-python"] == f">={python}"


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_user_of_the_image_is_the_user_of_the_pods(name: str) -> None:
    [user] = [each for instruction, each in _instructions("services") if instruction == "USER"]

    for workload in of_kind(name, *WORKLOADS):
        context = pod_of(workload)["securityContext"]
        assert f"{context['runAsUser']}:{context['runAsGroup']}" == user


def test_connect_is_of_the_kafka_that_the_manifests_name() -> None:
    versions = re.findall(r"strimzi/kafka:[\d.]+-kafka-([\d.]+)@", FILES["connect"].read_text())
    [connect] = of_kind("production", "KafkaConnect")
    [kafka] = of_kind("production", "Kafka")

    assert versions == [connect["spec"]["version"]]
    assert connect["spec"]["version"] == kafka["spec"]["kafka"]["version"]
    lock = (ROOT / "sandbox" / "platform" / "jars.lock").read_text()
    assert f"org.apache.kafka:kafka-clients:{versions[0]} " in lock
    assert "\nio.debezium:debezium-connector-postgres:3.7.0.Final:plugin:tar.gz sha256:" in lock
