"""Whose file it is: the decisions alone, without a disk."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.names import folded, stem_of
from longscribe.core.ownership import (
    ASIDES,
    Claim,
    Film,
    NamedFile,
    Place,
    aside_names,
    choose_place,
    doubles,
    is_same_film,
    refuse_clashes,
)
from longscribe.errors import OutputError, UsageError

# --- names -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("film.mp4", "film"),
        ("film.MKV", "film"),
        ("film.Mp4", "film"),
        ("film.3gp", "film"),
        ("film.dvr-ms", "film"),
        ("film.txt", "film"),
        ("film.v2.mkv", "film.v2"),
        ("film", "film"),
        (".mp4", ".mp4"),
        ("..mp4", "..mp4"),
        ("1.1 Lesson name", "1.1 Lesson name"),
        ("1.2 Lesson name", "1.2 Lesson name"),
        ("1.2 Lesson name.mp3", "1.2 Lesson name"),
        ("1.2", "1.2"),
        ("talk.2024", "talk.2024"),
        ("talk 2024.05.17", "talk 2024.05.17"),
        ("talk.v2", "talk.v2"),
        ("series.E01", "series.E01"),
        ("Lecture 3.Intro", "Lecture 3.Intro"),
        ("Dr. No", "Dr. No"),
        ("Dr.", "Dr."),
        ("a.chapter", "a.chapter"),
        ("第1回.講義", "第1回.講義"),
    ],
)
def test_a_dot_begins_an_extension_only_if_it_looks_like_one(name: str, stem: str) -> None:
    assert stem_of(name) == stem


@given(st.text(min_size=1))
def test_a_stem_is_a_beginning_of_the_name_and_never_empty(name: str) -> None:
    assert stem_of(name)
    assert name.startswith(stem_of(name))


@pytest.mark.parametrize(
    ("one", "other"),
    [("Film", "film"), ("STRASSE", "straße"), ("Zürich", "Zu\u0308rich"), ("ΣΑΣ", "σας")],
)
def test_names_that_a_disk_may_not_tell_apart_are_folded_alike(one: str, other: str) -> None:
    assert folded(one) == folded(other)


def test_doubles_name_both() -> None:
    assert doubles(["Film.mp4", "b.mp4", "film.mkv"], lambda n: folded(stem_of(n))) == (
        "Film.mp4",
        "film.mkv",
    )
    assert doubles(["a.mp4", "b.mp4"], folded) is None


# --- what is never written ---------------------------------------------------


def file(role: str, path: str, *keys: str) -> NamedFile:
    return NamedFile(role=role, path=path, identity=frozenset(keys))


def test_a_clash_names_both_files() -> None:
    needed = [file("the media", "a.mp4", "1"), file("the glossary", "b.txt", "2", "place")]
    refuse_clashes([file("an output", "a.srt", "3")], needed)
    with pytest.raises(UsageError) as caught:
        refuse_clashes([file("an output", "a.txt", "9", "2")], needed)
    assert "a.txt" in str(caught.value)
    assert "the glossary, b.txt" in str(caught.value)
    assert caught.value.exit_status == 2


# --- whether an output may be replaced ---------------------------------------

OURS, OLD, THEIRS, NEW = "ours", "old", "theirs", "new"


def claim(*, delivered: str | None = None, overwrite: bool = False) -> Claim:
    return Claim(wrote={OURS, OLD}.__contains__, delivered=delivered, overwrite=overwrite)


def found(*digests: str | None, **more: bool) -> list[Place]:
    return [Place(name=str(n), digest=digest, **more) for n, digest in enumerate(digests)]


@pytest.mark.parametrize(
    ("digests", "name", "write", "kept"),
    [
        ((None,), "0", True, ()),  # nothing there
        ((OURS,), "0", True, ()),  # the job's own
        ((NEW,), "0", False, ()),  # the same already
        ((THEIRS, None), "1", True, ("0",)),  # a person's
        ((THEIRS, OURS), "1", True, ("0",)),
        ((THEIRS, NEW), "1", False, ("0",)),
        ((THEIRS, THEIRS, None), "2", True, ("0", "1")),  # what stood aside was changed too
        (("", None), "1", True, ("0",)),  # can't be read
    ],
)
def test_only_what_the_job_wrote_is_replaced(
    digests: tuple[str | None, ...], name: str, write: bool, kept: tuple[str, ...]
) -> None:
    verdict = choose_place(found(*digests), NEW, claim())
    assert (verdict.name, verdict.write, verdict.kept) == (name, write, kept)
    assert not verdict.replaced


def test_a_file_without_content_holds_nothing_to_lose() -> None:
    verdict = choose_place([Place(name="0", digest=THEIRS, empty=True)], NEW, claim())
    assert (verdict.name, verdict.write) == ("0", True)


def test_what_a_person_changed_is_not_joined_by_what_they_had() -> None:
    verdict = choose_place(found(THEIRS, None), NEW, claim(delivered=NEW))
    assert (verdict.name, verdict.write, verdict.kept) == (None, False, ("0",))
    # But a text that was never delivered is.
    assert choose_place(found(THEIRS, None), NEW, claim(delivered=OLD)).name == "1"


def test_who_insists_overwrites_files_but_not_what_the_job_needs() -> None:
    verdict = choose_place(found(THEIRS, None), NEW, claim(overwrite=True))
    assert (verdict.name, verdict.write, verdict.replaced) == ("0", True, True)
    barred = Place(name="0", digest=THEIRS, barred=True)
    verdict = choose_place([barred, *found(None)], NEW, claim(overwrite=True))
    assert verdict.kept == ("0",)
    assert not verdict.replaced


def test_too_many_files_of_others_are_an_error() -> None:
    names = list(aside_names("film", "srt"))
    assert names[:3] == ["film.srt", "film.new.srt", "film.new-2.srt"]
    assert len(names) == len(set(names)) == ASIDES
    with pytest.raises(OutputError, match=r"film\.srt"):
        choose_place([Place(name=name, digest=THEIRS) for name in names], NEW, claim())


@given(
    st.lists(st.sampled_from([None, OURS, OLD, THEIRS, NEW, ""]), min_size=1),
    st.sampled_from([None, OLD, NEW]),
)
def test_no_file_of_others_is_ever_written(digests: list[str | None], last: str | None) -> None:
    try:
        verdict = choose_place(found(*digests), NEW, claim(delivered=last))
    except OutputError:
        assert all(digest in (THEIRS, "") for digest in digests)
        return
    if verdict.name is not None and verdict.write:
        assert digests[int(verdict.name)] in (None, OURS, OLD)
    assert all(digests[int(name)] in (THEIRS, "") for name in verdict.kept)


# --- whose job it is ---------------------------------------------------------


def film(path: str, seen: str, *prints: str) -> Film:
    return Film(path=path, seen_from_job=seen, prints=frozenset(prints))


@pytest.mark.parametrize(
    ("now", "there", "same"),
    [
        (film("/a/film.mp4", "../film.mp4", "new"), True, True),  # a new version in its place
        (film("/a/film.mkv", "../film.mkv", "new"), True, False),  # another film of the stem
        (film("/a/film.mkv", "../film.mkv", "new"), False, False),  # also when the first is gone
        (film("/b/film.mp4", "../film.mp4", "old"), False, True),  # moved
        (film("/a/movie.mp4", "../movie.mp4", "old"), False, True),  # renamed
        (film("/b/film.mp4", "../../b/film.mp4", "old"), True, True),  # copied
        (film("/b/film.mp4", "../film.mp4", "new"), False, True),  # moved with its job, replaced
        (film("/b/film.mp4", "../film.mp4", "new"), True, False),  # copied, replaced: two films
        (film("/s2/film.mp4", "../../s2/film.mp4", "new"), True, False),  # another folder's
    ],
)
def test_a_job_goes_on_with_its_own_film_only(now: Film, there: bool, same: bool) -> None:
    before = film("/a/film.mp4", "../film.mp4", "older", "old")
    assert is_same_film(before, now, same_file=False, there=there) is same


def test_one_file_under_two_names_is_one_film() -> None:
    before, now = film("/a/film.mp4", "../film.mp4"), film("/b/link.mp4", "../link.mp4")
    assert is_same_film(before, now, same_file=True, there=True)


def test_films_without_fingerprints_are_not_taken_for_the_same() -> None:
    for one, other in itertools.permutations(["/a/film.mp4", "/a/film.mkv"], 2):
        same = is_same_film(film(one, one), film(other, other), same_file=False, there=True)
        assert not same
