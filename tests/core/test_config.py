"""Settings: one default in one place, and one clear error for each bad value."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from pathlib import Path

import pytest

from longscribe import config
from longscribe.cli import main as cli
from longscribe.config import Chunking, Isolation, Options, OutputFormat, Task
from longscribe.errors import UsageError
from longscribe.types import to_samples

STAGES = [
    value
    for value in vars(config).values()
    if inspect.isclass(value)
    and value.__name__.endswith("Settings")
    and dataclasses.is_dataclass(value)
]


# --- defaults -----------------------------------------------------------------


LATER = {"RecognizerSettings.align_model", "DecodeSettings.prompt_group"}
"""Which the tasks that older journals hold do not have."""


def test_stage_settings_have_no_defaults():
    assert len(STAGES) >= 5
    for stage in STAGES:
        for each in dataclasses.fields(stage):
            name = f"{stage.__name__}.{each.name}"
            assert (each.default is dataclasses.MISSING) == (name not in LATER), name
            assert each.default_factory is dataclasses.MISSING, f"{stage.__name__}.{each.name}"


def test_the_command_line_has_no_defaults_of_its_own():
    """What the user leaves out is None there, so that `Options` decides."""
    tree = ast.parse(Path(inspect.getfile(cli)).read_text(encoding="utf-8"))
    (command,) = (
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == "transcribe"
    )
    names = [arg.arg for arg in command.args.args + command.args.kwonlyargs]
    given = [*command.args.defaults, *command.args.kw_defaults]
    defaults = dict(zip(reversed(names), reversed(given), strict=False))
    settable = set(names) & set(Options.model_fields)
    assert len(settable) > 15
    for name in settable:
        default = defaults[name]
        assert isinstance(default, ast.Constant), name
        assert default.value is None, name


def test_every_option_can_be_given_on_the_command_line():
    known = set(inspect.signature(cli.transcribe).parameters)
    assert set(Options.model_fields) - known <= {"vad_threshold"}


def test_settings_are_handed_on_in_samples():
    options = Options.build(
        chunk_duration=120, bias_window=30, bias_stride=10, vad_threshold=0.6, beam_size=3
    )
    assert options.plan_settings.chunk_length == to_samples(120)
    assert options.bias_settings.window == to_samples(30)
    assert options.bias_settings.stride == to_samples(10)
    assert options.speech_settings.threshold == 0.6
    assert options.speech_settings.end_threshold < 0.6
    assert options.decode_settings.beam_size == 3
    assert options.plan_settings.window_length == to_samples(30)


def test_options_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Options.build().model = "other"  # type: ignore[misc]


def test_values_left_out_or_none_are_the_defaults():
    assert Options.build(model=None, batch_size=None, language=None) == Options.build() == Options()


# --- good values ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("language", "auto", None),
        ("language", "EN", "en"),
        ("language", "German", "de"),
        ("language", "haitian creole", "ht"),
        ("language", "castilian", "es"),
        ("device", "cuda:1", "cuda:1"),
        ("task", "translate", Task.TRANSLATE),
        ("chunking", True, Chunking.ON),
        ("chunking", "No", Chunking.OFF),
        ("chunking", "auto", Chunking.AUTO),
        ("isolation", False, Isolation.OFF),
        ("chunk_duration", 60, 60.0),
        ("chunk_duration", 900, 900.0),
        ("output_format", "srt", (OutputFormat.SRT,)),
        ("output_format", "vtt, srt,vtt", (OutputFormat.VTT, OutputFormat.SRT)),
        ("output_format", ["txt", "json"], (OutputFormat.TXT, OutputFormat.JSON)),
        ("output_format", ["srt", "all"], tuple(OutputFormat)),
    ],
)
def test_good_values(name, value, wanted):
    assert getattr(Options.build(**{name: value}), name) == wanted


# --- bad values -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("audio_track", -1, "--audio-track"),
        ("audio_track", "first", "--audio-track"),
        ("chunking", "sometimes", "'auto', 'on' or 'off', got 'sometimes'"),
        ("chunk_duration", 59.9, "--chunk-duration"),
        ("chunk_duration", 901, "--chunk-duration"),
        ("chunk_duration", float("nan"), "--chunk-duration"),
        ("vad_threshold", 0, "--vad-threshold"),
        ("vad_threshold", 1, "--vad-threshold"),
        ("device", "tpu", "unknown device 'tpu'; use auto, cpu, cuda, cuda:N"),
        ("device", "cuda:", "unknown device 'cuda:'"),
        ("device", "cpu ", "unknown device"),
        ("cpu_threads", -1, "--cpu-threads"),
        ("language", "klingon", "unknown language 'klingon'"),
        ("task", "summarise", "--task"),
        ("batch_size", 0, "--batch-size"),
        ("batch_size", 1.5, "--batch-size"),
        ("batch_size", "many", "--batch-size"),
        ("beam_size", 33, "--beam-size"),
        ("word_timestamps", "perhaps", "--word-timestamps"),
        ("glossary", 5, "--glossary"),
        ("initial_prompt", 5, "--initial-prompt"),
        ("bias_window", 0, "--bias-window"),
        ("bias_window", 5, "stride 15 s is longer than the bias window 5 s"),
        ("bias_stride", -1, "--bias-stride"),
        ("prompt_tokens", 224, "--prompt-tokens"),
        ("max_terms", 201, "--max-terms"),
        ("output_format", "doc", "got 'doc'"),
        ("output_format", ["srt", None], "output formats are names"),
        ("max_attempts", 0, "--max-attempts"),
        ("isolation", "maybe", "'on' or 'off', got 'maybe'"),
        ("colour", "red", "there is no option --colour"),
    ],
)
def test_each_bad_value_is_one_clear_error(name, value, said):
    with pytest.raises(UsageError) as error:
        Options.build(**{name: value})
    assert said in error.value.found
    assert "\n" not in error.value.found
    assert "Value error" not in error.value.found
    assert "pydantic" not in str(error.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"bias": "prompt", "max_terms": 0}, "would change nothing"),
        ({"bias": "prompt", "prompt_tokens": 0}, "would change nothing"),
        ({"prompt_tokens": 0}, "leaves no room"),
        ({"bias": "guess"}, "--bias"),
        ({"pronouncer": "aloud"}, "--pronouncer"),
        ({"learn_glossary": "learnt.txt"}, "ends with .csv, got 'learnt.txt'"),
        ({"learn_glossary": "learnt.csv", "word_timestamps": False}, "--no-word-timestamps"),
        ({"learn_glossary": Path("names.csv").absolute()}, "the same file"),
    ],
)
def test_a_glossary_that_could_not_be_used_as_asked_is_refused(values, said):
    with pytest.raises(UsageError) as error:
        Options.build(glossary="names.csv", **values)
    assert said in error.value.found


@pytest.mark.parametrize(
    "values",
    [
        {"glossary": "names.txt", "max_terms": 0},  # verifying does not look at it
        {"glossary": "names.txt", "bias": "off", "prompt_tokens": 0},
        {"bias": "prompt"},
        {"bias": "verify", "pronouncer": "letters", "prompt_tokens": 0},
        {"learn_glossary": "learnt.CSV", "bias": "off"},
    ],
)
def test_what_has_no_effect_on_a_glossary_is_no_error(values):
    Options.build(**values)


def test_all_bad_values_are_named_at_once():
    with pytest.raises(UsageError) as error:
        Options.build(batch_size=0, beam_size=99, device="tpu")
    for said in ("--batch-size", "--beam-size", "tpu"):
        assert said in error.value.found


# --- the environment --------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "name", "wanted"),
    [
        ("LONGSCRIBE_MODEL", "small", "model", "small"),
        ("LONGSCRIBE_BATCH_SIZE", "4", "batch_size", 4),
        ("LONGSCRIBE_CHUNK_DURATION", "120", "chunk_duration", 120.0),
        (
            "LONGSCRIBE_OUTPUT_FORMAT",
            "srt,json",
            "output_format",
            (OutputFormat.SRT, OutputFormat.JSON),
        ),
        ("LONGSCRIBE_OUTPUT_DIR", "/tmp/out", "output_dir", Path("/tmp/out")),
        ("LONGSCRIBE_KEEP_AUDIO", "true", "keep_audio", True),
        ("LONGSCRIBE_LANGUAGE", "french", "language", "fr"),
        ("LONGSCRIBE_CHUNKING", "on", "chunking", Chunking.ON),
        ("ASR_USE_CHUNKING", "false", "chunking", Chunking.OFF),
        ("ASR_USE_CHUNKING", "True", "chunking", Chunking.ON),
        ("ASR_USE_CHUNKING", "0", "chunking", Chunking.OFF),
        ("ASR_USE_SUBPROCESS", "false", "isolation", Isolation.OFF),
        ("LONGSCRIBE_ISOLATION", "off", "isolation", Isolation.OFF),
    ],
)
def test_environment(monkeypatch, variable, value, name, wanted):
    monkeypatch.setenv(variable, value)
    assert getattr(Options.build(), name) == wanted


def test_arguments_win_over_the_environment_and_newer_names_over_older(monkeypatch):
    monkeypatch.setenv("LONGSCRIBE_MODEL", "small")
    monkeypatch.setenv("ASR_USE_CHUNKING", "false")
    assert Options.build(model="tiny", chunking="on").model == "tiny"
    assert Options.build(model="tiny", chunking="on").chunking is Chunking.ON
    monkeypatch.setenv("LONGSCRIBE_CHUNKING", "auto")
    assert Options.build().chunking is Chunking.AUTO


@pytest.mark.parametrize(
    ("variable", "value"),
    [("LONGSCRIBE_BATCH_SIZE", "x"), ("ASR_USE_CHUNKING", "perhaps"), ("LONGSCRIBE_TASK", "dance")],
)
def test_a_bad_value_in_the_environment_is_an_error_too(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match=f"got '{value}'"):
        Options.build()
