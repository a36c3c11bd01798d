"""How a data holder is reached. ``exchange`` fills it from the settings."""

from dataclasses import dataclass, field

from providers.access import ClientCredentials


@dataclass(frozen=True, slots=True)
class HolderConfig:
    """One holder: base URL without a slash at the end, our access token, deadline of a call in seconds."""

    base_url: str
    token: str = field(repr=False)
    timeout: float = 10.0
    max_in_flight: int = 64
    """Calls under way at once in this process; beyond it callers are told to come back."""
    allowance: float = 1.0
    """By which the limits in its manifests are multiplied for this process: a part of them, or more than they say."""
    credentials: ClientCredentials | None = None
    """Where the holder gives a token only for a while; ``token`` is not used then."""
    headers: tuple[tuple[str, str], ...] = ()
    """Sent with every call: what else the holder knows us by."""
