"""Score a transcript: word error rate, and how many of the names are spelt right.

    python demo/score.py demo/sample.txt transcript.txt demo/glossary.txt

Both figures compare words after the same normalisation (`words_of`): Unicode
NFKC, no capitals, no punctuation but the apostrophe inside a word, any white
space. Spelling is left alone: *Catherine* for *Kathryn* is one word wrong and
one name wrong.
"""

from __future__ import annotations

import argparse
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'"})


@dataclass(frozen=True, kw_only=True)
class Name:
    """One occurrence of a glossary term in the reference, and what became of it."""

    term: str
    position: int
    """Index of its first word among the words of the reference."""
    places: tuple[int, ...]
    """Indices of the words of the hypothesis at its place; empty when it was left out."""
    heard: str
    """Those words, as they are compared."""
    right: bool


def plain(text: str) -> str:
    """Return `text` as words are found in it: Unicode NFKC, straight apostrophes."""
    return unicodedata.normalize("NFKC", text).translate(_APOSTROPHES)


def find_words(text: str) -> list[tuple[int, int]]:
    """Return where the words of `text` begin and end. `text` is `plain` already."""
    return [match.span() for match in _WORD.finditer(text)]


def words_of(text: str) -> list[str]:
    """Return the words of `text` as they are compared (see the head of this file)."""
    text = plain(text)
    return [text[start:end].casefold() for start, end in find_words(text)]


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Return substitutions, deletions and insertions per word of the reference.

    Raises:
        ValueError: the reference holds no words.
    """
    return float(_align(words_of(reference), words_of(hypothesis)).wer)


def names_right(reference_text: str, hypothesis_text: str, terms: Iterable[str]) -> tuple[int, int]:
    """Return how many names are right, and of how many.

    Each occurrence of a term in the reference counts once. It is right when the
    words of the hypothesis aligned with it have exactly its spelling, whatever
    their capitals.

    Raises:
        ValueError: the reference or a term holds no words.
    """
    names = find_names(reference_text, hypothesis_text, terms)
    return sum(name.right for name in names), len(names)


def find_names(reference_text: str, hypothesis_text: str, terms: Iterable[str]) -> list[Name]:
    """Return each occurrence of a term in the reference with what the hypothesis has for it.

    Where one term lies inside another the longer one counts, and only it. A
    possessive (*Kathryn's*) is an occurrence of its term, and right with or
    without its *'s*.

    Raises:
        ValueError: the reference or a term holds no words.
    """
    reference, hypothesis = words_of(reference_text), words_of(hypothesis_text)
    places = _places(_align(reference, hypothesis))
    names = []
    for start, end, term in _occurrences(reference, terms):
        aligned = [place for word in places[start:end] for place in word]
        # A word put into the middle of a term spoils it.
        here = tuple(range(aligned[0], aligned[-1] + 1)) if aligned else ()
        heard = [hypothesis[place] for place in here]
        names.append(
            Name(
                term=term,
                position=start,
                places=here,
                heard=" ".join(heard),
                right=_bare(heard) == _bare(reference[start:end]),
            )
        )
    return names


def read_terms(path: Path) -> list[str]:
    """Return the terms of a glossary of the plain form (`term | alias; alias`, `#` comments)."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines())
    return [line.split("|")[0].strip() for line in lines if line and not line.startswith("#")]


def _align(reference: Sequence[str], hypothesis: Sequence[str]) -> jiwer.WordOutput:
    if not reference:
        raise ValueError("the reference holds no words, so nothing can be scored against it")
    return jiwer.process_words(" ".join(reference), " ".join(hypothesis))


def _places(alignment: jiwer.WordOutput) -> list[list[int]]:
    """Return for each word of the reference the hypothesis words aligned with it.

    A word that was inserted belongs to the misheard word before it, or else
    after it (*Mary Gold* for *Marygold*); beside right words, to none.
    """
    places: list[list[int]] = [[] for _ in alignment.references[0]]
    wrong = [True] * len(places)
    inserted: list[tuple[int, range]] = []
    for chunk in alignment.alignments[0]:
        heard = range(chunk.hyp_start_idx, chunk.hyp_end_idx)
        if chunk.type == "insert":
            inserted.append((chunk.ref_start_idx, heard))
        elif chunk.type != "delete":
            for word, place in enumerate(heard, chunk.ref_start_idx):
                places[word] = [place]
                wrong[word] = chunk.type != "equal"
    for before, heard in inserted:
        if before and wrong[before - 1]:
            places[before - 1] += heard
        elif before < len(places) and wrong[before]:
            places[before] = [*heard, *places[before]]
    return places


def _occurrences(words: Sequence[str], terms: Iterable[str]) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and term wherever a term stands in `words`, the longest first."""
    spelt = {tuple(words_of(term)): term for term in terms}
    if () in spelt:
        raise ValueError(f"the term {spelt[()]!r} holds no words")
    lengths = sorted({len(term) for term in spelt}, reverse=True)
    start = 0
    while start < len(words):
        for length in lengths:
            term = spelt.get(_bare(words[start : start + length]))
            if term is not None:
                yield start, start + length, term
                start += length
                break
        else:
            start += 1


def _bare(words: Sequence[str]) -> tuple[str, ...]:
    """Return `words` without the possessive at their end."""
    return tuple(words[:-1]) + tuple(word.removesuffix("'s") for word in words[-1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("reference", type=Path, help="the true text")
    parser.add_argument("hypothesis", type=Path, help="the transcript, as plain text")
    parser.add_argument("glossary", type=Path, help="the names, one a line")
    given = parser.parse_args()
    reference = given.reference.read_text(encoding="utf-8")
    hypothesis = given.hypothesis.read_text(encoding="utf-8")
    names = find_names(reference, hypothesis, read_terms(given.glossary))
    for name in names:
        if not name.right:
            print(f"wrong: {name.term}, heard as {name.heard or 'nothing'}")
    print(f"names right: {sum(name.right for name in names)} of {len(names)}")
    print(f"word error rate: {word_error_rate(reference, hypothesis):.1%}")


if __name__ == "__main__":
    main()
