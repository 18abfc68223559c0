"""What is said of a recording without speech."""

from __future__ import annotations

import pytest

from longscribe.core.hearing import little_speech
from longscribe.types import SAMPLE_RATE, AudioTrack, MediaInfo

HOUR = 3600 * SAMPLE_RATE


def media(*tracks: AudioTrack, read: int = 0) -> MediaInfo:
    return MediaInfo(
        container="matroska",
        codec="aac",
        track=read,
        tracks=len(tracks),
        sample_rate=48000,
        channels=2,
        duration=HOUR,
        duration_is_exact=True,
        audio_tracks=tracks,
    )


def track(number: int, language: str = "", title: str = "", *, default: bool = False) -> AudioTrack:
    return AudioTrack(
        number=number, codec="aac", channels=2, language=language, title=title, default=default
    )


ALONE = media(track(0))


@pytest.mark.parametrize(
    ("speech", "duration", "said"),
    [
        (0, HOUR, True),
        (0, SAMPLE_RATE, True),
        (30 * SAMPLE_RATE, HOUR, True),
        (36 * SAMPLE_RATE, HOUR, False),
        (61 * SAMPLE_RATE, 100 * HOUR, False),
        (SAMPLE_RATE, 11 * SAMPLE_RATE, False),
        (0, 0, False),
    ],
)
def test_hardly_any(speech, duration, said) -> None:
    assert (little_speech(speech, duration, ALONE, 0.5) is not None) is said


@pytest.mark.parametrize(
    ("peak", "told"),
    [
        (0.0, "it is digital silence throughout"),
        (1.0, "its loudest sample is at 0 dBFS"),
        (0.001, "its loudest sample is at -60 dBFS"),
    ],
)
def test_how_loud(peak, told) -> None:
    said = little_speech(0, HOUR, ALONE, peak)
    assert said == f"No speech was found in audio track 0 (aac, 2 channels); {told}."


def test_old_journals_know_less() -> None:
    assert little_speech(0, HOUR, media(), None) == "No speech was found in audio track 0."
    assert little_speech(0, HOUR, None, None) is None


def test_the_other_tracks() -> None:
    info = media(track(0, "eng", "Mic", default=True), track(1, "ger"), track(2), read=1)
    assert little_speech(8000, HOUR, info, 0.1) == (
        "Hardly any speech (0.5 s) was found in audio track 1 (ger, aac, 2 channels); its loudest "
        "sample is at -20 dBFS. There is also audio track 0 (“Mic”, eng, aac, 2 channels, "
        "default); audio track 2 (aac, 2 channels): choose one with --audio-track."
    )
