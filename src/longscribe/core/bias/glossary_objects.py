"""The form of objects, from JSON or YAML: a list of terms, or terms with scenes and anti-terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from longscribe.core.bias.glossary_cells import (
    Entry,
    Place,
    languages,
    refuse_mark,
    spellings,
    term_entry,
    term_text,
    tidied,
    time_range,
    weight,
    yes_or_no,
)
from longscribe.core.bias.glossary_trees import Fields, Number, Tree
from longscribe.errors import GlossaryError
from longscribe.types import Span, Term

KEYS = (
    *("term", "aliases", "never", "weight", "start", "end", "ranges", "scenes"),
    *("languages", "inflect", "note"),
)
"""Of an entry."""
FILE_KEYS = ("terms", "never", "scenes")
"""Of a file that is an object."""

LISTS = ("aliases", "never", "scenes", "languages")
"""Keys of which several may be given."""
_TEXT = 'It must be one text, such as "Harwick".'
_TEXTS = 'It must be a list of texts, such as ["Harwick", "Rosalynd"], or one text.'

NOTHING = (None, "")
"""A key without a value: of JSON, and of YAML."""
EMPTY: tuple[Tree, ...] = (*NOTHING, [])

Scenes: TypeAlias = Mapping[str, tuple[Span, ...]]


def object_entries(tree: Tree, name: str) -> Iterator[Entry]:
    """Yield what each entry says, then the anti-terms of the whole."""
    if isinstance(tree, list):
        tree = Fields(pairs=(("terms", tree),))
    if tree in NOTHING:  # an empty file of YAML
        return
    if not isinstance(tree, Fields):
        raise GlossaryError(
            f"{name} holds {_kind(tree)}.", "It must be a list of terms, or an object with 'terms'."
        )
    whole = Place(name=name, where="at the top")
    keys = _fields(tree, FILE_KEYS, whole)
    scenes = _scenes(keys.get("scenes"), name)
    for number, item in enumerate(_list(keys, "terms", whole), start=1):
        yield _entry(item, scenes, _place(item, number, name))
    never = Place(name=name, where="never")
    yield Entry(place=never, never=spellings(_texts(keys, "never", never), never))


def _place(item: Tree, number: int, name: str) -> Place:
    """Return the place of an entry, with its term if that can be told."""
    said = item
    if isinstance(item, Fields):
        said = next((value for key, value in item.pairs if key == "term"), None)
    shown = f" ({said[:60]!r})" if isinstance(said, str) and said.strip() else ""
    return Place(name=name, where=f"entry {number}{shown}")


def _entry(item: Tree, scenes: Scenes, place: Place) -> Entry:
    if isinstance(item, str) and not isinstance(item, Number):
        refuse_mark(item, place)
        if "|" in item:
            raise place.wrong(
                "a '|', which has a meaning in the form of lines only",
                "Write an object with the keys 'term' and 'aliases'.",
            )
        return term_entry(Term(text=term_text(item, place)), place)
    if not isinstance(item, Fields):
        raise place.wrong(
            f"{_kind(item)} where a term is expected",
            "Write a text, or an object with the key 'term'.",
        )
    keys = _fields(item, KEYS, place)
    never = spellings(_texts(keys, "never", place), place)
    if never and keys.get("term") in NOTHING:
        return _anti_terms(never, keys, place)
    if "term" not in keys:
        raise place.wrong("no key 'term'", "Name the term.")
    return term_entry(
        Term(
            text=term_text(_text(keys, "term", place), place),
            aliases=spellings(_texts(keys, "aliases", place), place),
            never=never,
            weight=weight(_scalar(keys.get("weight"), "weight", place), place),
            ranges=_ranges(keys, scenes, place),
            languages=languages(_texts(keys, "languages", place), place),
            inflect=yes_or_no(_switch(keys, "inflect", place), place),
            note=tidied(_text(keys, "note", place), place),
        ),
        place,
    )


def _anti_terms(never: tuple[str, ...], keys: Mapping[str, Tree], place: Place) -> Entry:
    for key, value in keys.items():
        if key not in {"term", "never", "note"} and value not in EMPTY:
            raise place.wrong(
                f"anti-terms, which hold everywhere, with {key!r} ({_kind(value)})",
                "Name the term, or leave out the key.",
            )
    return Entry(place=place, never=never)


# --- times -------------------------------------------------------------------


def _scenes(tree: Tree, name: str) -> Scenes:
    if tree in NOTHING:
        return {}
    place = Place(name=name, where="scenes")
    found: dict[str, tuple[Span, ...]] = {}
    for scene, value in _fields(tree, None, place).items():
        here = Place(name=name, where=f"scene {scene[:60]!r}")
        text = tidied(scene, here)
        if text in found:
            raise here.wrong("the scene stands twice", "Name each scene once.")
        found[text] = tuple(_one_or_several(value, here))
    return found


def _ranges(keys: Mapping[str, Tree], scenes: Scenes, place: Place) -> tuple[Span, ...]:
    """Return all times an entry gives, in whichever way."""
    start = _scalar(keys.get("start"), "start", place)
    found = list(time_range(start, _scalar(keys.get("end"), "end", place), place))
    if keys.get("ranges") not in EMPTY:
        found += _one_or_several(keys["ranges"], place)
    for scene in _texts(keys, "scenes", place):
        if scene not in scenes:
            known = ", ".join(map(repr, list(scenes)[:10])) or "none"
            raise place.wrong(f"unknown scene {scene[:60]!r}", f"Known are: {known}.")
        found += scenes[scene]
    return tuple(dict.fromkeys(found))


def _one_or_several(tree: Tree, place: Place) -> Iterator[Span]:
    """Yield the range that `tree` is, or those in it."""
    if isinstance(tree, list) and any(isinstance(part, list) for part in tree):
        for part in tree:
            yield from _range(part, place)
    else:
        yield from _range(tree, place)


def _range(tree: Tree, place: Place) -> tuple[Span, ...]:
    remedy = 'Write two times: ["0:00", "12:30"]; one of them may be empty.'
    if not isinstance(tree, list) or len(tree) != 2:
        count = f" of {len(tree)}" if isinstance(tree, list) else ""
        raise place.wrong(f"a range is {_kind(tree)}{count}", remedy)
    start, end = (_scalar(time, "a time", place) for time in tree)
    ranges = time_range(start, end, place)
    if not ranges:
        raise place.wrong("a range has neither start nor end", remedy)
    return ranges


# --- values ------------------------------------------------------------------


def _kind(tree: Tree) -> str:
    match tree:
        case None | "":
            return "nothing"
        case bool():
            return "true or false"
        case Number():
            return f"the number {tree[:60]}"
        case str():
            return f"the text {tree[:60]!r}"
        case list():
            return "a list"
        case _:
            return "an object (a mapping)"


def _fields(tree: Tree, known: tuple[str, ...] | None, place: Place) -> dict[str, Tree]:
    """Return the keys and values of an object; any key will do if `known` is None."""
    if not isinstance(tree, Fields):
        raise place.wrong(f"{_kind(tree)} where an object is expected", "Write keys with values.")
    found: dict[str, Tree] = {}
    for key, value in tree.pairs:
        if known is not None and key not in known:
            raise place.wrong(f"unknown key {key[:60]!r}", f"Known are: {', '.join(known)}.")
        if key in found:
            raise place.wrong(f"the key {key[:60]!r} stands twice", "Name each key once.")
        found[key] = value
    return found


def _list(keys: Mapping[str, Tree], key: str, place: Place) -> list[Tree]:
    value = keys.get(key)
    if value in NOTHING:
        return []
    if not isinstance(value, list):
        raise place.wrong(f"{key!r} is {_kind(value)}", "It must be a list.")
    return value


def _text(keys: Mapping[str, Tree], key: str, place: Place) -> str:
    value = keys.get(key)
    if value is None:
        return ""
    if isinstance(value, Number | bool):
        raise place.wrong(f"{key!r} is {_kind(value)}", "It must be a text; put it in quotes.")
    if not isinstance(value, str):
        raise place.wrong(f"{key!r} is {_kind(value)}", _TEXTS if key in LISTS else _TEXT)
    return value


def _texts(keys: Mapping[str, Tree], key: str, place: Place) -> list[str]:
    """Return the texts of a list, or of one text with `;` between them."""
    value = keys.get(key)
    if not isinstance(value, list):
        return [part.strip() for part in _text(keys, key, place).split(";") if part.strip()]
    for item in value:
        if not isinstance(item, str) or isinstance(item, Number):
            raise place.wrong(f"{key!r} holds {_kind(item)}", "It must be a list of texts.")
    return [" ".join(item.split()) for item in value if isinstance(item, str)]


def _scalar(value: Tree, key: str, place: Place) -> str:
    """Return a number or a time, however it was written."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise place.wrong(f"{key} is {_kind(value)}", "Write a number or a text.")
    return value.strip()


def _switch(keys: Mapping[str, Tree], key: str, place: Place) -> str:
    value = keys.get(key)
    return str(value) if isinstance(value, bool) else _scalar(value, key, place)
