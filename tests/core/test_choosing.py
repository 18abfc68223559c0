"""Which recognizer `auto` is, told from facts alone."""

from __future__ import annotations

import pytest

from longscribe.core.choosing import (
    FIRST_INSTALL,
    LAST_RESORT,
    PREFERENCES,
    Asked,
    EngineState,
    choose_recognizer,
)
from longscribe.errors import RecognizerError

ALL = ("faster-whisper", "mlx", "pocketsphinx", "transformers", "whisper.cpp", "whisperx")
MAC, NVIDIA, PLAIN = ("mps", "cpu"), ("cuda", "cpu"), ("cpu",)
ANY = Asked(device="auto", language=None, translate=False)


def asked(**changes: object) -> Asked:
    return Asked(**{"device": "auto", "language": None, "translate": False, **changes})


def engines(*installed: str, unread: tuple[str, ...] = ()) -> list[EngineState]:
    return [
        EngineState(name=name, installed=name in installed, reads_model=name not in unread)
        for name in ALL
    ]


def chosen(kinds: tuple[str, ...], *installed: str, wish: Asked = ANY, **more: object) -> str:
    begun = more.pop("begun_with", None)
    found = choose_recognizer(wish, kinds, engines(*installed, **more), begun)
    assert found.reason.startswith(f"Recognizer {found.recognizer}, ")
    return found.recognizer


@pytest.mark.parametrize(
    ("kinds", "installed", "expected"),
    [
        (MAC, ALL, "mlx"),
        (MAC, ("faster-whisper", "transformers", "whisper.cpp"), "transformers"),
        (MAC, ("faster-whisper", "whisper.cpp"), "whisper.cpp"),
        (MAC, ("faster-whisper", "pocketsphinx"), "faster-whisper"),
        (NVIDIA, ALL, "faster-whisper"),
        (NVIDIA, ("mlx", "transformers", "whisper.cpp"), "transformers"),
        (NVIDIA, ("mlx", "pocketsphinx"), "mlx"),
        (PLAIN, ALL, "faster-whisper"),
        (PLAIN, ("transformers", "whisper.cpp", "pocketsphinx"), "whisper.cpp"),
        (PLAIN, ("transformers", "mlx", "pocketsphinx"), "transformers"),
        (PLAIN, ("pocketsphinx",), "pocketsphinx"),
    ],
)
def test_the_best_of_what_is_installed_for_the_best_device(
    kinds: tuple[str, ...], installed: tuple[str, ...], expected: str
) -> None:
    assert chosen(kinds, *installed) == expected


@pytest.mark.parametrize(
    ("device", "expected"),
    [("cpu", "faster-whisper"), ("cuda:1", "faster-whisper"), ("mps", "mlx")],
)
def test_a_device_that_is_asked_for_decides(device: str, expected: str) -> None:
    assert chosen(MAC, *ALL, wish=asked(device=device)) == expected


def test_one_that_can_not_read_the_model_is_passed_over() -> None:
    assert chosen(MAC, *ALL, unread=("mlx", "transformers")) == "whisper.cpp"
    said = choose_recognizer(ANY, MAC, engines("mlx", "faster-whisper", unread=("mlx",)), None)
    assert said.recognizer == "faster-whisper"
    assert "mlx can't do this job or read this model" in said.reason


def test_where_none_reads_the_model_the_first_choice_says_so() -> None:
    assert chosen(PLAIN, "faster-whisper", "whisper.cpp", unread=ALL) == "faster-whisper"


@pytest.mark.parametrize("wish", [asked(language="de"), asked(translate=True)])
def test_the_last_resort_is_for_english_only(wish: Asked) -> None:
    assert chosen(PLAIN, LAST_RESORT, "mlx", wish=wish) == "mlx"
    with pytest.raises(RecognizerError, match=r"pip install 'longscribe\[faster-whisper\]'"):
        chosen(PLAIN, LAST_RESORT, wish=wish)


def test_the_last_resort_says_what_it_is() -> None:
    found = choose_recognizer(asked(language="en"), PLAIN, engines(LAST_RESORT), None)
    assert "many errors" in found.reason
    assert "pip install" in found.reason


def test_a_job_keeps_what_it_was_begun_with() -> None:
    assert chosen(PLAIN, *ALL, begun_with="whisper.cpp") == "whisper.cpp"
    assert chosen(MAC, *ALL, begun_with="faster-whisper") == "faster-whisper"


def test_unless_it_is_gone_or_can_not_do_it_any_more() -> None:
    assert chosen(PLAIN, "faster-whisper", begun_with="whisper.cpp") == "faster-whisper"
    assert chosen(PLAIN, *ALL, unread=("mlx",), begun_with="mlx") == "faster-whisper"
    assert chosen(PLAIN, *ALL, begun_with="somebody:else") == "faster-whisper"


@pytest.mark.parametrize(
    ("kinds", "extra"), [(MAC, "mlx"), (NVIDIA, "faster-whisper"), (PLAIN, "faster-whisper")]
)
def test_where_nothing_is_installed_the_command_is_told(kinds: tuple[str, ...], extra: str) -> None:
    with pytest.raises(RecognizerError, match="No recognizer is installed") as caught:
        chosen(kinds)
    assert f"pip install 'longscribe[{extra}]'" in str(caught.value)


def test_where_nothing_runs_on_the_device_both_ways_out_are_told() -> None:
    with pytest.raises(RecognizerError, match="mps") as caught:
        chosen(MAC, "faster-whisper", wish=asked(device="mps"))
    assert "longscribe[mlx]" in str(caught.value)
    assert "--device cpu" in str(caught.value)


def test_every_device_has_a_row_and_a_first_install() -> None:
    assert set(PREFERENCES) == set(FIRST_INSTALL) == {"mps", "cuda", "cpu"}
    for kind, row in PREFERENCES.items():
        assert FIRST_INSTALL[kind] == row[0]
        assert len(set(row)) == len(row)
    assert PREFERENCES["cpu"][-1] == LAST_RESORT
