"""A FranceConnect of a few lines over real HTTP, which can be told to misbehave."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from tests.consent.pages.scene import NOW

CLIENT_ID, CLIENT_SECRET = "accord", "fc-secret"
IDENTITY = {
    "given_name": "Camille Anne",
    "given_name_array": ["Camille", "Anne"],
    "family_name": "MARTIN",
    "birthdate": "1990-02-28",
    "gender": "female",
    "birthplace": "35238",
    "birthcountry": "99100",
}
Answer = tuple[int, str, bytes]


class LoopbackFranceConnect:
    """``changes`` alter the claims of a token, ``answers`` replace an endpoint; :meth:`reset` forgets both."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": "fc-1", "use": "sig", "alg": "ES256"})
        self.other_key = ECKey.generate_key("P-256", {"kid": "fc-2", "use": "sig", "alg": "ES256"})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.issuer = f"http://127.0.0.1:{self._server.server_port}/api/v2"
        self.reset()

    def reset(self) -> None:
        self.changes: dict[str, dict[str, object]] = {"id_token": {}, "userinfo": {}}
        self.answers: dict[str, Callable[[], Answer]] = {}
        self.published: list[ECKey] = [self.key]
        self.signs_with: Any = self.key
        self.algorithm = "ES256"
        self.nonce = ""
        self.calls: list[str] = []
        self.token_form: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def sign(self, kind: str) -> str:
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": "f" * 64 + "v1",
            "iat": NOW,
            "exp": NOW + 60,
        }
        claims |= {"nonce": self.nonce, "acr": "eidas1"} if kind == "id_token" else IDENTITY
        claims = {name: value for name, value in (claims | self.changes[kind]).items() if value is not None}
        header = {"alg": self.algorithm, "kid": self.signs_with.kid or "fc-1"}
        if self.algorithm == "none":
            return unsigned(header, claims)
        return jwt.encode(header, claims, self.signs_with, algorithms=[self.algorithm])

    def answer(self, path: str) -> Answer:
        self.calls.append(path)
        if path in self.answers:
            return self.answers[path]()
        if path == "/userinfo":
            return 200, "application/jwt", self.sign("userinfo").encode()
        document: dict[str, object] = {
            "/.well-known/openid-configuration": self._discovery(),
            "/jwks": {"keys": [key.as_dict(private=False) for key in self.published]},
            "/token": {"access_token": "at", "token_type": "Bearer", "expires_in": 60},
        }[path]
        if path == "/token":
            document = {**document, "id_token": self.sign("id_token")}
        return 200, "application/json", json.dumps(document).encode()

    def _discovery(self) -> dict[str, object]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/session/end",
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        franceconnect = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                franceconnect.token_form = {name: values[0] for name, values in parse_qs(body).items()}
                self._answer()

            def _answer(self) -> None:
                status, media_type, body = franceconnect.answer(self.path.removeprefix("/api/v2"))
                self.send_response(status)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        return Handler


def unsigned(header: dict[str, str], claims: dict[str, object]) -> str:
    """``alg: none``, as an attacker writes it."""
    forged = jwt.encode({**header, "alg": "HS256"}, claims, OctKey.import_key(b"0" * 32), algorithms=["HS256"])
    body = forged.split(".")[1]
    return f"{_encoded({**header, 'alg': 'none'})}.{body}."


def _encoded(header: dict[str, str]) -> str:
    from joserfc.util import urlsafe_b64encode  # noqa: PLC0415

    return urlsafe_b64encode(json.dumps(header).encode()).decode()


def slowly(seconds: float) -> Callable[[], Answer]:
    """An endpoint that thinks first."""

    def answer() -> Answer:
        time.sleep(seconds)
        return 200, "application/json", b"{}"

    return answer
