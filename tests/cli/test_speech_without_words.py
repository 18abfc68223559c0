"""What a person is told of speech without words: in a run's last line and in `status`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from longscribe.cli import inspecting
from longscribe.cli.progress import Display
from longscribe.job_events import OutputsWritten, RunFinished, RunStarted
from longscribe.reading import JobSummary
from longscribe.types import Span, to_samples

HOUR = to_samples(3600)
YELLOW, RED = "\x1b[33m", "\x1b[31m"


def stretches(*places: tuple[float, float]) -> tuple[Span, ...]:
    return tuple(Span(start=to_samples(a), end=to_samples(a + length)) for a, length in places)


def finished(
    *places: tuple[float, float], gaps: int = 0, loses: bool = False, text: int = HOUR // 2
) -> RunFinished:
    return RunFinished(
        gaps=gaps,
        duration=HOUR,
        text=text,
        silence=HOUR // 2,
        wordless=stretches(*places),
        loses_words=loses,
    )


def shown(event: RunFinished, *, coloured: bool = False, quiet: bool = False) -> str:
    told = io.StringIO()
    console = Console(
        file=told,
        force_terminal=coloured,
        color_system="standard" if coloured else None,
        width=400,
    )
    display = Display(console, Path("talk.mp3"), Path("job"), Path("out"), quiet, verbose=False)
    display.show(OutputsWritten(files=("talk.srt",), complete=True))
    display.show(event)
    return told.getvalue()


# --- the last line ---------------------------------------------------------------


def test_all_speech_has_words() -> None:
    assert shown(finished()) == (
        "talk.mp3: 1:00:00, 0:30:00 of it speech, all speech has words → out/talk.srt\n"
    )


@pytest.mark.parametrize("event", [finished(gaps=1), finished(text=0)])
def test_nothing_is_claimed_where_speech_is_missing_or_there_is_none(event: RunFinished) -> None:
    assert "words" not in shown(event)


@pytest.mark.parametrize(
    ("places", "told"),
    [
        ([(751, 3.44)], "3.4 s of speech without words, at 0:12:31 →"),
        ([(751, 1.4), (842, 2)], "3.4 s of speech without words, at 0:12:31, 0:14:02 →"),
        (
            [(751, 1.4), (842, 2), (900, 1)],
            "4.4 s of speech without words, at 0:12:31, 0:14:02 and 1 more place →",
        ),
        (
            [(751, 1.4), (842, 2), *((900 + n, 1) for n in range(5))],
            "8.4 s of speech without words, at 0:12:31, 0:14:02 and 5 more places →",
        ),
    ],
)
def test_it_says_how_much_speech_has_no_words_and_where(
    places: list[tuple[float, float]], told: str
) -> None:
    line = shown(finished(*places))
    assert told in line
    assert "all speech has words" not in line
    assert line.count("\n") == 1
    assert YELLOW + "3.4 s" in shown(finished((751, 3.4)), coloured=True)


def test_a_recognizer_that_loses_words_is_named_with_what_to_do() -> None:
    first, second = shown(finished((10, 900), loses=True)).splitlines()
    assert "900.0 s of speech without words, at 0:00:10" in first
    assert second.startswith("The recognizer loses words: try a larger model (--model).")
    assert "coverage of the JSON" in second
    coloured = shown(finished((10, 900), loses=True), coloured=True)
    assert RED + "900.0 s" in coloured
    assert YELLOW not in coloured


def test_gaps_are_told_beside_it() -> None:
    line = shown(finished((10, 2), gaps=2))
    assert "2 not transcribed, 2.0 s of speech without words, at 0:00:10" in line


def test_quiet_says_nothing() -> None:
    assert shown(finished((10, 900), loses=True), quiet=True) == ""


# --- status ----------------------------------------------------------------------


def summary(*events: RunFinished | RunStarted) -> JobSummary:
    found = JobSummary(media="talk.mp3", model="base", recognizer="faster-whisper")
    for event in events:
        found.add(event)
    return found


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (finished(), "complete"),
        (finished(gaps=1), "complete, with gaps"),
        (finished((1, 2)), "complete, with speech without words"),
        (finished((1, 2), gaps=1), "complete, with gaps and speech without words"),
        (
            finished((1, 900), loses=True),
            "not complete, the recognizer loses words, with speech without words",
        ),
    ],
)
def test_the_state_says_what_is_lacking(event: RunFinished, state: str) -> None:
    assert summary(event).state == state
    assert summary(event).wordless == event.wordless


def test_a_new_run_begins_without_what_the_last_one_lacked() -> None:
    started = RunStarted(media="talk.mp3", model="base", recognizer="faster-whisper", settings="{}")
    assert summary(finished((1, 2)), started).wordless == ()


def status(
    event: RunFinished, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    monkeypatch.setattr(inspecting, "summarize", lambda _: summary(event))
    inspecting.print_status(Path("job"))
    return capsys.readouterr().out


def test_status_lists_each_stretch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = status(finished((751, 3.4), (842, 1.25)), monkeypatch, capsys)
    assert "talk.mp3: complete, with speech without words" in told
    assert "speech without words: 0:12:31 to 0:12:34, 3.4 s" in told
    assert "speech without words: 0:14:02 to 0:14:03, 1.2 s" in told
    assert "more" not in told
    assert "without words" not in status(finished(), monkeypatch, capsys)


@pytest.mark.parametrize(("count", "more"), [(10, None), (11, "and 1 more"), (57, "and 47 more")])
def test_status_lists_ten_at_most(
    count: int,
    more: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    event = finished(*((60.0 * n, 2.0) for n in range(count)))
    told = status(event, monkeypatch, capsys)
    assert told.count("speech without words: ") == 10
    assert ("more, see coverage in the JSON" in told) == (more is not None)
    assert more is None or more in told
