"""Scopes of API Particulier and the fields that each opens, as manifests say. Pure; by default nothing opens."""

from collections.abc import Collection

from providers.model import Manifest


def opened(manifest: Manifest, fields: Collection[str], scopes: Collection[str]) -> frozenset[str]:
    """Those of ``fields`` that ``scopes`` open: every scope that a field needs is among them."""
    held = frozenset(scopes) & frozenset(manifest.scopes)
    return frozenset(field for field in fields if held and _needed(manifest, field) <= held)


def scopes_of(manifest: Manifest, fields: Collection[str]) -> tuple[str, ...]:
    """The scopes that whoever may have ``fields`` is said to have, in the manifest's order."""
    needed = frozenset(scope for field in fields for scope in _needed(manifest, field))
    return tuple(scope for scope in manifest.scopes if scope in needed)


def _needed(manifest: Manifest, field: str) -> frozenset[str]:
    naming = (
        scope for scope, paths in manifest.opens.items() if any(f"{field}.".startswith(f"{path}.") for path in paths)
    )
    return frozenset(naming) or frozenset(manifest.scopes)
