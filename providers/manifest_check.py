"""What is wrong with a manifest as a whole, once each of its keys is right: names that other keys do not know. Pure."""

import re

from providers.model import Manifest
from providers.toml_table import Table

_NAME = re.compile(r"[a-z][a-z0-9_]{1,63}")
_FIELD_PATH = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
_PATH = re.compile(r"(/[A-Za-z0-9_.{}-]+)+")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_COMPANY_NUMBERS = frozenset({"siren", "siret"})


def check_whole(table: Table, manifest: Manifest) -> None:
    """What single keys do not show."""
    _check_names(table, manifest)
    if not _PATH.fullmatch(manifest.path):
        table.fault("path", "a path below the holder's URL, such as /v3/dss/quotient_familial/identite")
    for name in sorted(set(_PLACEHOLDER.findall(manifest.path)) - _COMPANY_NUMBERS - manifest.parameters.keys()):
        table.fault("path", f"{{{name}}} is not among the parameters")
    _check_fields(table, manifest)
    _check_opens(table, manifest)
    _check_confirms(table, manifest)
    _check_identifiers(table, manifest)


def _check_names(table: Table, manifest: Manifest) -> None:
    for key, name in (("dataset", manifest.dataset), ("holder", manifest.holder)):
        if not _NAME.fullmatch(name):
            table.fault(key, "2 to 64 small letters, digits and _")


def _check_fields(table: Table, manifest: Manifest) -> None:
    if not manifest.fields:
        table.fault("fields", "at least one")
    for name in manifest.fields:
        if not _FIELD_PATH.fullmatch(name):
            table.fault(f"fields.{name!r}", "names joined by dots")
        elif manifest.items and not name.startswith(f"{manifest.items}."):
            table.fault(f"fields.{name!r}", f"a name that begins with {manifest.items}.")
        elif any(name.startswith(f"{other}.") for other in manifest.fields):
            table.fault(f"fields.{name!r}", "not inside another field")


def _check_opens(table: Table, manifest: Manifest) -> None:
    for scope, paths in manifest.opens.items():
        for path in paths:
            if not any(f"{name}.".startswith(f"{path}.") for name in manifest.fields):
                table.fault(f"opens.{scope}", f"{path!r} is no field, and holds none")


def _check_confirms(table: Table, manifest: Manifest) -> None:
    said = {"confirms": manifest.confirms}
    said |= {f"identifiers.{name!r}.confirms": one.confirms for name, one in manifest.identifiers.items()}
    for key, confirms in said.items():
        for part, path in confirms.items():
            if path not in manifest.fields:
                table.fault(f"{key}.{part}", f"{path!r} is not a field")


def _check_identifiers(table: Table, manifest: Manifest) -> None:
    for name in manifest.identifiers:
        if not _NAME.fullmatch(name) or name in manifest.parameters:
            table.fault(f"identifiers.{name!r}", "2 to 64 small letters, digits and _, and no parameter's name")
