"""Short ways to write chunks and what was decoded from them. Positions in samples."""

from __future__ import annotations

from itertools import pairwise

from longscribe.types import (
    NO_PROMPT,
    Chunk,
    ChunkResult,
    Segment,
    Span,
    Window,
    WindowResult,
    Word,
)


def chunk(
    start: int, end: int, *speech: tuple[int, int], chunk_id: int = 0, voiced: bool = True
) -> Chunk:
    """Return the chunk over `[start, end)` with one window for each stretch of `speech`."""
    middles = [(a[1] + b[0]) // 2 for a, b in pairwise(speech)]
    edges = [start, *middles, end]
    return Chunk(
        chunk_id=chunk_id,
        span=Span(start=start, end=end),
        windows=tuple(
            Window(
                index=index,
                span=Span(start=a, end=b),
                owns=Span(start=edges[index], end=edges[index + 1]),
                speech=b - a,
                voiced=(Span(start=a, end=b),) if voiced else (),
            )
            for index, (a, b) in enumerate(speech)
        ),
    )


def phrase(start: int, end: int, text: str, *, chunk_id: int = 0, window: int = 0) -> Segment:
    """Return a segment of one word."""
    return Segment(
        start=start,
        end=end,
        text=text,
        words=(Word(start=start, end=end, text=text, probability=0.9),),
        chunk_id=chunk_id,
        window=window,
        bias_window_id=None,
        bias_terms=(),
        average_logprob=-0.2,
        no_speech_probability=0.0,
        compression_ratio=1.0,
    )


def decoded(plan: Chunk, *texts: str) -> ChunkResult:
    """Return a result with one phrase for each window of `plan`; none where its text is empty.

    A phrase is one word as long as its window: where that is over a second, leave out `voiced`
    or take phrases without words, else the rest of it is speech without words.
    """
    return ChunkResult(
        chunk_id=plan.chunk_id,
        windows=tuple(
            WindowResult(
                chunk_id=plan.chunk_id,
                window=window,
                bias_window_id=None,
                prompt=NO_PROMPT,
                segments=(
                    (
                        phrase(
                            window.span.start,
                            window.span.end,
                            text,
                            chunk_id=plan.chunk_id,
                            window=window.index,
                        ),
                    )
                    if text
                    else ()
                ),
            )
            for window, text in zip(plan.windows, texts, strict=True)
        ),
    )
