"""What a recognizer is refused for, before anything is decoded, and what the user is told."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from longscribe.config import BiasMode, Options
from longscribe.core.refusals import PROMPTS, TRANSLATE, WORD_TIMES, check_capabilities, demands
from longscribe.errors import RecognizerError
from longscribe.ports import Capabilities

ABLE = Capabilities(
    prompts=True, word_times=True, scoring=True, batching=True, translate=True,
    languages=("de", "en"),
)  # fmt: skip
UNABLE = replace(
    ABLE, prompts=False, word_times=False, scoring=False, batching=False, translate=False
)


def needed(**changes: Any) -> tuple[str, ...]:
    """Return what a job with these options demands."""
    given = {"glossary": Path("names.txt"), "bias": "off", "word_timestamps": False, **changes}
    options = Options(model="any", **given)
    return demands(options.decode_settings, options.bias_settings.mode)


def refusal(capabilities: Capabilities, *wanted: str, language: str | None = None) -> str:
    """Return what the user is told."""
    with pytest.raises(RecognizerError) as caught:
        check_capabilities(capabilities, "mumbler", wanted, language)
    return str(caught.value)


# --- what is demanded --------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ()),
        ({"bias": "prompt"}, (PROMPTS,)),
        ({"bias": "prompt", "glossary": None}, ()),
        ({"initial_prompt": "A lecture."}, (PROMPTS,)),
        ({"bias": "verify"}, (WORD_TIMES,)),  # it makes do without prompts
        ({"word_timestamps": True}, (WORD_TIMES,)),
        ({"task": "translate"}, (TRANSLATE,)),
        (
            {"task": "translate", "bias": "prompt", "word_timestamps": True},
            (PROMPTS, WORD_TIMES, TRANSLATE),
        ),
    ],
)
def test_a_job_demands_what_its_options_need_and_no_more(changes, expected):
    assert needed(**changes) == expected


def test_every_demand_is_a_capability():
    everything = needed(task="translate", bias="prompt", word_timestamps=True)
    assert set(everything) <= {field.name for field in fields(Capabilities)}


# --- what is refused ---------------------------------------------------------------


def test_a_recognizer_that_takes_no_prompts_is_refused_bias_prompt():
    told = refusal(replace(ABLE, prompts=False), *needed(bias="prompt"))
    assert told.startswith("The recognizer 'mumbler' with this model can't take a prompt.")
    assert "Use --bias verify or leave out --glossary" in told
    assert "or choose another recognizer or model" in told


def test_it_is_refused_an_initial_prompt_too():
    told = refusal(replace(ABLE, prompts=False), *needed(initial_prompt="A lecture."))
    assert "leave out --initial-prompt" in told


def test_it_may_verify():
    check_capabilities(replace(ABLE, prompts=False), "mumbler", needed(bias="verify"), "en")


@pytest.mark.parametrize("changes", [{"bias": "verify"}, {"word_timestamps": True}])
def test_a_recognizer_without_word_times_is_refused_what_needs_them(changes):
    told = refusal(replace(ABLE, word_times=False), *needed(**changes))
    assert "can't give word times. Use --no-word-timestamps and no --bias verify, or" in told


def test_a_recognizer_that_does_not_translate_is_refused_that():
    told = refusal(replace(ABLE, translate=False), *needed(task="translate"))
    assert "can't translate. Use --task transcribe, or" in told


def test_a_language_that_the_model_does_not_know_is_refused_with_those_it_knows():
    assert refusal(ABLE, language="sv") == (
        "This model does not know the language 'sv'. It knows: de, en."
    )


def test_what_was_not_asked_for_may_be_missing():
    check_capabilities(UNABLE, "mumbler", needed(), None)
    check_capabilities(UNABLE, "mumbler", needed(), "de")


def test_a_recognizer_that_can_do_all_is_never_refused():
    for mode in BiasMode:
        wanted = needed(task="translate", bias=mode, word_timestamps=True, initial_prompt="x")
        check_capabilities(ABLE, "mumbler", wanted, "en")
