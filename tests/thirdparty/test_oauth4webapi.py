"""npm ``oauth4webapi``, unmodified, is an application of Accord's: it drives every endpoint and checks every answer."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.browser import Browser
from sandbox.servers import run_accord
from tests.journeys.citizen import log_in
from tests.journeys.deployment import Deployment, deployed
from tests.thirdparty.packages import install

pytestmark = [pytest.mark.enable_socket]

SOURCE = Path(__file__).with_name("oauth4webapi")


@pytest.fixture(params=["accepted", "required"])
def deployment(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """Accord with one application whose tokens are bound to a key; DPoP nonces are ``accepted`` or ``required``."""
    settings = {"ACCORD_DPOP_NONCE_REQUIRED": "true" if request.param == "required" else "false"}
    with deployed(tmp_path / "world", settings=settings) as running:
        registry = running.world.registry
        registry.write_text(registry.read_text().replace('sender_constraint = "none"', 'sender_constraint = "dpop"'))
        run_accord(["registry", "load", str(registry)], folder=running.world.folder)
        # The gateways read the registry every half second.
        time.sleep(1.5)
        yield running


def _answers(process: "subprocess.Popen[str]", told: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(told) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        process.wait(10)
        assert process.stderr is not None
        pytest.fail(process.stderr.read()[-3000:])
    return dict(json.loads(line))


def test_oauth4webapi_drives_par_dpop_rar_refresh_introspection_and_revocation(
    deployment: Deployment, tmp_path: Path
) -> None:
    folder = install(SOURCE, tmp_path / "application")
    portal = deployment.world.sandbox.portal
    details = [
        {
            "type": "urn:accord:quotient_familial",
            "datatypes": ["quotient_familial.valeur", "quotient_familial.annee"],
            "purpose": portal.purpose,
            "recipient": portal.recipient,
            "access": "recurring",
        }
    ]
    told = {
        "issuer": deployment.url,
        "client_id": portal.client_id,
        "jwk": portal.key.as_dict(private=True),
        "redirect_uri": portal.redirect_uri,
        "authorization_details": details,
        "data": "/v1/data/quotient_familial",
    }
    command = ["node", "application.mjs"]
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            departure = _answers(process, told)
            with Browser() as browser:
                screen = log_in(deployment, browser, browser.open(departure["authorize"]), person=0)
                back = browser.press(screen.button(action="/decision", value="agree"))
            said = _answers(process, {"callback": back.url})
        finally:
            process.kill()
    granted = said["authorization_details"][0]
    assert said["token_type"] == "dpop"
    assert granted["datatypes"] == details[0]["datatypes"]
    assert said["claims"]["authorization_details"] == said["authorization_details"]
    assert said["first"]["status"] == said["second"]["status"] == 200
    assert said["first"]["body"]["data"]["quotient_familial"].keys() == {"valeur", "annee"}
    assert said["plain"] == said["signed"] | {"active": True}
    assert said["plain"]["cnf"] == said["claims"]["cnf"]
    assert (said["grant"]["status"], said["grant"]["grant_id"]) == ("active", said["plain"]["grant_id"])
    assert said["after"] == {"active": False}
    assert said["third"]["status"] in (401, 403)
    kinds = [json.loads(entry)["kind"] for entry in deployment.entries()]
    assert kinds == ["grant.given", "access", "access", "grant.withdrawn", "refusal"]
    assert not deployment.verify().findings
