"""The tree of errors: picklable, told apart by slug, and drawn as it is."""

from __future__ import annotations

import pickle
import re

import pytest

from longscribe import errors
from longscribe.errors import BY_SLUG, LongscribeError, from_slug


def tree(root: type[LongscribeError]) -> list[type[LongscribeError]]:
    return [root, *(found for child in root.__subclasses__() for found in tree(child))]


EVERY = [cls for cls in tree(LongscribeError) if cls.__module__ == "longscribe.errors"]


@pytest.mark.parametrize("cls", EVERY)
def test_errors_survive_pickling(cls):
    error = cls("A file was found.", "Give a folder.")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert (copy.found, copy.remedy) == ("A file was found.", "Give a folder.")
    assert str(copy) == "A file was found. Give a folder."
    assert str(cls("Alone.")) == "Alone."


@pytest.mark.parametrize("cls", EVERY)
def test_a_slug_leads_back_to_its_class(cls):
    assert type(from_slug(cls.slug, "found", "remedy")) is cls
    assert from_slug(cls.slug, "found", "remedy").args == ("found", "remedy")
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", cls.slug)


def test_slugs_are_unique():
    assert len({cls.slug for cls in EVERY}) == len(EVERY)
    assert set(EVERY) <= set(BY_SLUG.values())


def test_an_unknown_slug_is_the_base_class():
    assert type(from_slug("from-the-future", "found")) is LongscribeError


def test_the_drawing_shows_every_class_below_its_parent_with_its_exit_status():
    drawn: dict[str, tuple[str, int]] = {}
    parents: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ([│├└─ ]*)(\w+Error)\s+(?:(\d+)\s)?", line)
        if match is None:
            continue
        depth, name = len(match[1]) // 4, match[2]
        del parents[depth:]
        status = int(match[3]) if match[3] else LongscribeError.exit_status
        drawn[name] = (parents[-1] if parents else "Exception", status)
        parents.append(name)
    assert drawn == {cls.__name__: (cls.__base__.__name__, cls.exit_status) for cls in EVERY}
