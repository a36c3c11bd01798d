"""A manifest's draft from a holder's OpenAPI path: what the file knows is written, what a person must say is marked.

Pure. English words come from a small glossary; where it has none the draft says TODO, which nothing serves.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from providers.model import IDENTITY_PARTS
from providers.openapi_reader import HolderField, HolderParameter, HolderPath
from providers.toml_table import UNFINISHED
from providers.vocabulary import COMPANY_NUMBERS, Vocabulary, given_names_of, identity_of


@dataclass(frozen=True, slots=True)
class Origin:
    """What the file does not say: who is called, and how its adapter names the parts of an identity."""

    dataset: str
    holder: str
    adapter: str
    words: Vocabulary


def draft(origin: Origin, path: HolderPath) -> str:
    """The draft, in TOML."""
    return "\n".join([*_head(origin, path), *_parameters(origin, path), "", "[fields]", *_fields(path)]) + "\n"


def _head(origin: Origin, path: HolderPath) -> Iterator[str]:
    title = re.sub(r"^\[[^\]]*\]\s*", "", path.title)
    yield f"dataset = {_quoted(origin.dataset)}"
    yield f"title = {{ fr = {_quoted(title)}, en = {_quoted(_english(title))} }}"
    yield f"holder = {_quoted(origin.holder)}"
    if origin.adapter != origin.holder:
        yield f"adapter = {_quoted(origin.adapter)}"
    todo = f"{UNFINISHED}: whose data it is"
    yield f"provider = {{ fr = {_quoted(todo)}, en = {_quoted(todo)} }}"
    yield f'subject = "{_subject(path)}"'
    yield 'legal_basis = "consent"'
    yield 'retention = "P1Y"'
    yield f"path = {_quoted(path.path)}"
    yield "scopes = []"
    if path.items is not None:
        yield f"items = {_quoted(path.items)}"
    if _subject(path) == "company":
        return
    identity = identity_of(path, origin.words)
    if identity != IDENTITY_PARTS:
        yield f"identity = [{', '.join(_quoted(part) for part in identity)}]"
    if (most := given_names_of(path, origin.words)) not in (None, 3):
        yield f"given_names = {most}"


def _parameters(origin: Origin, path: HolderPath) -> Iterator[str]:
    known = {name for names in origin.words.identity.values() for name in names} | origin.words.own | COMPANY_NUMBERS
    for one in path.parameters.values():
        if one.name not in known and not _is_birthplace_in_words(one, path, origin):
            yield ""
            yield f"[parameters.{_key(one.name)}]"
            yield f"pattern = {_quoted(_pattern(one))}"
            yield f"required = {_toml(one.required)}"
            yield f"fr = {_quoted(one.description)}"
            yield f"en = {_quoted(_english(one.description))}"


def _is_birthplace_in_words(one: HolderParameter, path: HolderPath, origin: Origin) -> bool:
    """The second way to say where she was born, beside the INSEE code, which Accord has."""
    has_code = any(name in path.parameters for name in origin.words.identity.get("birthplace", ()))
    return has_code and not one.required and one.name.endswith("Naissance")


def _pattern(one: HolderParameter) -> str:
    if one.allowed:
        return "|".join(re.escape(str(value)) for value in one.allowed)
    return (one.pattern or "[ -~]{1,200}").removeprefix("^").removesuffix("$")


def _fields(path: HolderPath) -> Iterator[str]:
    about = _subject(path)
    return (f"{_quoted(one.path)} = {{ {', '.join(_members(one, about))} }}" for one in path.fields.values())


def _subject(path: HolderPath) -> str:
    return "company" if COMPANY_NUMBERS & path.parameters.keys() else "citizen"


def _members(one: HolderField, about: str) -> Iterator[str]:
    yield f"type = {_quoted(one.type)}"
    if one.many:
        yield "many = true"
    if one.nullable:
        yield "nullable = true"
    if about == "company":
        yield 'about = "company"'
    yield f"fr = {_quoted(one.title)}"
    yield f"en = {_quoted(_english(one.title))}"
    if one.example is not None:
        yield f"example = {_toml([one.example] if one.many else one.example)}"


def _english(french: str) -> str:
    return _glossary().get(french.lower(), f"{UNFINISHED}: {french}")


@cache
def _glossary() -> Mapping[str, str]:
    return tomllib.loads(resources.files("providers").joinpath("glossary.toml").read_text("utf-8"))


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _toml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are among its own; control characters, which it refuses, are left out."""
    return json.dumps("".join(one for one in text if one.isprintable()), ensure_ascii=False)
