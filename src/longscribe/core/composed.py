"""Text in composed characters (Unicode NFC), whoever wrote it.

macOS and some tokenizers write *ë* as *e* and a mark; searching, counting letters
and comparing terms then go wrong, so it is settled where text comes in: terms when
they are read, words when they leave the recognizer.
"""

from __future__ import annotations

from dataclasses import replace
from unicodedata import is_normalized, normalize

from longscribe.types import Segment, Term, WindowResult, Word


def composed(text: str) -> str:
    """Return `text` in composed characters."""
    return normalize("NFC", text)


def composed_term(term: Term) -> Term:
    """Return a term with every spelling, and its note, composed."""
    texts = (term.text, term.note, *term.aliases, *term.never)
    if all(is_normalized("NFC", text) for text in texts):
        return term
    return replace(
        term,
        text=composed(term.text),
        aliases=tuple(map(composed, term.aliases)),
        never=tuple(map(composed, term.never)),
        note=composed(term.note),
    )


def composed_window(result: WindowResult) -> WindowResult:
    """Return what was decoded with its text composed."""
    if all(is_normalized("NFC", segment.text) for segment in result.segments):
        return result
    return replace(result, segments=tuple(map(_composed_segment, result.segments)))


def _composed_segment(segment: Segment) -> Segment:
    words = tuple(_composed_words(segment.words))
    return replace(segment, text=composed(segment.text), words=words)


def _composed_words(words: tuple[Word, ...]) -> list[Word]:
    """Compose words; a mark that a tokenizer parted from its letter joins the word before."""
    found: list[Word] = []
    for word in words:
        if found and composed(found[-1].text + word.text) != composed(found[-1].text) + composed(
            word.text
        ):
            before = found[-1]
            text = composed(before.text + word.text)
            least = min(before.probability, word.probability)
            found[-1] = replace(before, end=word.end, text=text, probability=least)
        else:
            found.append(replace(word, text=composed(word.text)))
    return found
