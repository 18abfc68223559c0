"""Collects what was odd in a media file, without letting a flood of it through."""

from __future__ import annotations

from longscribe.types import SAMPLE_RATE


class ProblemLog:
    """Problems by position, at most one of a kind for each second of media."""

    def __init__(self) -> None:
        self._closed: list[tuple[int, str]] = []
        self._open: dict[str, _Group] = {}

    def add(self, kind: str, position: int, sentence: str) -> None:
        """Note one problem at `position` (samples); within a second only the first is worded."""
        group = self._open.get(kind)
        if group is not None and position - group.position < SAMPLE_RATE:
            group.count += 1
            return
        if group is not None:
            self._closed.append(group.worded())
        self._open[kind] = _Group(position, sentence)

    def take(self, position: int) -> list[tuple[int, str]]:
        """Return and forget the problems that reading past `position` can't add to."""
        for kind, group in list(self._open.items()):
            if position - group.position >= SAMPLE_RATE:
                self._closed.append(self._open.pop(kind).worded())
        taken, self._closed = sorted(self._closed), []
        return taken

    def take_all(self) -> list[tuple[int, str]]:
        """Return and forget every problem: nothing more will be read."""
        self._closed += [group.worded() for group in self._open.values()]
        self._open.clear()
        taken, self._closed = sorted(self._closed), []
        return taken


class _Group:
    """Problems of one kind in one second."""

    def __init__(self, position: int, sentence: str) -> None:
        self.position = position
        self.sentence = sentence
        self.count = 1

    def worded(self) -> tuple[int, str]:
        times = f" ({self.count} times in this second)" if self.count > 1 else ""
        return self.position, self.sentence + times
