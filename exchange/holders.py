"""The holders as the settings name them; what is checked before the application starts needs not load it."""

from exchange.settings import HolderSettings, Settings
from providers.access import ClientCredentials
from providers.config import HolderConfig


def holder_configs(settings: Settings) -> dict[str, HolderConfig]:
    """The holders' part of the settings. A holder's limits are divided among the worker processes."""
    return {
        name: HolderConfig(
            base_url=one.url,
            token="" if one.token is None else one.token.get_secret_value(),
            credentials=_credentials(one),
            headers=tuple(one.headers.items()),
            timeout=one.timeout,
            max_in_flight=one.max_in_flight,
            allowance=one.allowance / settings.workers,
        )
        for name, one in settings.holders.items()
    }


def _credentials(holder: HolderSettings) -> ClientCredentials | None:
    if holder.client_id is None or holder.client_secret is None:
        return None
    secret = holder.client_secret.get_secret_value()
    return ClientCredentials(holder.client_id, secret, holder.scope, holder.oauth_path)
