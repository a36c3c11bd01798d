"""The portal's side of Accord: push a request (RFC 9126), redeem a code, read a dataset.

The application authenticates with ``private_key_jwt`` (RFC 7523) whose audience is the issuer as a string, and
proves with PKCE (RFC 7636) that the code it redeems is the answer to its own request.
"""

import hashlib
import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

TIMEOUT = 15.0
"""Seconds for one call: Accord itself gives a holder ten."""
LARGEST_ANSWER = 1_000_000
ASSERTION_SECONDS = 60
GRANT_DAYS = 90

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class PortalConfig:
    """What the town knows: where Accord is, who it is itself, what it asks for and why."""

    issuer: str
    """Accord's URL, which is also its OAuth issuer."""
    base_url: str
    """The portal's own URL."""
    client_id: str
    recipient: str
    """SIRET of the town."""
    key: ECKey = field(repr=False)
    dataset: str = "quotient_familial"
    fields: tuple[str, ...] = ("quotient_familial.valeur", "quotient_familial.mois", "quotient_familial.annee")
    purpose: str = "tarification_creche"
    derived: tuple[Mapping[str, object], ...] = ()
    """Rules whose answers it asks for instead of fields."""

    @property
    def redirect_uri(self) -> str:
        """Where Accord sends the citizen back."""
        return f"{self.base_url}/retour"


@dataclass(frozen=True, slots=True)
class Departure:
    """The citizen leaves for ``url``; ``state`` and ``verifier`` stay with her session."""

    url: str
    state: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class QuotientFamilial:
    """What the town received. A member is ``None`` when the citizen did not agree to it or the holder has none."""

    value: int | None
    month: int | None
    year: int | None
    access: int
    """Number of this access in Accord's log."""


class AccordRefused(Exception):
    """Accord said no: a problem document (RFC 9457) or an OAuth error, reduced to what a page may show."""

    def __init__(self, *, status: int, code: str, title: str, detail: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail


class AccordUnreachable(Exception):
    """No usable answer from Accord within :data:`TIMEOUT`."""


class Accord:
    """Accord as this application calls it."""

    def __init__(self, config: PortalConfig, *, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._clock = clock

    async def request_authorization(self) -> Departure:
        """Push the request; return where to send the citizen."""
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        form = {
            "response_type": "code",
            "redirect_uri": self._config.redirect_uri,
            "state": state,
            "code_challenge": _b64(hashlib.sha256(verifier.encode("ascii")).digest()),
            "code_challenge_method": "S256",
            "authorization_details": json.dumps([self._authorization_detail()]),
        }
        metadata = await self._metadata()
        pushed = await self._post(_text(metadata, "pushed_authorization_request_endpoint"), form)
        query = {"client_id": self._config.client_id, "request_uri": _text(pushed, "request_uri")}
        return Departure(f"{_text(metadata, 'authorization_endpoint')}?{urlencode(query)}", state, verifier)

    async def redeem(self, code: str, verifier: str) -> str:
        """Return the consent token for a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": self._config.redirect_uri,
        }
        metadata = await self._metadata()
        return _text(await self._post(_text(metadata, "token_endpoint"), form), "access_token")

    async def quotient_familial(self, token: str) -> QuotientFamilial:
        """One access to the data."""
        headers = {"Authorization": f"Bearer {token}", "Accept-Language": "fr"}
        answer = await self._call("GET", f"{self._config.issuer}/v1/data/{self._config.dataset}", headers=headers)
        data, meta = _object(answer, "data").get("quotient_familial"), _object(answer, "meta")
        found: Mapping[str, object] = data if isinstance(data, dict) else {}
        access = _integer(meta.get("index"))
        if access is None:
            raise AccordUnreachable
        return QuotientFamilial(
            _integer(found.get("valeur")), _integer(found.get("mois")), _integer(found.get("annee")), access
        )

    def _authorization_detail(self) -> dict[str, object]:
        derived = {"derived": list(self._config.derived)} if self._config.derived else {}
        return {
            "type": f"urn:accord:{self._config.dataset}",
            "datatypes": list(self._config.fields),
            **derived,
            "purpose": self._config.purpose,
            "recipient": self._config.recipient,
            "access": "recurring",
            "expires_at": int(self._clock()) + GRANT_DAYS * 86_400,
            "retention": f"P{GRANT_DAYS}D",
        }

    async def _metadata(self) -> Mapping[str, object]:
        """Accord's endpoints (RFC 8414). An answer that names another issuer is not Accord's."""
        metadata = await self._call("GET", f"{self._config.issuer}/.well-known/oauth-authorization-server")
        if metadata.get("issuer") != self._config.issuer:
            raise AccordUnreachable
        return metadata

    async def _post(self, url: str, form: Mapping[str, str]) -> Mapping[str, object]:
        authenticated = {
            **form,
            "client_id": self._config.client_id,
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": self._assertion(),
        }
        return await self._call("POST", url, form=authenticated)

    def _assertion(self) -> str:
        now = int(self._clock())
        claims = {
            "iss": self._config.client_id,
            "sub": self._config.client_id,
            "aud": self._config.issuer,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            "jti": secrets.token_urlsafe(16),
        }
        header = {"alg": "ES256", "kid": self._config.key.kid}
        return jwt.encode(header, claims, self._config.key, algorithms=["ES256"])

    async def _call(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Mapping[str, object]:
        try:
            async with (
                httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client,
                client.stream(method, url, data=form, headers=headers) as response,
            ):
                body = await _read(response)
        except httpx.HTTPError as error:
            raise AccordUnreachable from error
        answer = _parse(body)
        if not response.is_success:
            raise _refusal(response.status_code, answer)
        return answer


async def _read(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise AccordUnreachable
    return body


def _parse(body: bytes) -> Mapping[str, object]:
    try:
        answer = json.loads(body)
    except ValueError:
        raise AccordUnreachable from None
    if not isinstance(answer, dict):
        raise AccordUnreachable
    return answer


def _refusal(status: int, answer: Mapping[str, object]) -> AccordRefused:
    """From ``type``/``title``/``detail`` (RFC 9457) or ``error``/``error_description`` (RFC 6749)."""
    code = str(answer.get("error") or answer.get("type") or "unknown")
    return AccordRefused(
        status=status,
        code=code.rsplit("/", 1)[-1],
        title=str(answer.get("title") or ""),
        detail=str(answer.get("detail") or answer.get("error_description") or ""),
    )


def _object(answer: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = answer.get(key)
    if not isinstance(value, dict):
        raise AccordUnreachable
    return value


def _text(answer: Mapping[str, object], key: str) -> str:
    value = answer.get(key)
    if not isinstance(value, str):
        raise AccordUnreachable
    return value


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _b64(content: bytes) -> str:
    return urlsafe_b64encode(content).decode("ascii").rstrip("=")
