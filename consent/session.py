"""Who is logged in, kept by the browser alone: sealed cookies, login transactions and form tickets.

Nothing is stored here. What a cookie or a hidden field carries is a compact JWE (``dir``, A256GCM, RFC 7516)
with an expiry, under a key derived from the session key for that one purpose: a login transaction never opens
as a session. A stolen cookie is good until its expiry, hence 30 minutes and no renewal.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from starlette.responses import Response

from consent.model import Citizen

SESSION_LIFETIME = 1800
LOGIN_LIFETIME = 900
COOKIE_LIMIT = 3900
"""Bytes of a cookie's value; browsers drop a cookie above 4,096 with its name and attributes."""
SEALED_LIMIT = 8192

Purpose: TypeAlias = Literal["session", "login", "ticket", "audit"]

_HEADER = {"alg": "dir", "enc": "A256GCM"}
_ALGORITHMS = ["dir", "A256GCM"]


class Seal:
    """Seals JSON objects for one purpose and opens them again until they expire. ``key`` is the session key."""

    def __init__(self, key: bytes, purpose: Purpose, *, clock: Callable[[], float]) -> None:
        self._key = OctKey.import_key(derived_key(key, f"sealed {purpose}"))
        self._clock = clock

    def seal(self, content: Mapping[str, object], *, lifetime: int) -> str:
        """The content as a compact JWE that opens for ``lifetime`` seconds."""
        body = json.dumps({**content, "exp": int(self._clock()) + lifetime}, separators=(",", ":"))
        return jwe.encrypt_compact(_HEADER, body, self._key, algorithms=_ALGORITHMS)

    def open(self, sealed: str | None) -> Mapping[str, object] | None:
        """The content; ``None`` when it is missing, altered, sealed for another purpose or expired."""
        if not sealed or len(sealed) > SEALED_LIMIT or not sealed.isascii():
            return None
        try:
            plaintext = jwe.decrypt_compact(sealed, self._key, algorithms=_ALGORITHMS).plaintext
        except (JoseError, ValueError):
            return None
        content = json.loads(plaintext or b"{}")
        return content if content.get("exp", 0) > self._clock() else None


@dataclass(frozen=True, slots=True)
class Session:
    """A citizen who is logged in. ``sid`` is fresh at every login: forms are bound to it."""

    sid: str
    citizen: Citizen
    name: str
    """How the page calls her, so that the next person at a shared computer notices."""
    id_token: str | None
    """FranceConnect's, for its logout."""

    def __repr__(self) -> str:
        return "Session(...)"


@dataclass(frozen=True, slots=True)
class Login:
    """A login under way: what must come back from FranceConnect, and where to go then (a path of ours)."""

    state: str
    nonce: str
    return_to: str

    def __repr__(self) -> str:
        return "Login(...)"


class Sessions:
    """Reads and writes the two cookies.

    ``secure`` is false for a plain-http issuer alone, which only a loopback address may be: no browser owes us
    a ``__Host-`` cookie there, and Safari keeps none.
    """

    def __init__(self, key: bytes, *, secure: bool, clock: Callable[[], float]) -> None:
        prefix = "__Host-accord" if secure else "accord"
        self.session_cookie, self.login_cookie = f"{prefix}-session", f"{prefix}-login"
        self._secure = secure
        self._sessions = Seal(key, "session", clock=clock)
        self._logins = Seal(key, "login", clock=clock)

    def current(self, cookies: Mapping[str, str]) -> Session | None:
        """The session of a request, if it holds a valid one."""
        content = self._sessions.open(cookies.get(self.session_cookie))
        if content is None:
            return None
        citizen = Citizen(str(content["citizen"]), str(content["identity"]), str(content["acr"]))
        id_token = content.get("id_token")
        return Session(str(content["sid"]), citizen, str(content["name"]), str(id_token) if id_token else None)

    def start(self, response: Response, citizen: Citizen, *, name: str, id_token: str) -> None:
        """Log the citizen in. An ID token that does not fit is left out: her logout is then Accord's alone."""
        content: dict[str, object] = {
            "sid": secrets.token_urlsafe(16),
            "citizen": citizen.pseudonym,
            "identity": citizen.identity,
            "acr": citizen.acr,
            "name": name,
        }
        sealed = self._sessions.seal({**content, "id_token": id_token}, lifetime=SESSION_LIFETIME)
        if len(sealed) > COOKIE_LIMIT:
            sealed = self._sessions.seal(content, lifetime=SESSION_LIFETIME)
        self._set(response, self.session_cookie, sealed, SESSION_LIFETIME)

    def end(self, response: Response) -> None:
        """Log out."""
        self._set(response, self.session_cookie, "", 0)

    def login(self, cookies: Mapping[str, str]) -> Login | None:
        """The login that this browser started, if any."""
        content = self._logins.open(cookies.get(self.login_cookie))
        if content is None:
            return None
        return Login(str(content["state"]), str(content["nonce"]), str(content["return_to"]))

    def start_login(self, response: Response, login: Login) -> None:
        """Remember a login for the time it takes."""
        content = {"state": login.state, "nonce": login.nonce, "return_to": login.return_to}
        self._set(response, self.login_cookie, self._logins.seal(content, lifetime=LOGIN_LIFETIME), LOGIN_LIFETIME)

    def end_login(self, response: Response) -> None:
        """A login transaction serves once."""
        self._set(response, self.login_cookie, "", 0)

    def _set(self, response: Response, name: str, value: str, lifetime: int) -> None:
        response.set_cookie(name, value, max_age=lifetime, path="/", secure=self._secure, httponly=True, samesite="lax")


class FormGuard:
    """Tokens against cross-site request forgery: each holds for one session and one action."""

    def __init__(self, key: bytes) -> None:
        self._key = derived_key(key, "form token")

    def token(self, session: Session, action: str) -> str:
        """The hidden field of a form that does ``action`` (``withdraw <grant_id>``, ``logout``)."""
        return hmac.digest(self._key, f"{session.sid} {action}".encode(), hashlib.sha256).hex()

    def allows(self, session: Session, action: str, token: str) -> bool:
        """Whether the token is the one of this session and action, compared in constant time."""
        return hmac.compare_digest(self.token(session, action).encode(), token.encode())


def derived_key(key: bytes, use: str) -> bytes:
    """A 256-bit key for one use of the session key; uses never share one."""
    return hmac.digest(key, f"accord {use} v1".encode(), hashlib.sha256)
