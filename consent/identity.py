"""Who a citizen is to Accord: one pseudonym for the log, another for each recipient, and her identity sealed.

The identity itself is in clear between FranceConnect's answer and :func:`seal`, and again in the gateway that asks a
holder; nothing stores it.
"""

import hashlib
import hmac
import json
import unicodedata
from base64 import urlsafe_b64encode

from joserfc import jwe
from joserfc.jwk import OctKey

from consent.keys import SealingKeys
from openapi.fields import PivotIdentity, Siret

_ALGORITHMS = ["dir", "A256GCM"]


def pseudonym(identity: PivotIdentity, key: bytes) -> str:
    """The same for every login of the same person, nothing to anybody without the key: a keyed HMAC-SHA-256.

    The name in use is left out: it may change, and FranceConnect does not always give it.
    """
    person = [
        _folded(identity.family_name),
        [_folded(name) for name in identity.given_names],
        identity.gender,
        identity.birthdate,
        identity.birthplace,
        identity.birthcountry,
    ]
    return _keyed(key, "citizen", json.dumps(person, separators=(",", ":")))


def pairwise_subject(citizen: str, recipient: Siret, key: bytes) -> str:
    """The ``sub`` of a recipient's tokens: two recipients cannot tell that they speak of the same person."""
    return _keyed(key, "subject", f"{recipient} {citizen}")


def seal(identity: PivotIdentity, citizen: str, keys: SealingKeys) -> str:
    """The identity and the pseudonym ``citizen`` as a compact JWE (RFC 7516; ``dir``, A256GCM) for gateways."""
    header = {"alg": "dir", "enc": "A256GCM", "kid": keys.current}
    content = json.dumps({"pivot": identity.to_claims(), "citizen": citizen}, separators=(",", ":"))
    key = OctKey.import_key(keys.keys[keys.current])
    return jwe.encrypt_compact(header, content, key, algorithms=_ALGORITHMS)


def _folded(name: str) -> str:
    """Spelling differences that are none: composed or not, capitals, spaces."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


def _keyed(key: bytes, use: str, content: str) -> str:
    digest = hmac.digest(key, f"accord {use} v1\0{content}".encode(), hashlib.sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
