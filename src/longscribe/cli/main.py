"""The command `longscribe`. Thin: it reads arguments, calls the API and shows events."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from longscribe import __version__
from longscribe.cli.batch import transcribe_all
from longscribe.cli.bias_reporting import print_bias_report
from longscribe.cli.doctoring import print_checkup
from longscribe.cli.ending import run
from longscribe.cli.inspecting import print_inspection, print_status
from longscribe.cli.installing import install_engine, list_environments, remove_environment
from longscribe.cli.modelling import models_app
from longscribe.cli.replaying import print_replay
from longscribe.cli.signals import set_up_signals
from longscribe.cli.terminal import hold_standard_streams
from longscribe.config import (
    DEFAULT_BATCH,
    BiasMode,
    Chunking,
    Isolation,
    Options,
    OutputFormat,
    PronouncerName,
    Task,
)
from longscribe.errors import UsageError
from longscribe.trust import Named

app = typer.Typer(
    name="longscribe",
    help="Transcribe hours of speech without losing the work, with the names spelt right.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(models_app, name="models")

_DEFAULTS = Options.model_fields
_ENGINE, _TEXT, _NAMES, _FILES = "Engine", "Text", "Names", "Files"
_CUTS, _SAFETY = "How the recording is cut", "Safety"


def _default(name: str) -> str:
    """Return an option's default for the help: defaults stand in config.py only."""
    value = _DEFAULTS[name].default
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _help(name: str, text: str) -> str:
    return f"{text} [dim]\\[default: {_default(name)}][/dim]"


@app.callback(invoke_without_command=True)
def _top(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"longscribe {__version__}")
        raise typer.Exit


@app.command()
def transcribe(
    media: Annotated[list[Path], typer.Argument(help="Audio or video files.", show_default=False)],
    model: Annotated[
        str | None,
        typer.Option(
            help=_help("model", "Name of a model, hub repository or local directory."),
            rich_help_panel=_ENGINE,
        ),
    ] = None,
    recognizer: Annotated[
        str | None,
        typer.Option(
            help=_help("recognizer", "Engine; auto chooses by device and by what is installed."),
            rich_help_panel=_ENGINE,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help=_help("device", "auto, cpu, cuda, cuda:N or mps."), rich_help_panel=_ENGINE
        ),
    ] = None,
    compute_type: Annotated[
        str | None,
        typer.Option(
            help=_help("compute_type", "int8, float16, float32 …"), rich_help_panel=_ENGINE
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help=f"Windows decoded together. [dim]\\[default: {DEFAULT_BATCH}, or as many as "
            "memory has room for][/dim]",
            rich_help_panel=_ENGINE,
        ),
    ] = None,
    beam_size: Annotated[
        int | None,
        typer.Option(help=_help("beam_size", "Width of the search."), rich_help_panel=_ENGINE),
    ] = None,
    cpu_threads: Annotated[
        int | None,
        typer.Option(
            help=_help("cpu_threads", "Threads of the engine; 0: it chooses."),
            rich_help_panel=_ENGINE,
        ),
    ] = None,
    align_model: Annotated[
        str | None,
        typer.Option(
            help=_help(
                "align_model",
                "wav2vec 2.0 model that times words for whisperx: auto, none, a name or a folder.",
            ),
            rich_help_panel=_ENGINE,
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            help="Code or name, such as en or german. [dim]\\[default: detected][/dim]",
            rich_help_panel=_TEXT,
        ),
    ] = None,
    task: Annotated[
        Task | None,
        typer.Option(help=_help("task", "Translate writes English."), rich_help_panel=_TEXT),
    ] = None,
    word_timestamps: Annotated[
        bool | None,
        typer.Option(
            "--word-timestamps/--no-word-timestamps",
            help=_help("word_timestamps", "Times for each word."),
            rich_help_panel=_TEXT,
        ),
    ] = None,
    glossary: Annotated[
        Path | None,
        typer.Option(
            help="Terms that must be spelt right: .txt (term | alias; alias, one a line), .csv, "
            ".tsv, .json, .yaml, or subtitles whose names are taken.",
            rich_help_panel=_NAMES,
        ),
    ] = None,
    bias: Annotated[
        BiasMode | None,
        typer.Option(
            help=_help(
                "bias",
                "What a glossary may do. verify: propose terms where they sound like what was "
                "heard, and write those that fit the audio; prompt: make the model expect them "
                "everywhere; off: nothing.",
            ),
            rich_help_panel=_NAMES,
        ),
    ] = None,
    pronouncer: Annotated[
        PronouncerName | None,
        typer.Option(
            help=_help(
                "pronouncer",
                "What says how terms sound, to verify them: espeak-ng (must be installed), or "
                "rules for letters; auto takes espeak-ng if it is there.",
            ),
            rich_help_panel=_NAMES,
        ),
    ] = None,
    learn_glossary: Annotated[
        Path | None,
        typer.Option(
            help="CSV file for names that a file's text has often and surely; they are offered to "
            "the next files. Look through it: a name that is always misheard gets in too.",
            rich_help_panel=_NAMES,
        ),
    ] = None,
    initial_prompt: Annotated[
        str | None,
        typer.Option(
            help="Text put before every window, such as the topic.", rich_help_panel=_NAMES
        ),
    ] = None,
    bias_window: Annotated[
        float | None,
        typer.Option(
            help=_help("bias_window", "Seconds of a bias window."), rich_help_panel=_NAMES
        ),
    ] = None,
    bias_stride: Annotated[
        float | None,
        typer.Option(
            help=_help("bias_stride", "Seconds from one bias window to the next."),
            rich_help_panel=_NAMES,
        ),
    ] = None,
    max_terms: Annotated[
        int | None,
        typer.Option(
            help=_help("max_terms", "Most terms offered to one window by --bias prompt."),
            rich_help_panel=_NAMES,
        ),
    ] = None,
    prompt_tokens: Annotated[
        int | None,
        typer.Option(
            help=_help("prompt_tokens", "Most tokens of prompt (223 is Whisper's own limit)."),
            rich_help_panel=_NAMES,
        ),
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir",
            "-o",
            help="Folder for DIR/<stem>.<ext> [dim]\\[default: here][/dim]",
            rich_help_panel=_FILES,
        ),
    ] = None,
    output_format: Annotated[
        list[str] | None,
        typer.Option(
            "--output-format",
            "-f",
            help=f"{', '.join(OutputFormat)} or all; repeatable. [dim]\\[default: all][/dim]",
            rich_help_panel=_FILES,
        ),
    ] = None,
    overwrite: Annotated[
        bool | None,
        typer.Option(
            "--overwrite/--no-overwrite",
            help="Replace outputs that others have written or changed.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    job_dir: Annotated[
        Path | None,
        typer.Option(
            help="Job folder. [dim]\\[default: DIR/<stem>.longscribe][/dim]",
            rich_help_panel=_FILES,
        ),
    ] = None,
    keep_audio: Annotated[
        bool | None,
        typer.Option(
            "--keep-audio/--no-keep-audio",
            help="Keep the decoded audio in it.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    audio_track: Annotated[
        int | None,
        typer.Option(
            help="Audio track, counted from 0. [dim]\\[default: the file's own][/dim]",
            rich_help_panel=_FILES,
        ),
    ] = None,
    chunking: Annotated[
        Chunking | None,
        typer.Option(
            help=_help("chunking", "auto keeps files under ten minutes in one chunk."),
            rich_help_panel=_CUTS,
        ),
    ] = None,
    chunk_duration: Annotated[
        float | None,
        typer.Option(
            help=_help("chunk_duration", "Seconds between checkpoints, 60 to 900."),
            rich_help_panel=_CUTS,
        ),
    ] = None,
    vad_threshold: Annotated[
        float | None,
        typer.Option(
            help=_help("vad_threshold", "Probability at which speech begins."),
            rich_help_panel=_CUTS,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Workers that decode at the same time. [dim]\\[default: by the device][/dim]",
            rich_help_panel=_SAFETY,
        ),
    ] = None,
    isolation: Annotated[
        Isolation | None,
        typer.Option(
            help=_help("isolation", "off runs everything in one process: a crash ends it."),
            rich_help_panel=_SAFETY,
        ),
    ] = None,
    memory_limit: Annotated[
        str | None,
        typer.Option(
            help=_help(
                "memory_limit",
                "Most memory of a worker on its device, such as 4GB; auto: nine tenths of what "
                "the device may hold; off: no limit.",
            ),
            rich_help_panel=_SAFETY,
        ),
    ] = None,
    recycle_after: Annotated[
        str | None,
        typer.Option(
            help=_help(
                "recycle_after",
                "Growth in memory after which a worker is replaced, such as 500MB; off: never.",
            ),
            rich_help_panel=_SAFETY,
        ),
    ] = None,
    deadline: Annotated[
        float | None,
        typer.Option(
            help=_help("deadline", "Least seconds without progress that count as a hang."),
            rich_help_panel=_SAFETY,
        ),
    ] = None,
    max_attempts: Annotated[
        int | None,
        typer.Option(
            help=_help("max_attempts", "Most attempts at a chunk."), rich_help_panel=_SAFETY
        ),
    ] = None,
    retry_delay: Annotated[
        float | None,
        typer.Option(
            help=_help("retry_delay", "Seconds before a second attempt, then doubled."),
            rich_help_panel=_SAFETY,
        ),
    ] = None,
    job_timeout: Annotated[
        float | None,
        typer.Option(
            help=_help("job_timeout", "Seconds without any progress that end the run."),
            rich_help_panel=_SAFETY,
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say everything that happens.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what went wrong.")] = False,
) -> None:
    """Transcribe media files to subtitles and text.

    The work is saved after every chunk. Whatever cuts a run short, running the
    same command again goes on from there. Exit status: 0 complete · 1 failed ·
    2 wrong usage · 3 with declared gaps or lost words · 130 interrupted.
    """
    given = {
        name: value
        for name, value in locals().items()
        if name not in {"media", "verbose", "quiet"} and value not in (None, [])
    }
    options = Options.build(**given)
    raise typer.Exit(transcribe_all(media, options, verbose=verbose, quiet=quiet))


@app.command()
def status(
    job: Annotated[Path, typer.Argument(help="A job folder, <stem>.longscribe.")],
) -> None:
    """Say how a job stands: what is done, what failed and why. Safe while it runs."""
    print_status(job)


@app.command()
def inspect(
    job: Annotated[Path, typer.Argument(help="A job folder, <stem>.longscribe.")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show what the journal of a job holds: its events, in order."""
    print_inspection(job, as_json=as_json)


@app.command()
def bias_report(
    job: Annotated[Path, typer.Argument(help="A job folder, <stem>.longscribe.")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Say what became of the glossary: what was replaced, what was not, and why.

    Safe while the job runs.
    """
    print_bias_report(job, as_json=as_json)


@app.command()
def replay(
    job: Annotated[Path, typer.Argument(help="A job folder, <stem>.longscribe.")],
    chunk: Annotated[str, typer.Argument(help="Chunk, such as 7, or part of one, such as 7.2.")],
    media: Annotated[
        Path | None, typer.Option(help="Media file, if its audio must be read again.")
    ] = None,
    recognizer: Annotated[
        str | None, typer.Option(help="Engine, in the place of the job's.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model, in the place of the job's.")] = None,
    align_model: Annotated[
        str | None, typer.Option(help="Alignment model, in the place of the job's.")
    ] = None,
    glossary: Annotated[
        Path | None, typer.Option(help="Glossary, in the place of the job's.")
    ] = None,
) -> None:
    """Decode one chunk again in the foreground, as at its latest attempt; for bug reports.

    Of a job that somebody else began, or another machine, nothing is imported or read
    that is not named here.
    """
    named = Named(
        media=media, recognizer=recognizer, model=model, align_model=align_model, glossary=glossary
    )
    raise typer.Exit(print_replay(job, chunk, named))


@app.command()
def install(
    recognizer: Annotated[
        str | None,
        typer.Argument(help="Recognizer, such as whisperx.", show_default=False),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(help="Python to make it with. [dim]\\[default: this one][/dim]"),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(
            help="Requirement that takes the place of what its packages ask for, such as "
            "torch==2.8.0; repeatable."
        ),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Say which there are.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove it.")] = False,
) -> None:
    """Make an environment of its own for a recognizer, whose packages don't fit others.

    It is tried before it counts. The same command again makes it whole if it was cut
    short, and leaves it alone if it works.
    """
    if list_:
        list_environments()
    elif recognizer is None:
        raise UsageError("Which recognizer?", "Name one, or use --list.")
    elif remove:
        remove_environment(recognizer)
    else:
        install_engine(recognizer, python, tuple(override or ()))


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Say whether a transcription could start here, and what would mend what is wrong.

    Looks at devices, recognizers (each is tried), models, memory, disk and variables.
    Nothing is fetched. Exit status: 0 it could start, 1 it could not.
    """
    raise typer.Exit(print_checkup(as_json=as_json))


def main() -> None:
    """Run the command line; every error of ours is one clear line."""
    hold_standard_streams()
    set_up_signals()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as Python does for standard error
    sys.exit(run(app))
