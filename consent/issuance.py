"""What an application does with an authorisation once it has one: tokens, refreshing, giving back, asking about it.

Every method authenticates the application first; what it then learns or ends is its own or nobody's.
"""

import hashlib
from collections.abc import Callable
from secrets import token_urlsafe

from consent.authorization.client_auth import authenticate, authenticated_by_certificate
from consent.authorization.forms import ClientForm
from consent.authorization.references import hashed, new_refresh_token
from consent.authorization.revoke import INACTIVE, Introspection, TokenReferenceForm, check_reference
from consent.authorization.token import (
    CLIENT,
    CODE,
    TokenForm,
    TokenResponse,
    check_code,
    check_form_complete,
    check_scope,
    invalid_grant,
)
from consent.config import ConsentConfig
from consent.details import to_claims
from consent.dpop import ALGORITHMS, Nonces
from consent.errors import OAuthError, invalid_client
from consent.model import Client, Grant
from consent.ports import Registry
from consent.sender import Binding, Sender, binding_of, proved_key
from consent.store import ConsentStore
from consent.tokens import (
    CLIENT_TOKEN_SECONDS,
    ConsentToken,
    grants_audience,
    make_client_token,
    make_token,
    read_token,
)

_JTI_BYTES = 16


class Issuance:
    """One per process; blocking, and safe to call from several threads."""

    def __init__(
        self,
        config: ConsentConfig,
        *,
        store: ConsentStore,
        registry: Registry,
        nonces: Nonces,
        end: Callable[[Grant, int], Grant],
        clock: Callable[[], float],
    ) -> None:
        """``end``: withdraws a grant at a time, in the log first."""
        self._config = config
        self._store = store
        self._registry = registry
        self._nonces = nonces
        self._end = end
        self._clock = clock

    def authenticate(self, form: ClientForm, sender: Sender) -> Client:
        """The application that sent the form. Raises :class:`OAuthError`; an assertion serves once."""
        now = self.now()
        if sender.certificate is not None and not form.client_assertion:
            return authenticated_by_certificate(form, sender.certificate, registry=self._registry)
        proof = authenticate(form, registry=self._registry, issuer=self._config.issuer, now=now)
        key = hashlib.sha256(f"{proof.client.client_id}\0{proof.jti}".encode("utf-8", "replace")).hexdigest()
        if not self._spend(key, proof.expires_at):
            raise invalid_client("jti: already used; sign a new assertion for each request")
        return proof.client

    def proved_key(self, sender: Sender, *, access_token: str | None = None) -> str | None:
        """The key that a DPoP proof proved. Raises :class:`OAuthError`; a proof serves once."""
        return proved_key(
            sender,
            now=self._clock(),
            nonces=self._nonces,
            spend=self._spend,
            access_token=None if access_token is None else access_token.encode("utf-8", "replace"),
        )

    def now(self) -> int:
        """Unix seconds."""
        return int(self._clock())

    def nonce(self) -> str:
        """The nonce to hand out with the next answer (RFC 9449 section 8)."""
        return self._nonces.current(self._clock())

    def issue(self, client: Client, form: TokenForm, sender: Sender) -> TokenResponse:
        """A token, for a code, a refresh token or the application itself. Raises :class:`OAuthError`."""
        check_form_complete(form)
        jkt = self.proved_key(sender)
        binding = binding_of(client, sender, jkt)
        if form.grant_type == CLIENT:
            return self._for_itself(client, check_scope(form), binding)
        issued = self._redeem(client, form, binding, jkt) if form.grant_type == CODE else None
        return _response(issued or self._refresh(client, form, binding))

    def revoke(self, client: Client, form: TokenReferenceForm) -> None:
        """Give the authorisation behind a token back (RFC 7009); a token of nobody's, or another's, is no error."""
        check_reference(form)
        now = self.now()
        grant = self._grant_of(client, form.token, now)
        if grant is not None:
            self._end(grant, now)

    def introspect(self, client: Client, form: TokenReferenceForm) -> Introspection:
        """What a token of the application's own stands for (RFC 7662); ``active: false`` for any other."""
        check_reference(form)
        now = self.now()
        grant = self._grant_of(client, form.token, now)
        if grant is None or not _lives(grant, now):
            return INACTIVE
        claims = read_token(form.token, self._config, audience=self._config.audience, now=now)
        if claims is None:
            return Introspection(
                active=True,
                iss=self._config.issuer,
                client_id=client.client_id,
                token_type="refresh_token",  # noqa: S106  # what it is, not one
                exp=grant.expires_at,
                grant_id=grant.grant_id,
                authorization_details=to_claims(grant.details),
            )
        named = {name: claims.get(name) for name in Introspection.model_fields if name in claims}
        token_type = Binding(claims.get("cnf", {})).token_type
        return Introspection(**named, active=True, token_type=token_type)

    def managed(self, client: Client, grant_id: str) -> Grant:
        """A grant of the application's own. Raises :class:`OAuthError`: another's is as unknown as none."""
        grant = self._store.grant(grant_id)
        if grant is None or grant.client_id != client.client_id:
            raise OAuthError("invalid_grant_id", "grant_id: no authorisation of this application", status=404)
        return grant

    def manager(self, token: str, scheme: str, sender: Sender, *, scope: str) -> Client:
        """The application behind its own token for grant management. Raises :class:`OAuthError` (RFC 6750)."""
        now = self.now()
        claims = read_token(token, self._config, audience=grants_audience(self._config), now=now)
        client = self._registry.client(str(claims["client_id"])) if claims else None
        if claims is None or client is None:
            raise _invalid_token("access token: not one of client_credentials, or ended")
        if scope not in str(claims.get("scope", "")).split():
            raise OAuthError("insufficient_scope", f"scope: {scope} is needed", status=403)
        cnf = claims.get("cnf", {})
        if ("jkt" in cnf) != (scheme == "dpop"):
            raise _invalid_token("Authorization: DPoP for a token bound to a key, Bearer for any other")
        if "jkt" in cnf and self.proved_key(sender, access_token=token) != cnf["jkt"]:
            raise _invalid_token("DPoP: a proof made with the token's key is needed")
        if "x5t#S256" in cnf and sender.certificate != cnf["x5t#S256"]:
            raise _invalid_token("certificate: not the one that the token is bound to")
        return client

    def give_back(self, grant: Grant) -> None:
        """End a grant that the application no longer wants."""
        self._end(grant, self.now())

    def _spend(self, key: str, expires_at: int) -> bool:
        return self._store.spend_assertion(key, expires_at=expires_at, now=self.now())

    def _for_itself(self, client: Client, scope: str, binding: Binding) -> TokenResponse:
        now, jti = self.now(), token_urlsafe(_JTI_BYTES)
        token = make_client_token(client.client_id, scope, self._config, now=now, jti=jti, binding=binding)
        return TokenResponse(
            access_token=token, token_type=binding.token_type, expires_in=CLIENT_TOKEN_SECONDS, scope=scope
        )

    def _redeem(self, client: Client, form: TokenForm, binding: Binding, jkt: str | None) -> ConsentToken:
        """For a code: once. Used again, whoever does it, it withdraws the grant: one of the two was not meant to."""
        now = self.now()
        code = self._store.code(hashed(form.code))
        if code is None or code.client_id != client.client_id:
            raise invalid_grant("code: unknown, or issued to another application")
        if code.used_at is None:
            check_code(code, form, jkt=jkt, now=now)
        grant = self._store.grant(code.grant_id)
        if code.used_at is not None or not self._store.use_code(code.key, now=now):
            if grant is not None:
                self._end(grant, now)
            raise invalid_grant("code: already used; the authorisation was withdrawn for the citizen's safety")
        refresh = new_refresh_token() if grant is not None and _serves_again(grant) else None
        issued = self._token(grant, binding, now, refresh=refresh)
        if refresh is not None:
            self._store.add_refresh_token(hashed(refresh), grant_id=code.grant_id, client_id=client.client_id, now=now)
        return issued

    def _refresh(self, client: Client, form: TokenForm, binding: Binding) -> ConsentToken:
        grant = self._store.refreshed_grant(hashed(form.refresh_token), client_id=client.client_id)
        if grant is None:
            raise invalid_grant("refresh_token: unknown, or issued to another application")
        return self._token(grant, binding, self.now())

    def _token(self, grant: Grant | None, binding: Binding, now: int, *, refresh: str | None = None) -> ConsentToken:
        if grant is None or not _lives(grant, now):
            raise invalid_grant("grant: the authorisation was withdrawn, is suspended or has ended")
        jti = token_urlsafe(_JTI_BYTES)
        return make_token(grant, self._config, now=now, jti=jti, binding=binding, refresh_token=refresh)

    def _grant_of(self, client: Client, token: str, now: int) -> Grant | None:
        """The grant behind a refresh or a consent token of the application's own."""
        claims = read_token(token, self._config, audience=self._config.audience, now=now)
        if claims is None:
            return self._store.refreshed_grant(hashed(token), client_id=client.client_id)
        if claims.get("client_id") != client.client_id:
            return None
        return self._store.grant(str(claims.get("grant_id")))


def _response(issued: ConsentToken) -> TokenResponse:
    return TokenResponse(
        access_token=issued.token,
        token_type=issued.binding.token_type,
        expires_in=issued.expires_in,
        refresh_token=issued.refresh_token,
        authorization_details=to_claims(issued.grant.details),
        grant_id=issued.grant.grant_id,
    )


def _lives(grant: Grant, now: int) -> bool:
    return grant.status == "active" and grant.expires_at > now


def _serves_again(grant: Grant) -> bool:
    """A grant of single uses needs no second token."""
    return any(detail.access == "recurring" for detail in grant.details)


def _invalid_token(description: str) -> OAuthError:
    # RFC 6750 section 3, RFC 9449 section 7.1.
    challenge = f'DPoP error="invalid_token", algs="{" ".join(ALGORITHMS)}", Bearer error="invalid_token"'
    return OAuthError("invalid_token", description, status=401, headers={"WWW-Authenticate": challenge})
