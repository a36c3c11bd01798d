"""Keys on disk: made by ``accord keys init`` and ``accord keys rotate``, never printed.

==================  ============================================================================
``tokens.json``     private JWK Set: ES256 keys that sign consent tokens, newest first
``identity.json``   private JWK Set: AES keys that seal identities, newest first; gateways only
``log.key``         Ed25519 signing key of the log, in the form of C2SP signed notes
``session.key``     32 bytes, base64url: citizens' session cookies
``pseudonym.key``   32 bytes, base64url: the log's pseudonyms; losing it orphans citizens' histories
==================  ============================================================================

A key of a JWK Set says in ``iat`` (Unix seconds) when it was made: running processes read it at once and use it only
when it has an age, so that every process has read it before anybody uses it (decision 11, :mod:`exchange.key_watch`).
"""

import json
import math
import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import orjson
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey

from audit.checkpoint import NoteSigner
from consent.keys import SealingKeys, SigningKey, TokenKeys

TOKENS, IDENTITY, LOG, SESSION, PSEUDONYM = "tokens.json", "identity.json", "log.key", "session.key", "pseudonym.key"
FILES = (TOKENS, IDENTITY, LOG, SESSION, PSEUDONYM)

MAX_FILE_BYTES = 1_000_000

Jwk: TypeAlias = dict[str, Any]
"""A private key as its file holds it."""

_SECRET_BYTES = 32


class KeyringError(Exception):
    """Keys are missing or unreadable; the message says which file and what to do."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Every key of a deployment."""

    tokens: TokenKeys = field(repr=False)
    sealing: SealingKeys = field(repr=False)
    log: NoteSigner = field(repr=False)
    session: bytes = field(repr=False)
    pseudonym: bytes = field(repr=False)


def make_keyring(folder: Path, *, log_origin: str, now: float = 0) -> list[str]:
    """Make every key that is missing; return the names of the files made. An existing key is never replaced.

    ``now``: Unix seconds, kept in the keys that rotate.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    makers = {
        TOKENS: lambda: jwks_text([make_jwk(TOKENS) | {"iat": int(now)}]),
        IDENTITY: lambda: jwks_text([make_jwk(IDENTITY) | {"iat": int(now)}]),
        LOG: lambda: NoteSigner.generate(log_origin).private_text(),
        SESSION: _secret,
        PSEUDONYM: _secret,
    }
    made = []
    for name, make in makers.items():
        if not (folder / name).exists():
            write_private(folder / name, make())
            made.append(name)
    return made


def load_keyring(folder: Path) -> Keyring:
    """Read every key, the newest in use. Raises :class:`KeyringError` naming each missing or unreadable file."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise KeyringError(f"no keys at {folder}: {', '.join(missing)} missing; make them with 'accord keys init'")
    return Keyring(
        tokens=load_token_keys(folder),
        sealing=load_sealing_keys(folder),
        log=_read(folder / LOG, lambda text: NoteSigner.parse(text.strip())),
        session=_read(folder / SESSION, _parse_secret),
        pseudonym=_read(folder / PSEUDONYM, _parse_secret),
    )


def load_token_keys(folder: Path, *, made_before: float = math.inf) -> TokenKeys:
    """The keys of consent tokens; one made after that moment is published only. Raises :class:`KeyringError`."""
    keys: TokenKeys = _read(folder / TOKENS, lambda text: _token_keys(text, made_before))
    return keys


def load_sealing_keys(folder: Path, *, made_before: float = math.inf) -> SealingKeys:
    """The keys that seal identities; one made after that moment opens only. Raises :class:`KeyringError`."""
    keys: SealingKeys = _read(folder / IDENTITY, lambda text: _sealing_keys(text, made_before))
    return keys


def load_jwks(folder: Path, name: str) -> list[Jwk]:
    """The private keys of ``TOKENS`` or ``IDENTITY`` as they stand. Raises :class:`KeyringError`."""
    jwks: list[Jwk] = _read(folder / name, _jwks)
    return jwks


def make_jwk(name: str) -> Jwk:
    """A new private key for ``TOKENS`` or ``IDENTITY``, without the moment of its making."""
    if name == TOKENS:
        signing = ECKey.generate_key("P-256")
        return {**signing.as_dict(private=True), "kid": signing.thumbprint()}
    # A symmetric key's RFC 7638 thumbprint is a hash of the secret: its kid is random instead.
    return {**OctKey.generate_key(256).as_dict(private=True), "kid": secrets.token_urlsafe(12)}


def made_at(jwk: Jwk) -> int:
    """Unix seconds of a key's making; 0, long ago, for a key that does not say. Raises ``ValueError``."""
    made = jwk.get("iat", 0)
    if type(made) is not int:
        raise ValueError("iat: Unix seconds")
    return made


def jwks_text(jwks: list[Jwk]) -> str:
    """A private JWK Set as its file holds it."""
    return json.dumps({"keys": jwks}, indent=2) + "\n"


def write_private(path: Path, text: str) -> None:
    """A new file that its owner alone can read, durable when this returns. Raises ``OSError``."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path, parse: Any) -> Any:  # a parser of text to any kind of key
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ValueError("too large")  # noqa: TRY301  # the one answer to everything that is no key
        return parse(content.decode())
    except (ValueError, KeyError, TypeError, OSError, JoseError) as error:
        # The parser's message could quote the key.
        raise KeyringError(f"{path} cannot be read as a key ({type(error).__name__})") from None


def _token_keys(text: str, made_before: float) -> TokenKeys:
    jwks = _jwks(text)
    return TokenKeys(tuple(_signing_key(jwk) for jwk in jwks), _unripe(jwks, made_before))


def _signing_key(jwk: Jwk) -> SigningKey:
    private = ECKey.import_key(jwk).private_key
    if not isinstance(private, EllipticCurvePrivateKey):
        raise ValueError("not a private EC key")  # noqa: TRY004  # a wrong value in a file, not a wrong type in code
    return SigningKey(jwk["kid"], private)


def _sealing_keys(text: str, made_before: float) -> SealingKeys:
    jwks = _jwks(text)
    current = jwks[_unripe(jwks, made_before)]["kid"]
    return SealingKeys({jwk["kid"]: _unpadded(jwk["k"]) for jwk in jwks}, current=current)


def _jwks(text: str) -> list[Jwk]:
    jwks: list[Jwk] = orjson.loads(text)["keys"]
    if not jwks or not all(isinstance(jwk["kid"], str) for jwk in jwks):
        raise ValueError("a JWK Set of named keys")
    return jwks


def _unripe(jwks: list[Jwk], made_before: float) -> int:
    """How many of the newest are too new. The oldest is used whatever its age: there is no other."""
    ripe = (place for place, jwk in enumerate(jwks) if made_at(jwk) <= made_before)
    return next(ripe, len(jwks) - 1)


def _secret() -> str:
    return urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES)).decode() + "\n"


def _parse_secret(text: str) -> bytes:
    secret = _unpadded(text.strip())
    if len(secret) != _SECRET_BYTES:
        raise ValueError(f"expected {_SECRET_BYTES} bytes")
    return secret


def _unpadded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
