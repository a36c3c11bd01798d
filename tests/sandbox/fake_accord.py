"""The few answers of Accord that the portal reads, with the checks that a wrong portal would fail."""

import hashlib
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from joserfc import jwt
from joserfc.jwk import ECKey

from sandbox.forms import read_form


@dataclass
class FakeAccord:
    """``answer`` is what the data endpoint says: (status, body)."""

    url: str
    key: ECKey
    answer: tuple[int, dict[str, Any]]
    pushed: dict[str, str] = field(default_factory=dict)
    languages: list[str] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()
        app.add_api_route("/.well-known/oauth-authorization-server", self.metadata)
        app.add_api_route("/oauth/par", self.par, methods=["POST"], status_code=201)
        app.add_api_route("/oauth/token", self.token, methods=["POST"])
        app.add_api_route("/v1/data/quotient_familial", self.data)
        return app

    async def metadata(self) -> dict[str, str]:
        return {
            "issuer": self.url,
            "pushed_authorization_request_endpoint": f"{self.url}/oauth/par",
            "authorization_endpoint": f"{self.url}/oauth/authorize",
            "token_endpoint": f"{self.url}/oauth/token",
        }

    async def par(self, request: Request) -> dict[str, str]:
        self.pushed = await self._authenticated(request)
        return {"request_uri": "urn:example:1"}

    async def token(self, request: Request) -> dict[str, str]:
        form = await self._authenticated(request)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert urlsafe_b64encode(digest).decode().rstrip("=") == self.pushed["code_challenge"]
        return {"access_token": f"token-for-{form['code']}"}

    async def data(self, request: Request) -> JSONResponse:
        assert request.headers["authorization"] == "Bearer token-for-a-code"
        self.languages.append(request.headers["accept-language"])
        status, body = self.answer
        return JSONResponse(body, status)

    def detail(self) -> dict[str, Any]:
        details: list[dict[str, Any]] = json.loads(self.pushed["authorization_details"])
        (detail,) = details
        return detail

    async def _authenticated(self, request: Request) -> dict[str, str]:
        form = dict(await read_form(request))
        claims = jwt.decode(form["client_assertion"], self.key, algorithms=["ES256"]).claims
        assert claims["iss"] == claims["sub"] == form["client_id"] == "portail-famille"
        assert claims["aud"] == self.url
        return form
