"""What is said when a job meets other media, or other audio, than it knew."""

from __future__ import annotations

from collections.abc import Set as AbstractSet


def changed_media(name: str, before: AbstractSet[str], sampled: str | None) -> str:
    """Return what to say of media whose content earlier runs of the job did not know.

    Args:
        name: of the media file.
        before: fingerprints that earlier runs knew.
        sampled: by what versions that only sampled files would have known it.
    """
    if sampled in before:
        return (
            f"This job was begun by a version that knew {name} by samples of its content only, "
            "which do not show every change: it is read again, and what can't be proved to be of "
            "the same audio and model is decoded again."
        )
    return f"{name} is not what it was when this job was begun: it is transcribed as it is now."
