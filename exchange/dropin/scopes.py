"""Scopes of API Particulier and the fields that each opens, from the manifest. Pure; the default is that nothing opens.

A manifest with one scope: it opens every field. With several: a field is opened by the scope whose name ends as the
field's path begins (``cnaf_adresse``, ``adresse.pays``); a field of which no scope says so needs them all.
"""

from collections.abc import Collection

from providers.manifest import Manifest


def opened(manifest: Manifest, fields: Collection[str], scopes: Collection[str]) -> frozenset[str]:
    """Those of ``fields`` that ``scopes`` open."""
    held = frozenset(scopes) & frozenset(manifest.scopes)
    return frozenset(field for field in fields if held and _needed(manifest, field) <= held)


def scopes_of(manifest: Manifest, fields: Collection[str]) -> tuple[str, ...]:
    """The scopes that whoever may have ``fields`` is said to have, in the manifest's order."""
    needed = frozenset(scope for field in fields for scope in _needed(manifest, field))
    return tuple(scope for scope in manifest.scopes if scope in needed)


def _needed(manifest: Manifest, field: str) -> frozenset[str]:
    if len(manifest.scopes) == 1:
        return frozenset(manifest.scopes)
    first = field.partition(".")[0]
    own = frozenset(scope for scope in manifest.scopes if scope == first or scope.endswith("_" + first))
    return own or frozenset(manifest.scopes)
