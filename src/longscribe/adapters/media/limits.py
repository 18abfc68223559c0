"""How much a media file may ask for: what is beyond reason is refused or declared, never obeyed.

A few bytes of header can claim any length, any rate and any jump of the clock.
What is believed is bounded here, by the size of the file where that says
something, and otherwise by what recordings are.
"""

from __future__ import annotations

from longscribe.errors import MediaError

LOWEST_RATE = 1000
"""Hz. Below it nothing of speech is left; each sample would become sixteen and more."""
HIGHEST_RATE = 3_100_000
"""Hz. Above DSD512, the highest rate that music is sold in."""
LONGEST = 500 * 3600
"""Seconds of one recording: three weeks, 57 GB of samples."""
LEAST_BITS = 8.0
"""Bits a second that the densest recordings have: an hour of digital silence in FLAC."""
FILLED_BITS = 200.0
"""Bits a second of a file whose gaps are filled with silence, the gaps included."""
FILLED_ANYWAY = 600.0
"""Seconds of silence that are filled in however small the file is."""
MOST_FILLED = 24 * 3600.0
"""Seconds of silence filled in, over a whole recording."""


def longest(size: int) -> float:
    """Return how many seconds a file of `size` bytes can hold: beyond it nothing is read."""
    return min(LONGEST, max(FILLED_ANYWAY, size * 8 / LEAST_BITS))


def believable_length(seconds: float, size: int) -> bool:
    """Tell whether a file of `size` bytes can hold so long a track."""
    return seconds <= longest(size)


def most_filled(size: int) -> float:
    """Return how many seconds of silence may stand for gaps in a file of `size` bytes."""
    return min(MOST_FILLED, max(FILLED_ANYWAY, size * 8 / FILLED_BITS))


def is_sane_rate(rate: int) -> bool:
    """Tell whether sound can have that sample rate."""
    return LOWEST_RATE <= rate <= HIGHEST_RATE


def check_rate(rate: int, where: str) -> None:
    """Refuse a track whose header claims a rate that sound can't have; 0 is unknown yet.

    Raises:
        MediaError: names the rate and what was expected.
    """
    if rate and not is_sane_rate(rate):
        raise MediaError(
            f"{where} claims a sample rate of {rate:,} Hz; sound has {LOWEST_RATE:,} to "
            f"{HIGHEST_RATE:,} Hz.",
            "Its header is damaged; export the recording again.",
        )


def say_hours(seconds: float) -> str:
    """Return a length as h:mm:ss."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"


def unbelievable(seconds: float, size: int) -> str:
    """Return in words that a header's length is not believed."""
    return (
        f"the header claims {say_hours(seconds)}, more than a file of {size:,} bytes can hold; "
        "what is there is read"
    )
