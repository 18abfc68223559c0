"""Keys: whatever shaped a result is in its key, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from longscribe.config import (
    Chunking,
    DecodeSettings,
    Options,
    PlanSettings,
    RecognizerSettings,
    SpeechSettings,
    Task,
)
from longscribe.core.keys import digest, language_key, plan_key, result_key
from longscribe.types import WindowBias
from tests.core.plans import chunk

OPTIONS = Options()
SPEECH, PLAN = OPTIONS.speech_settings, OPTIONS.plan_settings
ENGINE = OPTIONS.recognizer_settings
DECODE = replace(OPTIONS.decode_settings, language="en")
CHUNK = chunk(0, 160000, (10, 40000), (50000, 90000))
BIASES = (
    WindowBias(bias_window_id=0, terms=("Foo", "Bar")),
    WindowBias(bias_window_id=1, terms=("Foo",)),
)


def key(
    plan=CHUNK, audio="audio", engine=ENGINE, model="model", decoding=(DECODE, BIASES), verifying=()
) -> str:
    return result_key(plan, audio, engine, model, (*decoding, verifying))


def changed(value: object) -> object:
    """Return another value of the same kind."""
    match value:
        case bool():
            return not value
        case Task():
            return Task.TRANSLATE
        case str():
            return value + "x"
        case int() | float():
            return value + 1
    return "de"


OTHER_KEYS = [
    key(plan=replace(CHUNK, chunk_id=1)),
    key(plan=replace(CHUNK, windows=CHUNK.windows[:1])),
    key(plan=chunk(0, 160000, (10, 40001), (50000, 90000))),
    key(audio="other"),
    key(model="other"),
    key(engine=replace(ENGINE, name="other")),
    key(engine=replace(ENGINE, device="cuda")),
    key(engine=replace(ENGINE, compute_type="int8")),
    key(verifying=("letters",)),
    key(decoding=(DECODE, BIASES[::-1])),
    key(decoding=(DECODE, BIASES[:1])),
    key(decoding=(DECODE, (replace(BIASES[0], terms=("Bar", "Foo")), BIASES[1]))),
    key(decoding=(DECODE, (replace(BIASES[0], bias_window_id=5), BIASES[1]))),
    *(
        key(decoding=(replace(DECODE, **{each.name: changed(getattr(DECODE, each.name))}), BIASES))
        for each in fields(DecodeSettings)
        if each.name != "prompt_group"
    ),
]


def test_each_ingredient_changes_the_key():
    assert len({key(), *OTHER_KEYS}) == len(OTHER_KEYS) + 1


def test_the_number_of_threads_does_not():
    assert key(engine=replace(ENGINE, cpu_threads=8)) == key()


def test_equal_ingredients_give_equal_keys():
    copies = tuple(replace(bias) for bias in BIASES)
    assert key(decoding=(replace(DECODE), list(copies))) == key()


def test_each_setting_changes_the_plans_key():
    plain = plan_key("f", None, SPEECH, PLAN, mps=False)
    others = [
        plan_key("g", None, SPEECH, PLAN, mps=False),
        plan_key("f", 0, SPEECH, PLAN, mps=False),
        plan_key("f", 1, SPEECH, PLAN, mps=False),
        plan_key("f", None, SPEECH, PLAN, mps=True),
    ]
    for each in fields(SpeechSettings):
        other = replace(SPEECH, **{each.name: changed(getattr(SPEECH, each.name))})
        others.append(plan_key("f", None, other, PLAN, mps=False))
    for each in fields(PlanSettings):
        other_plan = replace(PLAN, **{each.name: changed(getattr(PLAN, each.name))})
        others.append(plan_key("f", None, SPEECH, other_plan, mps=False))
    assert len({plain, *others}) == len(others) + 1


def test_what_is_decoded_together_does_not_change_the_key():
    """Memory decides about it in the course of a job, and it changes no result."""
    assert key(decoding=(replace(DECODE, prompt_group=1), BIASES)) == key()


def test_a_language_belongs_to_a_plan_and_a_model():
    assert len({language_key("p", "m"), language_key("q", "m"), language_key("p", "n")}) == 3


def test_keys_of_different_things_never_meet():
    assert digest("plan", "x") != digest("language", "x") != digest(["plan", "x"])
    assert digest("ab", "c") != digest("a", "bc")
    assert digest(1) != digest("1")


def test_known_values():
    """Work that lies in a journal is found again by a later version only if these stay."""
    assert digest("plan", 1, 2.5, None, True, ["é"]) == "0baf08568a74eedea3e313d4af9d6048"
    assert language_key("p", "m") == "eb5aecda0f4550da49fce65ff8b44993"


# Every setting is written out: another default is no other key for the same settings.
PINNED_SPEECH = SpeechSettings(
    threshold=0.5, end_threshold=0.35, min_speech=4000, min_silence=1600, padding=6400
)
PINNED_PLAN = PlanSettings(
    chunking=Chunking.ON, chunk_length=4_800_000, first_chunk_length=960_000, reach=0.25,
    single_chunk_limit=7_200_000, window_length=480_000, bridge=32_000, seam_overlap=16_000,
)  # fmt: skip
PINNED_ENGINE = RecognizerSettings(
    name="faster-whisper", model="m", device="cpu", compute_type="int8", cpu_threads=2
)
PINNED_DECODE = DecodeSettings(
    language="en", task=Task.TRANSCRIBE, batch_size=8, beam_size=5, word_times=True,
    initial_prompt="A play.", prompt_tokens=223, repetition_penalty=1.0, no_repeat_ngram=0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("found", "pinned"),
    [
        pytest.param(
            plan_key("media", None, PINNED_SPEECH, PINNED_PLAN, mps=False),
            "668e0d25d57e4d9d8920fb79ff0ac70f",
            id="plan_key",
        ),
        pytest.param(
            key(engine=PINNED_ENGINE, decoding=(PINNED_DECODE, BIASES)),
            "ecea93099f71373a9e84c9590d144bce",
            id="result_key",
        ),
    ],
)
def test_what_is_hashed_changes_only_on_purpose(found: str, pinned: str) -> None:
    assert found == pinned, (
        "What is hashed has changed, and with it the key: users' work in progress is redone. "
        f"Add to it, or raise KEY_VERSION, only on purpose; then pin {found} here."
    )


def test_keys_are_the_same_in_another_process():
    program = "from tests.core.test_keys import key; print(key())"
    said = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert said.stdout.strip() == key()


@pytest.mark.parametrize("value", [{1, 2}, object(), b"x"])
def test_what_has_no_stable_form_is_refused(value):
    with pytest.raises(TypeError):
        digest(value)
