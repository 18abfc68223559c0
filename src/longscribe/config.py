"""Settings: the only place with a default.

`Options` is what a user may say, on the command line, in the environment
(`LONGSCRIBE_…`) or from a program. Its properties hand each stage the frozen
settings it needs; those have no defaults of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from longscribe.errors import UsageError
from longscribe.languages import LANGUAGES
from longscribe.paths import absolute
from longscribe.sizes import parse_size
from longscribe.types import SAMPLE_RATE, to_samples


class Chunking(StrEnum):
    AUTO = "auto"
    ON = "on"
    OFF = "off"


class Isolation(StrEnum):
    ON = "on"
    OFF = "off"


class Task(StrEnum):
    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"


class BiasMode(StrEnum):
    """How a glossary is used."""

    OFF = "off"
    PROMPT = "prompt"
    """Terms stand in the prompt of every window."""
    VERIFY = "verify"
    """Heard without a prompt first; terms are proposed where they fit, and verified."""


class PronouncerName(StrEnum):
    AUTO = "auto"
    ESPEAK_NG = "espeak-ng"
    LETTERS = "letters"


class OutputFormat(StrEnum):
    SRT = "srt"
    VTT = "vtt"
    JSON = "json"
    TXT = "txt"
    TSV = "tsv"


def text_language(task: Task, spoken: str | None) -> str | None:
    """Return the language that the text is in; None while that is not known."""
    return "en" if task is Task.TRANSLATE else spoken


# --- what each stage is given ----------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SpeechSettings:
    """How frame probabilities become speech spans. Lengths in samples."""

    threshold: float
    """Probability at which speech begins."""
    end_threshold: float
    """Probability under which speech may end."""
    min_speech: int
    min_silence: int
    padding: int
    """Kept on both sides of speech, at most half of the pause."""


@dataclass(frozen=True, kw_only=True)
class PlanSettings:
    """How the recording is cut. Lengths in samples."""

    chunking: Chunking
    chunk_length: int
    """Target length of a chunk."""
    first_chunk_length: int
    """Target of the first chunk, doubled for each next one up to `chunk_length`,
    so that the first words appear early."""
    reach: float
    """How far from the target a cut may fall, as a share of the target."""
    single_chunk_limit: int
    """Shorter files stay whole under `Chunking.AUTO`."""
    window_length: int
    """Most audio in one decode window (30 s, Whisper's input)."""
    bridge: int
    """Longest pause kept inside a window."""
    seam_overlap: int
    """How far neighbours reach over a cut that falls in speech."""


@dataclass(frozen=True, kw_only=True)
class RecognizerSettings:
    """Which engine and model, and where they run."""

    name: str
    model: str
    device: str
    compute_type: str
    cpu_threads: int
    """0 lets the engine choose."""
    align_model: str = "auto"
    """As `Options.align_model`. The default is for tasks that older journals hold."""


@dataclass(frozen=True, kw_only=True)
class DecodeSettings:
    """How windows are decoded."""

    language: str | None
    task: Task
    batch_size: int
    beam_size: int
    word_times: bool
    initial_prompt: str
    prompt_tokens: int
    """Most tokens of prompt before `<|startoftranscript|>`."""
    repetition_penalty: float
    """Over 1 makes tokens that were written before less likely."""
    no_repeat_ngram: int
    """No run of this many tokens is written twice; 0 allows it."""
    prompt_group: int | None = None
    """Windows whose prompts are brought to one length; None: those decoded together. So a batch
    that had to be made smaller gets the same prompts. The default is for tasks that older journals
    hold."""


@dataclass(frozen=True, kw_only=True)
class BiasSettings:
    """How terms are chosen over time, and verified. Lengths in samples."""

    mode: BiasMode
    window: int
    stride: int
    max_terms: int
    pronouncer: PronouncerName
    second_pass: bool
    """Decode windows that seem to hold a term again, prompted. Off only in ablations."""
    retrieval: bool
    """Propose terms that sound like what was heard. Off only in ablations."""
    acoustics: bool
    """Let the acoustics decide. Off only in ablations."""
    recurrence: bool
    """Let it count where else in the chunk a term sounds nearest. Off only in ablations."""


@dataclass(frozen=True, kw_only=True)
class DeadlineSettings:
    """When a child is taken to hang. Seconds without progress."""

    floor: float
    """Never less than this."""
    first: float
    """While no batch has been measured yet."""
    factor: float
    """Times the expected duration of a batch."""
    load: float
    """For loading a model."""


@dataclass(frozen=True, kw_only=True)
class MemorySettings:
    """What a worker may hold. Amounts in bytes."""

    limit: int | None
    """By the user; None: none was named."""
    guarded: bool
    """Whether there is a limit by the device's own size where the user names none."""
    growth: int | None
    """Growth after which a worker is replaced; None: never for that."""
    shared_by: int
    """Workers that share a device."""
    replaceable: bool
    """Whether the end of a worker gives its memory back: not where it is a thread of ours."""
    sample_every: float
    """Seconds between two readings while a worker decodes; 0: only at batches and chunks."""


@dataclass(frozen=True, kw_only=True)
class RetrySettings:
    """How failed attempts are followed up."""

    max_attempts: int
    """At one chunk, or one part of a split chunk."""
    delay: float
    """Seconds before the second attempt."""
    job_timeout: float
    """Seconds without any progress of the job as a whole."""


# --- what a user may say ---------------------------------------------------

DEFAULT_BATCH = 8
"""Windows decoded together where nobody says otherwise and memory allows."""
OFF, AUTO = "off", "auto"

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


class Options(BaseSettings):
    """Everything a user may set, with its default.

    Values come from the arguments, then from the environment
    (`LONGSCRIBE_CHUNK_DURATION=120`), then from the defaults below.
    Durations are in seconds.

    Raises:
        UsageError: from `Options.build`, naming each bad value.
    """

    model_config = SettingsConfigDict(
        env_prefix="LONGSCRIBE_",
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        allow_inf_nan=False,
        env_ignore_empty=True,
    )

    # media
    audio_track: int | None = Field(None, ge=0)
    # plan
    chunking: Chunking = Field(
        Chunking.AUTO,
        validation_alias=AliasChoices("LONGSCRIBE_CHUNKING", "ASR_USE_CHUNKING"),
    )
    chunk_duration: float = Field(300.0, ge=60, le=900)
    # speech
    vad_threshold: float = Field(0.5, ge=0.05, lt=1)
    # recognizer
    recognizer: str = "auto"
    model: str = Field("large-v3-turbo", min_length=1)
    device: str = "auto"
    compute_type: str = "default"
    cpu_threads: int = Field(0, ge=0)
    align_model: str = Field("auto", min_length=1)
    language: str | None = None
    task: Task = Task.TRANSCRIBE
    batch_size: int | None = Field(None, ge=1, le=256)
    beam_size: int = Field(5, ge=1, le=32)
    word_timestamps: bool = True
    # bias
    glossary: Path | None = None
    bias: BiasMode = BiasMode.VERIFY
    pronouncer: PronouncerName = PronouncerName.AUTO
    learn_glossary: Path | None = None
    initial_prompt: str = ""
    bias_window: float = Field(45.0, ge=1, le=3600)
    bias_stride: float = Field(15.0, ge=1, le=3600)
    # 223 is half of Whisper's 448 positions less `<|startofprev|>`; past that
    # the answer has too little room (anchors: openai/whisper, faster-whisper).
    prompt_tokens: int = Field(223, ge=0, le=223)
    max_terms: int = Field(20, ge=0, le=200)
    # safety
    workers: int | None = Field(None, ge=1, le=64)
    isolation: Isolation = Field(
        Isolation.ON,
        validation_alias=AliasChoices("LONGSCRIBE_ISOLATION", "ASR_USE_SUBPROCESS"),
    )
    memory_limit: str = AUTO
    recycle_after: str = "1GB"
    deadline: float = Field(60.0, gt=0, le=86400)
    max_attempts: int = Field(12, ge=1, le=100)
    retry_delay: float = Field(1.0, ge=0, le=60)
    job_timeout: float = Field(4 * 3600.0, gt=0, le=7 * 86400)
    # outputs
    output_dir: Path | None = None
    output_format: Annotated[tuple[OutputFormat, ...], NoDecode] = tuple(OutputFormat)
    overwrite: bool = False
    job_dir: Path | None = None
    keep_audio: bool = False

    @classmethod
    def build(cls, **values: Any) -> Options:
        """Return options from `values`, leaving out those that are None.

        Raises:
            UsageError: a value is out of range, of the wrong kind or unknown.
        """
        try:
            return cls(**{name: value for name, value in values.items() if value is not None})
        except ValidationError as error:
            raise UsageError("; ".join(_say(problem) for problem in error.errors())) from None

    @field_validator("chunking", "isolation", mode="before")
    @classmethod
    def _from_switch(cls, value: Any) -> Any:
        """`ASR_USE_CHUNKING=false` is the older way to say `off`."""
        switches = {"true": "on", "1": "on", "yes": "on", "false": "off", "0": "off", "no": "off"}
        return switches.get(str(value).lower(), value)

    @field_validator("language")
    @classmethod
    def _known_language(cls, value: str | None) -> str | None:
        if value is None or value.lower() == "auto":
            return None
        code = LANGUAGES.by_name.get(value.lower(), value.lower())
        if code not in LANGUAGES.by_code:
            raise ValueError(f"unknown language {value!r}; use a code such as en, de, fr or a name")
        return code

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if not _DEVICE.fullmatch(value):
            raise ValueError(f"unknown device {value!r}; use auto, cpu, cuda, cuda:N or mps")
        return value

    @field_validator("memory_limit", "recycle_after", mode="before")
    @classmethod
    def _amount(cls, value: Any, info: ValidationInfo) -> Any:
        text = str(value).strip()
        words = (AUTO, OFF) if info.field_name == "memory_limit" else (OFF,)
        if text.lower() in words:
            return text.lower()
        try:
            parse_size(text)
        except ValueError as error:
            option = str(info.field_name).replace("_", "-")
            raise ValueError(f"--{option}: {error}, or {' or '.join(words)}") from None
        return text

    @field_validator("output_format", mode="before")
    @classmethod
    def _formats(cls, value: Any) -> Any:
        """Accept one name, several, a comma-separated list or `all`; keep each once."""
        given = [value] if isinstance(value, str) else value
        if not isinstance(given, (list, tuple)) or not all(isinstance(one, str) for one in given):
            raise ValueError(f"output formats are names, got {value!r}")
        names = [name.strip() for one in given for name in one.split(",")]
        if "all" in names:
            return tuple(OutputFormat)
        return tuple(dict.fromkeys(names))

    @model_validator(mode="after")
    def _stride_within_window(self) -> Options:
        if self.bias_stride > self.bias_window:
            raise ValueError(
                f"bias stride {self.bias_stride:g} s is longer than the bias window "
                f"{self.bias_window:g} s; parts of the media would have no window"
            )
        return self

    @model_validator(mode="after")
    def _can_limit_memory(self) -> Options:
        if self.isolation is Isolation.OFF and self.memory_limit not in {AUTO, OFF}:
            raise ValueError(
                "--memory-limit needs workers that can be ended; leave out --isolation off"
            )
        recycles = self.recycle_after != type(self).model_fields["recycle_after"].default
        if self.isolation is Isolation.OFF and recycles and self.recycle_after != OFF:
            raise ValueError(
                "--recycle-after needs workers that can be replaced; leave out --isolation off"
            )
        return self

    @model_validator(mode="after")
    def _bias_has_room(self) -> Options:
        has_terms = self.glossary is not None or self.learn_glossary is not None
        none_fit = 0 in (self.prompt_tokens, self.max_terms)
        if has_terms and self.bias is BiasMode.PROMPT and none_fit:
            raise ValueError(
                "--bias prompt with --prompt-tokens 0 or --max-terms 0 would change nothing; "
                "leave out one of them"
            )
        if has_terms and self.bias is BiasMode.VERIFY and self.prompt_tokens == 0:
            raise ValueError(
                "--prompt-tokens 0 leaves no room for the terms with which --bias verify decodes "
                "again; leave it out, or say --bias off"
            )
        if self.initial_prompt.strip() and self.prompt_tokens == 0:
            raise ValueError("--initial-prompt with --prompt-tokens 0 would change nothing")
        return self

    @model_validator(mode="after")
    def _can_learn(self) -> Options:
        if self.learn_glossary is None:
            return self
        if self.learn_glossary.suffix.lower() != ".csv":
            raise ValueError(
                f"--learn-glossary writes a table, whose name ends with .csv, "
                f"got {self.learn_glossary.name!r}"
            )
        if not self.word_timestamps:
            raise ValueError(
                "--learn-glossary needs to know how sure each word is, which comes with its time; "
                "leave out --no-word-timestamps"
            )
        if self.glossary is not None and absolute(self.glossary) == absolute(self.learn_glossary):
            raise ValueError(
                "--glossary and --learn-glossary name the same file; learnt terms need one of "
                "their own"
            )
        return self

    @property
    def speech_settings(self) -> SpeechSettings:
        return SpeechSettings(
            threshold=self.vad_threshold,
            # Silero's own hysteresis: 0.15 under the threshold.
            end_threshold=max(self.vad_threshold - 0.15, 0.01),
            min_speech=to_samples(0.096),
            min_silence=to_samples(0.256),
            padding=to_samples(0.2),
        )

    @property
    def plan_settings(self) -> PlanSettings:
        return PlanSettings(
            chunking=self.chunking,
            chunk_length=to_samples(self.chunk_duration),
            # Four full windows: enough to tell the language, soon enough to see words.
            first_chunk_length=120 * SAMPLE_RATE,
            reach=0.2,
            single_chunk_limit=600 * SAMPLE_RATE,
            window_length=30 * SAMPLE_RATE,
            bridge=to_samples(3.0),
            seam_overlap=to_samples(1.0),
        )

    @property
    def recognizer_settings(self) -> RecognizerSettings:
        return RecognizerSettings(
            name=self.recognizer,
            model=self.model,
            device=self.device,
            compute_type=self.compute_type,
            cpu_threads=self.cpu_threads,
            # Without words in the result, their times need not be better than attention gives.
            align_model=self.align_model if self.word_timestamps else "none",
        )

    @property
    def decode_settings(self) -> DecodeSettings:
        return DecodeSettings(
            language=self.language,
            task=self.task,
            batch_size=self.batch_size or DEFAULT_BATCH,
            beam_size=self.beam_size,
            word_times=self.word_timestamps,
            initial_prompt=self.initial_prompt.strip(),
            prompt_tokens=self.prompt_tokens,
            repetition_penalty=1.0,
            no_repeat_ngram=0,
            prompt_group=self.batch_size or DEFAULT_BATCH,
        )

    @property
    def deadline_settings(self) -> DeadlineSettings:
        return DeadlineSettings(
            floor=self.deadline,
            # Half an hour for a first batch: eight windows on a CPU at an eighth of real time.
            first=max(self.deadline, 1800.0),
            # A hang is noticed within three times the expected time, ticks included.
            factor=2.5,
            load=max(self.deadline, 900.0),
        )

    @property
    def memory_settings(self) -> MemorySettings:
        apart = self.isolation is Isolation.ON
        return MemorySettings(
            limit=None if self.memory_limit in {AUTO, OFF} else parse_size(self.memory_limit),
            guarded=self.memory_limit != OFF,
            growth=None if self.recycle_after == OFF else parse_size(self.recycle_after),
            shared_by=self.workers or 1,
            replaceable=apart,
            sample_every=2.0 if apart else 0.0,
        )

    @property
    def retry_settings(self) -> RetrySettings:
        return RetrySettings(
            max_attempts=self.max_attempts,
            delay=self.retry_delay,
            job_timeout=self.job_timeout,
        )

    @property
    def bias_settings(self) -> BiasSettings:
        return BiasSettings(
            mode=self.bias if self.glossary is not None else BiasMode.OFF,
            pronouncer=self.pronouncer,
            second_pass=True,
            retrieval=True,
            acoustics=True,
            recurrence=True,
            window=to_samples(self.bias_window),
            stride=to_samples(self.bias_stride),
            max_terms=self.max_terms,
        )


def _say(problem: Any) -> str:
    """Return one pydantic problem as a clause a person can read."""
    name = str(problem["loc"][0]) if problem["loc"] else ""
    if name and not name.isupper():  # else it is the name of an environment variable
        name = "--" + name.replace("_", "-")
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return f"there is no option {name}"
    if not problem["loc"] or problem["type"] == "value_error":
        return message
    return f"{name}: {message}, got {problem['input']!r}"
