"""Pronouncers: the rules by letters, and espeak-ng behind its command line."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from longscribe.adapters.language import pronouncers
from longscribe.adapters.language.pronouncers import (
    LETTERS,
    EspeakPronouncer,
    LettersPronouncer,
    find_pronouncer,
)
from longscribe.config import PronouncerName
from longscribe.core.bias.phones import PHONES, distance
from longscribe.errors import RecognizerError, UsageError
from longscribe.languages import LANGUAGES

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"
)
ODD = ("", " ", "?!", "'", "-", "…", "\n", "\x00", "[[abc]]", "<break time='9s'/>", "😀")


@pytest.fixture(autouse=True)
def fresh():
    """What is known about the machine's espeak-ng is forgotten."""
    pronouncers.espeak_version.cache_clear()
    pronouncers._voice.cache_clear()
    yield
    pronouncers.espeak_version.cache_clear()
    pronouncers._voice.cache_clear()


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a program `espeak-ng` on the PATH, before all others."""
    program = tmp_path / "espeak-ng"
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '*--version*) echo "eSpeak NG text-to-speech: 9.99  Data at: /nowhere";;\n'
        '*--voices*) printf "Pty Language\\n 5  en-us  --/M x y\\n 5  de  --/M x y\\n";;\n'
        f"*) {script};;\n"
        "esac\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


def remove(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


# --- which one ------------------------------------------------------------------


def test_without_espeak_the_letters_are_read(monkeypatch, tmp_path):
    remove(monkeypatch, tmp_path)
    assert isinstance(find_pronouncer(PronouncerName.AUTO, "en"), LettersPronouncer)


def test_espeak_asked_for_and_absent_is_an_error_that_says_what_to_do(monkeypatch, tmp_path):
    remove(monkeypatch, tmp_path)
    with pytest.raises(UsageError) as error:
        find_pronouncer(PronouncerName.ESPEAK_NG, "en")
    assert "espeak-ng" in error.value.found
    assert "Install" in error.value.remedy


def test_auto_takes_espeak_where_it_knows_the_language(monkeypatch, tmp_path):
    install(tmp_path, monkeypatch, "cat")
    assert find_pronouncer(PronouncerName.AUTO, "de").name == "espeak-ng 9.99"
    assert find_pronouncer(PronouncerName.AUTO, "yo").name == LETTERS
    with pytest.raises(UsageError, match="'yo'"):
        find_pronouncer(PronouncerName.ESPEAK_NG, "yo")


def test_letters_asked_for_are_taken(monkeypatch, tmp_path):
    install(tmp_path, monkeypatch, "cat")
    assert find_pronouncer(PronouncerName.LETTERS, "en").name == LETTERS


def test_an_espeak_that_does_not_run_is_as_none(monkeypatch, tmp_path):
    program = tmp_path / "espeak-ng"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert find_pronouncer(PronouncerName.AUTO, "en").name == LETTERS


# --- a program that misbehaves --------------------------------------------------


def test_lines_that_were_broken_or_joined_are_asked_for_again(monkeypatch, tmp_path):
    # A word with an x takes two lines, and what follows an o is joined to it.
    install(tmp_path, monkeypatch, "sed -e 's/x/k\\ns/' -e '/o$/{N;s/\\n//}'")
    said = EspeakPronouncer("de").pronounce(["ana", "maxi", "leo", "pit", "tom", "ida"])
    assert said == ["ana", "maksi", "leo", "pit", "tom", "ida"]


def test_one_call_for_all_and_none_for_what_is_known(monkeypatch, tmp_path):
    log = tmp_path / "calls"
    install(tmp_path, monkeypatch, f"echo call >> {log}; cat")
    pronouncer = EspeakPronouncer("de")
    assert pronouncer.pronounce(["ana", "pit ana", "ida"]) == ["ana", "pitana", "ida"]
    assert pronouncer.pronounce(["ida pit", "ana"]) == ["idapit", "ana"]
    assert log.read_text() == "call\n"
    pronouncer.pronounce(["tom"])
    assert log.read_text() == "call\ncall\n"


def test_a_program_that_fails_or_hangs_is_an_error_with_a_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(pronouncers, "TIMEOUT", 0.5)
    for script in ("exit 7", "sleep 5"):
        install(tmp_path, monkeypatch, script)
        with pytest.raises(RecognizerError) as error:
            EspeakPronouncer("de").pronounce(["ana"])
        assert "--pronouncer letters" in error.value.remedy


def test_signs_that_espeak_obeys_never_reach_it(monkeypatch, tmp_path):
    log = tmp_path / "words"
    install(tmp_path, monkeypatch, f"tee -a {log}")
    EspeakPronouncer("de").pronounce([*ODD, "a.b,c;d", "-v", "--version", "x" * 500])
    words = log.read_text().split()
    assert all(word.strip("'").isalnum() for word in words)
    assert max(map(len, words)) == pronouncers.LONGEST_WORD


def test_other_scripts_are_not_spelt_out(monkeypatch, tmp_path):
    log = tmp_path / "words"
    install(tmp_path, monkeypatch, f"tee -a {log}")
    said = EspeakPronouncer("de").pronounce(["ana 東京", "Лев"])
    assert log.read_text().split() == ["ana"]
    assert said == ["ana東京", "лев"]


# --- the real one ---------------------------------------------------------------


@needs_espeak
def test_sound_alikes_sound_alike():
    pronouncer = EspeakPronouncer("en")
    for one, other in [("Geoffrey", "Jeffrey"), ("Sean", "Shawn"), ("Kathryn", "Catherine")]:
        a, b = pronouncer.pronounce([one, other])
        assert distance(a, b) < 0.15, (one, a, other, b)
    a, b = pronouncer.pronounce(["Geoffrey", "Marigold"])
    assert distance(a, b) > 0.4


@needs_espeak
def test_words_together_say_what_they_say_alone():
    pronouncer = EspeakPronouncer("en")
    together, mary, of, gold = pronouncer.pronounce(["Mary of Gold", "Mary", "of", "Gold"])
    assert together == mary + of + gold


@needs_espeak
def test_many_texts_say_what_each_says_alone():
    texts = ["Geoffrey", "12", "St. John's", "Jean-Luc", "Ångström", "U.S.A.", *ODD, "Annabell"]
    together = EspeakPronouncer("en").pronounce(texts)
    assert together == [EspeakPronouncer("en").pronounce([text])[0] for text in texts]
    assert set("".join(together)) <= PHONES


@needs_espeak
@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "it", "pl", "ru", "el", "ar", "ko"])
def test_names_are_read_in_many_languages(language):
    pronouncer = find_pronouncer(PronouncerName.AUTO, language)
    assert pronouncer.name.startswith("espeak-ng ")
    (said,) = pronouncer.pronounce(["Maria Weber"])
    assert len(said) > 5
    assert set(said) <= PHONES


@needs_espeak
def test_most_languages_of_whisper_have_a_voice():
    found = [find_pronouncer(PronouncerName.AUTO, code).name for code in LANGUAGES.by_code]
    assert sum(name.startswith("espeak-ng") for name in found) >= 75


# --- letters --------------------------------------------------------------------


def test_letters_give_a_reading_for_each_text():
    said = LettersPronouncer().pronounce(["Geoffrey", "Jeffrey", *ODD])
    assert said[0] == said[1] != ""
    assert len(said) == 2 + len(ODD)
