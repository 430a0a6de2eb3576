"""What the edge answers is what the OpenAPI document says, whatever is sent: by schemathesis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sandbox.state import ROOT
from tests.e2e.attack_calls import CALLS, Call, camel
from tests.e2e.attack_parts import Owner, an_owner
from tests.e2e.conftest import Mesh
from tests.e2e.merchant import Merchant, session

pytestmark = pytest.mark.e2e

Operation = APIOperation[Any, Any, Any, Any]
Request = Case[Any]

EXAMPLES = 8
TIMEOUT_S = 50  # over the edge's own end of a request
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


def _operations() -> Iterator[Operation]:
    """Yield the operations without their signatures, which are always right here."""
    document = yaml.safe_load((ROOT / "gen" / "openapi.yaml").read_text())
    del document["security"], document["components"]["securitySchemes"]
    for verbs in document["paths"].values():
        for operation in verbs.values():
            operation.pop("security", None)
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(found, Ok), found
        yield found.ok()


def _call(operation: Operation) -> Call:
    [call] = [
        each
        for each in CALLS
        if (each.method, camel(each.template)) == (operation.method.upper(), operation.path)
    ]
    return call


OPERATIONS = list(_operations())
# Where only ids stand, in the path, there is nothing that the document forbids.
CASES = [(operation, GenerationMode.POSITIVE) for operation in OPERATIONS] + [
    (operation, GenerationMode.NEGATIVE)
    for operation in OPERATIONS
    if _call(operation).has_body or list(_call(operation).leaves())
]


class Signed(requests.auth.AuthBase):
    """Signs what is really sent, at the last moment."""

    def __init__(self, merchant: Merchant) -> None:
        self._merchant = merchant

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the headers of a signature over whatever was generated for them."""
        content = request.body or b""
        if isinstance(content, str):
            content = content.encode()
        request.headers.update(
            self._merchant.signed(str(request.method), request.path_url, content)
        )
        return request


@pytest.fixture(scope="module")
async def owner(mesh: Mesh, edge_url: str, ca_file: Path) -> AsyncIterator[Owner]:
    async with session(ca_file) as http:
        yield await an_owner(Merchant(http, edge_url, mesh.new_keys()))


def _cases(operation: Operation, owner: Owner, mode: GenerationMode) -> st.SearchStrategy[Request]:
    """Return requests on anything, and on objects that are there."""
    call = _call(operation)
    mine = {camel(name): owner.objects[call.row.objects[name]] for name in call.bound}
    return operation.as_strategy(mode) | operation.as_strategy(mode, path_parameters=mine)


@pytest.mark.parametrize(
    ("operation", "mode"), CASES, ids=[f"{case[1].value} {case[0].label}" for case in CASES]
)
def test_every_answer_is_in_the_contract(
    owner: Owner, edge_url: str, ca_file: Path, operation: Operation, mode: GenerationMode
) -> None:
    with requests.Session() as client:
        client.auth = Signed(owner.merchant)
        client.trust_env = False  # a proxy or CA of the machine is not the edge's

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=_cases(operation, owner, mode))
        def attack(case: Request) -> None:
            answer = case.call(
                base_url=edge_url,
                session=client,
                timeout=TIMEOUT_S,
                verify=str(ca_file),
                allow_redirects=False,
            )
            case.validate_response(answer, checks=CHECKS)

        attack()
