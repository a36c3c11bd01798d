"""Who stands at the door of the reading room: a browser with a sealed cookie, or a program with a bearer token.

Nothing is stored here. The cookie says who somebody is; what she may read is asked of the registry at every request, so
that a role taken away is gone at once. A cookie is good for half an hour and is not renewed.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from audit.auditors import Auditor
from audit.ports import Agent, AuditorRegistry, Departure, Sealer
from openapi.problem import AccordError

SESSION_LIFETIME = 1800
LOGIN_LIFETIME = 900
MAX_TOKEN = 200
COOKIE_LIMIT = 3900
"""Bytes of a cookie's value; browsers drop a cookie above 4,096 with its name and attributes."""

_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Visit:
    """An agent who is logged in, whether or not she may read anything. ``sid`` is fresh at every login."""

    sid: str
    subject: str
    name: str
    id_token: str | None

    def __repr__(self) -> str:
        return "Visit(...)"


@dataclass(frozen=True, slots=True)
class Login:
    """A login under way: what must come back from the identity provider, and where to go then (a path of ours)."""

    state: str
    nonce: str
    return_to: str


class Door:
    """Reads and writes the cookies of auditors; shared by the request threads.

    ``secure``: whether the deployment is served over https. Cookies then carry the ``__Host-`` prefix.
    """

    def __init__(self, registry: AuditorRegistry, sealer: Sealer, *, secure: bool) -> None:
        prefix = "__Host-accord-audit" if secure else "accord-audit"
        self.session_cookie, self.login_cookie = f"{prefix}-session", f"{prefix}-login"
        self._registry = registry
        self._sealer = sealer
        self._secure = secure

    def reader(self, request: Request) -> Auditor:
        """Who asks. Raises ``AccordError``: ``auditor_login_required``, or ``auditor_unknown`` with her reference.

        Also ``request_from_another_site``: a browser sends its cookie along with what another site makes it ask, and
        what is read is written down in the name of whose cookie it is.
        """
        return self._reader(request, by_link=False)

    def page_reader(self, request: Request) -> Auditor:
        """Who opens a page: also by a link of another site, or on her way back from a login there."""
        return self._reader(request, by_link=True)

    def page_reader_or_none(self, request: Request) -> Auditor | None:
        """Who opens a page, if she is known here."""
        try:
            return self.page_reader(request)
        except AccordError:
            return None

    def role_of(self, visit: Visit) -> Auditor:
        """What she may read. Raises ``AccordError('auditor_unknown')`` with the reference that the registry wants."""
        auditor = self._registry.auditor(visit.subject)
        if auditor is None:
            raise AccordError("auditor_unknown", reference=visit.subject)
        return auditor

    def visit(self, cookies: Mapping[str, str]) -> Visit | None:
        """The agent who is logged in, if any."""
        content = self._sealer.open(cookies.get(self.session_cookie))
        if content is None or content.get("use") != "visit":
            return None
        id_token = content.get("id_token")
        kept = str(id_token) if id_token else None
        return Visit(str(content["sid"]), str(content["subject"]), str(content["name"]), kept)

    def let_in(self, response: Response, agent: Agent) -> None:
        """Log an agent in. An ID token that does not fit is left out: her logout is then Accord's alone."""
        content: dict[str, object] = {
            "use": "visit",
            "sid": secrets.token_urlsafe(16),
            "subject": agent.subject,
            "name": agent.name,
        }
        sealed = self._sealer.seal({**content, "id_token": agent.id_token}, lifetime=SESSION_LIFETIME)
        if len(sealed) > COOKIE_LIMIT:
            sealed = self._sealer.seal(content, lifetime=SESSION_LIFETIME)
        self._set(response, self.session_cookie, sealed, SESSION_LIFETIME)

    def show_out(self, response: Response) -> None:
        """Log out."""
        self._set(response, self.session_cookie, "", 0)

    def login(self, cookies: Mapping[str, str]) -> Login | None:
        """The login that this browser started, if any."""
        content = self._sealer.open(cookies.get(self.login_cookie))
        if content is None or content.get("use") != "login":
            return None
        return Login(str(content["state"]), str(content["nonce"]), str(content["return_to"]))

    def start_login(self, response: Response, departure: Departure, *, return_to: str) -> None:
        """Remember a login for the time it takes."""
        content = {"use": "login", "state": departure.state, "nonce": departure.nonce, "return_to": return_to}
        self._set(response, self.login_cookie, self._sealer.seal(content, lifetime=LOGIN_LIFETIME), LOGIN_LIFETIME)

    def end_login(self, response: Response) -> None:
        """A login transaction serves once."""
        self._set(response, self.login_cookie, "", 0)

    def form_token(self, visit: Visit, action: str) -> str:
        """The hidden field of a form that does ``action``: good for this session alone."""
        return self._sealer.seal({"use": "form", "sid": visit.sid, "action": action}, lifetime=SESSION_LIFETIME)

    def allows(self, visit: Visit, action: str, token: str) -> bool:
        """Whether a form was given to this session for this action."""
        content = self._sealer.open(token)
        return content is not None and (content.get("use"), content.get("sid"), content.get("action")) == (
            "form",
            visit.sid,
            action,
        )

    def _reader(self, request: Request, *, by_link: bool) -> Auditor:
        if (authorization := request.headers.get("authorization")) is not None:
            return self._machine(authorization)
        visit = self.visit(request.cookies)
        if visit is None:
            raise AccordError("auditor_login_required")
        if is_from_another_site(request) and not (by_link and _opens_a_page(request)):
            raise AccordError("request_from_another_site")
        return self.role_of(visit)

    def _machine(self, authorization: str) -> Auditor:
        scheme, token = authorization[: len(_BEARER)], authorization[len(_BEARER) :].strip()
        auditor = None
        if scheme.lower() == _BEARER and 0 < len(token) <= MAX_TOKEN:
            auditor = self._registry.machine(token)
        if auditor is None:
            raise AccordError("auditor_login_required")
        return auditor

    def _set(self, response: Response, name: str, value: str, lifetime: int) -> None:
        response.set_cookie(name, value, max_age=lifetime, path="/", secure=self._secure, httponly=True, samesite="lax")


def is_from_another_site(request: Request) -> bool:
    """Whether another site made the browser ask (Fetch Metadata, ``Sec-Fetch-Site``), as a login does too."""
    return request.headers.get("sec-fetch-site", "none") in {"cross-site", "same-site"}


def _opens_a_page(request: Request) -> bool:
    """Whether the browser shows the answer as a page of its own: not in another's frame, nor to its scripts."""
    headers = request.headers
    return (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
