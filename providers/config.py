"""How a data holder is reached. ``exchange`` fills it from the settings."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HolderConfig:
    """One holder: base URL without a slash at the end, our access token, deadline of a call in seconds."""

    base_url: str
    token: str = field(repr=False)
    timeout: float = 10.0
    max_in_flight: int = 64
    """Calls under way at once; beyond it callers are told to come back."""
