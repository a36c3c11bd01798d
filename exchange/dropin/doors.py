"""Where the drop-in doors are put together from what the process holds. Nothing here decides."""

from collections.abc import Callable, Sequence

from exchange.consent_token import ConsentTokenVerifier
from exchange.dropin.api_entreprise import ApiEntrepriseEntrance
from exchange.dropin.api_particulier import ApiParticulier
from exchange.dropin.door import DropInDoor
from exchange.dropin.evidence import Evidence
from exchange.dropin.franceconnect import FranceConnectTokens, franceconnect_tokens
from exchange.dropin.pulse import Pulse
from exchange.knowledge import Knowledge
from exchange.recipient import Recipient
from exchange.release import Releases
from exchange.settings import Settings
from providers.registry import Datasets


class Doors:
    """Those of this deployment, and what they hold."""

    def __init__(self, doors: Sequence[DropInDoor], *, franceconnect: FranceConnectTokens | None) -> None:
        self._doors = tuple(doors)
        self._franceconnect = franceconnect

    @property
    def franceconnect(self) -> FranceConnectTokens | None:
        """Who asks FranceConnect about citizens' tokens, if this deployment may."""
        return self._franceconnect

    def of(self, path: str) -> DropInDoor | None:
        """The door that a path leads to."""
        return next((door for door in self._doors if door.serves(path)), None)

    def close(self) -> None:
        """Let go of threads and connections."""
        if self._franceconnect is not None:
            self._franceconnect.close()


def open_doors(
    settings: Settings,
    *,
    knowledge: Knowledge,
    datasets: Datasets,
    verifier: ConsentTokenVerifier,
    recipient: Recipient,
    releases: Releases,
    pseudonym_key: bytes,
    clock: Callable[[], float],
) -> Doors:
    """Every door, over one deployment's registry, keys and log."""
    franceconnect = franceconnect_tokens(settings, clock=clock)
    pulse = Pulse(clock)
    entrance = ApiParticulier(
        base_url=settings.issuer,
        knowledge=knowledge,
        datasets=datasets,
        evidence=Evidence(knowledge=knowledge, verifier=verifier, recipient=recipient),
        franceconnect=franceconnect,
        pseudonym_key=pseudonym_key,
        pulse=pulse,
    )
    companies = ApiEntrepriseEntrance(
        datasets,
        knowledge=knowledge,
        recipient=recipient,
        pulse=pulse,
        pseudonym_key=pseudonym_key,
        base=settings.issuer,
    )
    doors = [
        DropInDoor(one, recipient=recipient, releases=releases, pulse=pulse, clock=clock)
        for one in (companies, entrance)
    ]
    return Doors(doors, franceconnect=franceconnect)
