"""The command line, as people and scripts use it."""

from __future__ import annotations

import json
import shlex
import ssl
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.conftest import PAYMESH, Mesh

pytestmark = pytest.mark.e2e


def test_status_says_where_everything_is(mesh: Mesh) -> None:
    status = json.loads(mesh.run("status", "--json"))

    assert status["edge_url"].startswith("https://localhost:")
    assert Path(status["ca_file"]).is_relative_to(mesh.state_dir)
    assert status["state_dir"] == str(mesh.state_dir)
    assert set(status["databases"]) == {"edge", "intent", "txn", "recon", "webhook"}
    assert set(status["networks"]) == {"visa_sim", "mastercard_sim"}
    assert {row["name"] for row in status["processes"]} == {
        *("postgres", "kafka", "connect", "envoy", "visa_sim", "mastercard_sim"),
        *("authz", "web", "intent_svc", "txn_svc", "recon_svc", "webhook_svc", "audit_svc"),
    }


def test_a_merchant_is_made_with_keys_of_its_mode(mesh: Mesh) -> None:
    made = json.loads(
        mesh.run("merchants", "create", "--name", "Lemon Shop", "--mode", "live", "--json")
    )

    assert made["merchantId"].startswith("mer_")
    assert made["publishableKey"].startswith("pk_live_")
    assert made["secretKey"].startswith("sk_live_")


def test_keys_are_made_limited_rolled_and_revoked_by_command(mesh: Mesh) -> None:
    merchant_id = json.loads(mesh.run("merchants", "create", "--name", "Limes", "--json"))[
        "merchantId"
    ]
    keys = ("merchants", "keys")
    limits = ("--allow", "events:read", "--from", "203.0.113.0/24")

    old = json.loads(mesh.run(*keys, "create", merchant_id, *limits, "--by", "ana", "--json"))
    key_id = old["apiKey"]["id"]
    new = json.loads(mesh.run(*keys, "roll", key_id, "--overlap", "60", "--by", "ben", "--json"))
    shown = mesh.run(*keys, "restrict", key_id, "--allow", "transactions:read_write")
    mesh.run(*keys, "revoke", key_id, "--by", "ben")

    assert "transactions:read_write, from 203.0.113.0/24" in shown
    listed = json.loads(mesh.run(*keys, "list", merchant_id, "--json"))
    assert [(key["id"], key["status"]) for key in listed[:2]] == [
        (new["apiKey"]["id"], "active"),
        (key_id, "revoked"),
    ]
    assert listed[0]["rights"] == old["apiKey"]["rights"]
    table = mesh.run(*keys, "list", merchant_id)
    history = mesh.run(*keys, "history", merchant_id)
    for name in ("ana", "ben", "created", "rolled", "restricted", "revoked"):
        assert name in history
    for made in (old, new):
        assert made["secretKey"] not in f"{listed}{table}{history}"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("create", "{merchant}", "--allow", "refunds:read"), "--allow"),
        (("create", "{merchant}", "--allow", "events"), "--allow"),
        (("create", "{merchant}", "--from", "10.0.0.1/8"), "networks.cidrs[0]"),
        (("create", "{merchant}", "--by", " "), "requestedBy"),
        (("roll", "{key}", "--overlap", "604801"), "--overlap"),
        (("restrict", "{key}"), "rights"),
        (("restrict", "{key}", "--from", "::1", "--from", "office"), "networks.cidrs[1]"),
        (("revoke", "key_x"), "No such API key"),
    ],
)
def test_a_bad_command_about_keys_names_what_is_bad(
    mesh: Mesh, arguments: tuple[str, ...], named: str
) -> None:
    made = json.loads(mesh.run("merchants", "create", "--name", "Limes", "--json"))
    [listed] = json.loads(mesh.run("merchants", "keys", "list", made["merchantId"], "--json"))
    filled = [each.format(merchant=made["merchantId"], key=listed["id"]) for each in arguments]

    done = subprocess.run(
        [PAYMESH, "merchants", "keys", *filled, "--state-dir", str(mesh.state_dir)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert named in done.stderr


def test_a_payment_by_command_stands_in_the_ledger(mesh: Mesh) -> None:
    paid = mesh.run("pay", "--amount", "3141")

    assert '"succeeded"' in paid
    books = json.loads(mesh.run("networks", "ledger", "--json"))
    [row] = [row for row in books["visa_sim"] if row["amount"] == 3141]
    assert row["approved"]


def test_both_networks_clear_by_command_what_was_paid(mesh: Mesh) -> None:
    mesh.run("pay", "--amount", "2718")
    mesh.run("pay", "--amount", "2719", "--card", "5555555555554444")

    files = json.loads(mesh.run("networks", "clear", "--json"))
    shown = mesh.run("networks", "clear")

    assert set(files) == {"visa_sim", "mastercard_sim"}
    for network, written in files.items():
        assert written["file"].startswith(f"{network}-")
        assert written["lines"] == sum(total["count"] for total in written["totals"]) >= 1
        assert (mesh.state_dir / "clearing" / "inbox" / written["file"]).exists()
        assert network in shown
    books = json.loads(mesh.run("networks", "ledger", "--json"))
    presented = {row["amount"] for rows in books.values() for row in rows if row["presented"]}
    assert {2718, 2719} <= presented


def test_a_signed_command_works_once(mesh: Mesh) -> None:
    body = '{"amountInCents":1099,"currency":"usd"}'
    words = shlex.split(mesh.run("sign", "POST", "/payment-intents", "--data", body))
    headers = dict(
        words[place + 1].split(": ", 1) for place, word in enumerate(words) if word == "-H"
    )
    request = urllib.request.Request(words[-1], body.encode(), headers, method="POST")
    trust = ssl.create_default_context(cafile=words[words.index("--cacert") + 1])

    with urllib.request.urlopen(request, context=trust) as answer:
        made = json.loads(answer.read())
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, context=trust)

    assert made["amountInCents"] == 1099
    assert refused.value.code == 401
    refused.value.close()


def test_a_second_up_says_what_runs_already(mesh: Mesh) -> None:
    before = json.loads(mesh.run("status", "--json"))["supervisor"]

    mesh.run("up")

    assert json.loads(mesh.run("status", "--json"))["supervisor"] == before


def test_a_command_without_a_sandbox_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [PAYMESH, "status", "--state-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "paymesh up" in done.stderr
