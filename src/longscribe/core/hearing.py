"""What to say where no speech was found, or hardly any: which track was read, and how loud."""

from __future__ import annotations

import math

from longscribe.types import SAMPLE_RATE, AudioTrack, MediaInfo

SHARE = 0.01
"""Of the recording: less speech than this is hardly any."""
LEAST = 60 * SAMPLE_RATE
"""Samples of speech with which no recording is called silent."""
SILENCE = -100.0
"""dBFS that stand for digital silence."""


def little_speech(
    speech: int, duration: int, info: MediaInfo | None, peak: float | None
) -> str | None:
    """Return what the user should know of a recording without speech; None if it has enough.

    Args:
        speech: samples in which the detector heard speech.
        duration: of the recording, in samples.
        info: what the media says of itself.
        peak: its largest sample, full scale 1; None where it is not known.
    """
    if info is None or duration == 0 or speech >= min(LEAST, SHARE * duration):
        return None
    heard = "No speech" if speech == 0 else f"Hardly any speech ({speech / SAMPLE_RATE:.1f} s)"
    read = next((t for t in info.audio_tracks if t.number == info.track), None)
    told = f"{heard} was found in {describe(read) if read else f'audio track {info.track}'}"
    told += f"; {level(peak)}." if peak is not None else "."
    others = [track for track in info.audio_tracks if track.number != info.track]
    if others:
        listed = "; ".join(describe(track) for track in others)
        told += f" There is also {listed}: choose one with --audio-track."
    return told


def level(peak: float) -> str:
    """Return in words how loud the loudest sample is."""
    loudest = 20 * math.log10(peak) if peak > 0 else SILENCE
    if loudest <= SILENCE:
        return "it is digital silence throughout"
    return f"its loudest sample is at {loudest:.0f} dBFS"


def describe(track: AudioTrack) -> str:
    """Return an audio track as a person knows it."""
    channels = f"{track.channels} channel{'' if track.channels == 1 else 's'}"
    parts = (
        f"\u201c{track.title}\u201d" if track.title else "",
        track.language,
        track.codec,
        channels if track.channels else "",
        "default" if track.default else "",
    )
    return f"audio track {track.number} ({', '.join(part for part in parts if part)})"
