"""Which form of prompt spells names best: sentence or bare list, which order, how many terms?

    python bench/prompt_forms.py

Lines with names that no training has seen, spoken by flite, are decoded by the demo model with the
same terms in prompts of different forms, the spoken ones first, last or anywhere among others. Two
tables: names right for each form and number of terms; names right for each order. The choice is
recorded in docs/decisions. Names are those of the tuning half of bench/bias.py.

Needs faster-whisper and flite.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # `bench` and `tools` are not installed

from bench.bias_parts.lookalikes import load_half  # noqa: E402
from bench.bias_parts.phones import Phones  # noqa: E402
from bench.demo_model import Clip, Errors, Listener, as_sound, spoken_words  # noqa: E402
from tools.demo_model.corpus import CARRIERS, respell  # noqa: E402
from tools.demo_model.voices import speak_flite  # noqa: E402

Form = Callable[[Sequence[str]], str]

FORMS: dict[str, Form] = {
    "a, b, c": ", ".join,
    "a, b, c.": lambda terms: ", ".join(terms) + ".",
    "a b c": " ".join,
    "Glossary: a, b, c.": lambda terms: f"Glossary: {', '.join(terms)}.",
    "In this recording: a, b and c.": lambda t: f"In this recording: {_spoken_list(t)}.",
    "We spoke about a, b and c.": lambda terms: f"We spoke about {_spoken_list(terms)}.",
}
COUNTS = (3, 6, 12, 20, 40)
ORDERS = ("spoken last", "spoken first", "anywhere")
VOICES = ("awb", "rms", "slt", "kal16")


def _spoken_list(terms: Sequence[str]) -> str:
    return " and ".join((", ".join(terms[:-1]), terms[-1])) if len(terms) > 1 else terms[0]


def make_clips(count: int, rng: random.Random) -> tuple[list[Clip], list[str]]:
    """Return lines with respelt names, and other names in other spellings."""
    names = list(load_half("tuning", Phones()).names)
    clips: list[Clip] = []
    with tempfile.TemporaryDirectory() as folder:
        while len(clips) < count:
            said = [rng.choice(names) for _ in range(3)]
            written = tuple(respell(name, rng) for name in said)
            if any(a.lower() == b.lower() for a, b in zip(said, written, strict=True)):
                continue
            carrier = rng.choice(CARRIERS)
            used = tuple(name for n, name in enumerate(written) if f"{{{n}}}" in carrier)
            text = carrier.format(*said)
            take = speak_flite(text, rng, Path(folder), rng.choice(VOICES))
            if take is not None:
                clips.append(Clip(text=carrier.format(*written), sound=as_sound(take), names=used))
    return clips, [respell(name, rng) for name in rng.sample(names, min(600, len(names)))]


def arranged(clip: Clip, count: int, order: str, others: Sequence[str], seed: str) -> list[str]:
    """Return `count` terms, the spoken ones where the order says."""
    rng = random.Random(seed)
    spoken = list(dict.fromkeys(clip.names))
    rest = [name for name in rng.sample(others, count + 5) if name not in spoken]
    rest = rest[: max(0, count - len(spoken))]
    if order == "anywhere":
        mixed = spoken + rest
        rng.shuffle(mixed)
        return mixed
    return rest + spoken if order == "spoken last" else spoken + rest


def score(
    listener: Listener,
    views: Sequence[object],
    clips: Sequence[Clip],
    prompts: Sequence[str],
) -> tuple[float, float]:
    """Return names right and word error, per cent."""
    right = total = 0
    errors = Errors()
    for clip, view, prompt in zip(clips, views, prompts, strict=True):
        written = listener.text_after(view, prompt)
        words = {word.removesuffix("'s") for word in spoken_words(written)}
        right += sum(name.lower() in words for name in clip.names)
        total += len(clip.names)
        errors.add(clip.text, written)
    return 100 * right / total, errors.rate


class PromptedListener(Listener):
    """Takes prompts as text."""

    def text_after(self, view: object, prompt: str) -> str:
        """What was said, after a prompt of any form."""
        tokenizer = self._tokenizer
        tokens = list(tokenizer.encode(" " + prompt))[-223:]
        start = [tokenizer.sot_prev, *tokens, *tokenizer.sot_sequence, tokenizer.no_timestamps]
        result = self._model.model.generate(
            view, [start], beam_size=5, max_length=448, suppress_blank=True, suppress_tokens=[]
        )
        return tokenizer.decode([t for t in result[0].sequences_ids[0] if t != tokenizer.eot])


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "model")
    parser.add_argument("--lines", type=int, default=80)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    clips, others = make_clips(given.lines, random.Random(3))
    listener = PromptedListener(given.model, given.threads)
    views = [listener.encode(clip.sound) for clip in clips]

    def row(form: Form, count: int, order: str) -> str:
        prompts = [
            form(arranged(clip, count, order, others, f"{n} {count}"))
            for n, clip in enumerate(clips)
        ]
        right, wrong = score(listener, views, clips, prompts)
        return f"{right:.0f} / {wrong:.1f}"

    names = sum(len(clip.names) for clip in clips)
    print(f"names right % / word error %, {given.lines} lines, {names} names\n")
    print("| form, spoken last | " + " | ".join(f"{n} terms" for n in COUNTS) + " |")
    print("|---" * (len(COUNTS) + 1) + "|")
    for label, form in FORMS.items():
        print(
            f"| {label} | " + " | ".join(row(form, n, ORDERS[0]) for n in COUNTS) + " |", flush=True
        )
    print("\n| order of a bare list | " + " | ".join(f"{n} terms" for n in COUNTS) + " |")
    print("|---" * (len(COUNTS) + 1) + "|")
    for order in ORDERS:
        cells = " | ".join(row(FORMS["a, b, c"], n, order) for n in COUNTS)
        print(f"| {order} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
