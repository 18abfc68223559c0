"""Fitting terms into a prompt, and windows into batches. Tokens are plain integers here.

Facts that shape this (docs/design/bias.md): CTranslate2 takes a different prompt
for each item of a batch only if all have the same length, so the prompts of a
batch are brought to one length by repeating their own terms in front, which
costs no accuracy, where commas, spaces or special tokens do. The most
important terms stand last, next to what is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from longscribe.types import Prompt

LENGTH_STEP = 8
"""Prompt lengths are rounded up to a multiple of this, so that few lengths occur."""


@dataclass(frozen=True, kw_only=True)
class FittedPrompt:
    """A prompt before it is padded to the length of its batch."""

    terms: tuple[str, ...]
    """Those that fitted, best first."""
    text: str
    filler: tuple[int, ...]
    """Tokens of one repetition, put in front as often as needed."""
    token_ids: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Windows decoded together; their prompts have equal length."""

    indices: tuple[int, ...]
    prompt_length: int


def fit_prompt(
    terms: Sequence[str],
    introduction: str,
    budget: int,
    encode: Callable[[str], Sequence[int]],
) -> FittedPrompt:
    """Return the prompt of as many `terms` as fit into `budget` tokens.

    Args:
        terms: best first; from the first one that does not fit on, all are left out
            only if nothing shorter behind it fits either.
        introduction: free text that stands before the terms (`--initial-prompt`);
            it gives way to the terms and loses its beginning first.
        budget: most tokens.
        encode: text to token ids.
    """
    chosen: list[str] = []
    tokens: Sequence[int] = ()
    for term in terms:
        tried = encode(_listing([*chosen, term]))
        if len(tried) <= budget:
            chosen.append(term)
            tokens = tried
    intro = list(encode(" " + introduction)) if introduction else []
    intro = intro[max(0, len(intro) - (budget - len(tokens))) :] if len(tokens) < budget else []
    listing = _listing(chosen)
    text = " ".join(part for part in (introduction if intro else "", listing.strip()) if part)
    return FittedPrompt(
        terms=tuple(chosen),
        text=text,
        filler=tuple(encode(_listing(chosen) + ",")) if chosen else tuple(intro),
        token_ids=(*intro, *tokens),
    )


def _listing(terms: Sequence[str]) -> str:
    """Return the terms as Whisper likes them: a plain list, the best term last."""
    return " " + ", ".join(reversed(terms)) if terms else ""


def pad_prompt(prompt: FittedPrompt, length: int) -> Prompt:
    """Bring a prompt to exactly `length` tokens by repeating its own terms in front."""
    missing = length - len(prompt.token_ids)
    repeats = -(-missing // len(prompt.filler)) if missing > 0 else 0
    padding = (prompt.filler * repeats)[len(prompt.filler) * repeats - missing :] if repeats else ()
    return Prompt(terms=prompt.terms, text=prompt.text, token_ids=(*padding, *prompt.token_ids))


def make_batches(
    lengths: Sequence[int], batch_size: int, budget: int, group_size: int | None = None
) -> list[Batch]:
    """Group windows by prompt length into batches of at most `batch_size`.

    Windows without a prompt never share a batch with prompted ones. Among the
    prompted, neighbours in length share one, so that padding stays short.

    Args:
        lengths: tokens of each window's prompt.
        batch_size: windows decoded together, at most.
        budget: tokens to which no prompt is lengthened.
        group_size: windows whose prompts get one length; None: those of a batch. With it,
            prompts stay as they are when batches are made smaller.
    """
    grouped = group_size or batch_size
    prompted = sorted((n for n, length in enumerate(lengths) if length), key=lengths.__getitem__)
    plain = [n for n, length in enumerate(lengths) if not length]
    batches = []
    for group in (plain, prompted):
        for first in range(0, len(group), grouped):
            members = group[first : first + grouped]
            longest = max(lengths[member] for member in members)
            rounded = min(-(-longest // LENGTH_STEP) * LENGTH_STEP, max(budget, longest))
            batches += [
                Batch(indices=tuple(sorted(members[at : at + batch_size])), prompt_length=rounded)
                for at in range(0, len(members), batch_size)
            ]
    # Early windows first, so that progress runs with the media.
    return sorted(batches, key=lambda batch: batch.indices)
