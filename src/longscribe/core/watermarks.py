"""The two marks of torch's memory on Apple's GPU: they must fit each other.

torch reads them when its allocator starts, and refuses to start if the low mark is
above the high one (aten/src/ATen/mps/MPSAllocator.mm). Both are ratios to what Metal
recommends for a program (`recommendedMaxWorkingSetSize`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HIGH = "PYTORCH_MPS_HIGH_WATERMARK_RATIO"
"""Beyond it an allocation fails. torch's own is 1.7, which is more than a Mac's whole memory:
it swaps, or ends programs, before the error comes. 0.0 takes the limit away altogether."""
LOW = "PYTORCH_MPS_LOW_WATERMARK_RATIO"
"""Beyond it torch tidies up and commits work sooner. torch's own is 1.4; 0.0 does neither."""
SAFE_HIGH = 1.0
SAFE_LOW = 0.8


@dataclass(frozen=True, kw_only=True)
class Watermarks:
    """What to add to the environment, and what to tell the user."""

    added: Mapping[str, str]
    notice: str = ""


def watermarks(environment: Mapping[str, str]) -> Watermarks:
    """Return the marks that are missing in `environment`, fitted to one that the user has set."""
    high, low = environment.get(HIGH), environment.get(LOW)
    if high is None and low is None:
        return Watermarks(added={HIGH: str(SAFE_HIGH), LOW: str(SAFE_LOW)})
    if high is not None and low is not None:
        return Watermarks(added={}, notice=_conflict(high, low))
    name, value = (HIGH, high) if high is not None else (LOW, low)
    given = _number(value)
    if given is None:
        return Watermarks(added={}, notice=f"{name}={value} is not a number; torch reads it as 0.")
    if name == HIGH:
        other, fitted = LOW, SAFE_LOW if given == 0 else min(SAFE_LOW, given)
    else:
        other, fitted = HIGH, max(SAFE_HIGH, given)
    return Watermarks(
        added={other: str(fitted)},
        notice=f"{name}={value} is set in the environment, so {other} is set to {fitted} to fit.",
    )


def _conflict(high: str, low: str) -> str:
    highest, lowest = _number(high), _number(low)
    if highest and lowest is not None and lowest > highest:
        return (
            f"{LOW}={low} is above {HIGH}={high}: torch refuses to start like that on Apple's "
            "GPU. Set the low mark to the high one or less."
        )
    return ""


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
