"""Amounts of memory, as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.config import Options
from longscribe.errors import UsageError
from longscribe.sizes import parse_size, say_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1GB", 10**9), ("1GiB", 2**30), ("1 gib", 2**30), ("1.5G", 1_500_000_000), ("800MB", 8 * 10**8),
        ("2048", 2048), ("2048B", 2048), ("1k", 1000), ("1KiB", 1024), ("2TB", 2 * 10**12),
    ],
)  # fmt: skip
def test_amounts(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "GB", "-1GB", "0", "1 PB", "1e9", "a lot", "1,5GB", "5iB", "0.2"]
)
def test_what_is_no_amount_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="such as 2GB"):
        parse_size(text)


@given(st.integers(1, 10**14))
def test_what_is_said_is_about_right(size):
    said = parse_size(say_size(size).replace(" ", "")) if size >= 10**6 else size
    assert abs(said - size) <= 0.06 * size + 500_000


def test_options_take_amounts_and_words():
    settings = Options.build(memory_limit="1GiB", recycle_after="off", workers=3).memory_settings
    assert (settings.limit, settings.growth, settings.shared_by) == (2**30, None, 3)
    assert Options.build(memory_limit=10**9).memory_settings.limit == 10**9
    default = Options().memory_settings
    assert (default.limit, default.growth, default.guarded) == (None, 10**9, True)
    assert not Options.build(memory_limit="OFF").memory_settings.guarded


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [("memory_limit", "lots", "auto or off"), ("recycle_after", "auto", "or off"), ("recycle_after", "0", "or off")],
)  # fmt: skip
def test_a_bad_amount_is_named_with_its_option(option, value, words):
    with pytest.raises(UsageError, match=words) as error:
        Options.build(**{option: value})
    assert "--" + option.replace("_", "-") in str(error.value)
    assert repr(value) in str(error.value)


def test_a_limit_needs_workers_that_can_be_ended():
    with pytest.raises(UsageError, match="--isolation off"):
        Options.build(memory_limit="1GB", isolation="off")
    settings = Options.build(isolation="off").memory_settings
    assert (settings.replaceable, settings.sample_every) == (False, 0.0)


def test_workers_that_are_threads_are_not_recycled() -> None:
    with pytest.raises(UsageError, match="--recycle-after needs workers"):
        Options.build(recycle_after="500MB", isolation="off")
    Options.build(isolation="off")
    Options.build(recycle_after="off", isolation="off")
