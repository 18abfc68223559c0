"""Names → adapters. Other packages add theirs with the entry points named here."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path

import psutil

from longscribe.adapters.devices.detection import devices
from longscribe.adapters.devices.environment import worker_environment
from longscribe.adapters.devices.system_memory import system_memory
from longscribe.adapters.environments.registry import WorkerPython, python_for
from longscribe.adapters.executors.child import Child, ChildProcess, Inbox
from longscribe.adapters.executors.supervisor import (
    RECOGNIZER_MODULE,
    StartChild,
    Supervisor,
    WorkerRecipe,
)
from longscribe.adapters.executors.thread import ChildThread
from longscribe.adapters.journal.folder import JobFolder
from longscribe.adapters.journal.sqlite import SqliteJournal
from longscribe.adapters.language.tools import pronouncer_here
from longscribe.adapters.learnt_file import LearntFile
from longscribe.adapters.marks import marked
from longscribe.adapters.own_files import files_of, named, pieces_of, place
from longscribe.adapters.recognizers.catalog import CATALOG
from longscribe.adapters.recognizers.ct2_models import find_ct2_model
from longscribe.adapters.recognizers.ggml_models import find_ggml_model
from longscribe.adapters.recognizers.mlx_models import find_mlx_model
from longscribe.adapters.recognizers.models import FoundModel, local_path, take_as_given
from longscribe.adapters.recognizers.pocketsphinx_models import find_sphinx_model
from longscribe.adapters.recognizers.transformers_models import find_transformers_model
from longscribe.adapters.recognizers.whisperx_models import (
    FoundAligner,
    find_aligner,
    local_aligner,
)
from longscribe.adapters.writers.json_writer import JsonWriter
from longscribe.adapters.writers.outputs import OutputFiles
from longscribe.adapters.writers.srt import SrtWriter
from longscribe.adapters.writers.tsv import TsvWriter
from longscribe.adapters.writers.txt import TxtWriter
from longscribe.adapters.writers.vtt import VttWriter
from longscribe.config import (
    AUTO,
    BiasMode,
    Isolation,
    MemorySettings,
    Options,
    OutputFormat,
    RecognizerSettings,
    Task,
)
from longscribe.core.choosing import Asked, Choice, EngineState, choose_recognizer
from longscribe.core.crew import default_workers, threads_each
from longscribe.core.names import stem_of
from longscribe.core.ownership import NamedFile, doubles, refuse_clashes
from longscribe.core.refusals import demands
from longscribe.errors import UsageError
from longscribe.job import Job, Tools
from longscribe.paths import absolute
from longscribe.ports import TranscriptWriter
from longscribe.types import Glossary

RECOGNIZER_GROUP = "longscribe.recognizers"
"""Entry points: name → `package.module:factory` of a `RecognizerFactory`."""

MEDIA_READER = "longscribe.adapters.media.pyav:open_media"
SPEECH_DETECTOR = "longscribe.adapters.vad.silero:SileroDetector"
LANGUAGE_TOOLS = "longscribe.adapters.language.tools:load"
MEMORY_READER = "longscribe.adapters.devices.memory:open_memory"


@dataclass(frozen=True, kw_only=True)
class RecognizerEntry:
    """How to get a recognizer: the factory for the worker, and how its models are found."""

    factory: str
    find_model: Callable[[str], FoundModel]
    find_aligner: Callable[[str], FoundAligner] | None = None
    """How its alignment models are found, if it has any."""


RECOGNIZERS: dict[str, RecognizerEntry] = {
    "faster-whisper": RecognizerEntry(
        factory="longscribe.adapters.recognizers.faster_whisper:load", find_model=find_ct2_model
    ),
    "mlx": RecognizerEntry(
        factory="longscribe.adapters.recognizers.mlx:load", find_model=find_mlx_model
    ),
    "pocketsphinx": RecognizerEntry(
        factory="longscribe.adapters.recognizers.pocketsphinx:load", find_model=find_sphinx_model
    ),
    "transformers": RecognizerEntry(
        factory="longscribe.adapters.recognizers.transformers:load",
        find_model=find_transformers_model,
    ),
    "whisper.cpp": RecognizerEntry(
        factory="longscribe.adapters.recognizers.whisper_cpp:load", find_model=find_ggml_model
    ),
    "whisperx": RecognizerEntry(
        factory="longscribe.adapters.recognizers.whisperx:load",
        find_model=find_ct2_model,
        find_aligner=find_aligner,
    ),
}

WRITERS: dict[OutputFormat, Callable[[], TranscriptWriter]] = {
    OutputFormat.SRT: SrtWriter,
    OutputFormat.VTT: VttWriter,
    OutputFormat.JSON: JsonWriter,
    OutputFormat.TXT: TxtWriter,
    OutputFormat.TSV: TsvWriter,
}


def recognizer(name: str) -> RecognizerEntry:
    """Return the recognizer called `name`: ours, an entry point's, or `package.module:factory`.

    Raises:
        UsageError: there is none of that name.
    """
    if name in RECOGNIZERS:
        return RECOGNIZERS[name]
    plugins = {plugin.name: plugin.value for plugin in entry_points(group=RECOGNIZER_GROUP)}
    factory = plugins.get(name, name if ":" in name else None)
    if factory is None:
        known = ", ".join([*RECOGNIZERS, *plugins])
        raise UsageError(f"Unknown recognizer {name!r}.", f"Known: {known}.")
    return RecognizerEntry(factory=factory, find_model=take_as_given)


def chosen_recognizer(options: Options, begun_with: str | None) -> Choice:
    """Return what `--recognizer auto` is here, without importing any.

    Args:
        options: of the job.
        begun_with: the recognizer that the job was begun with on the same device, if it was.

    Raises:
        RecognizerError: none is installed that can do the job.
    """
    engines = [
        EngineState(
            name=kind.name,
            installed=(installed := kind.installed),
            reads_model=installed and kind.reads(options.model),
        )
        for kind in CATALOG.values()
    ]
    asked = Asked(
        device=options.device,
        language=options.language,
        translate=options.task is Task.TRANSLATE,
    )
    return choose_recognizer(asked, device_kinds(), engines, begun_with)


def device_kind(device: str) -> str:
    """Return what a device asked for is; for `auto` the best that is here."""
    return device_kinds()[0] if device == AUTO else device.partition(":")[0]


def device_kinds() -> tuple[str, ...]:
    """Return the kinds of the devices that are here, the best first."""
    return tuple(dict.fromkeys(device.kind for device in devices()))


def worker_python(options: Options) -> WorkerPython | None:
    """Return the Python of its own that the recognizer runs under; None: ours.

    Raises:
        UsageError: the settings file is wrong, or isolation is off.
        RecognizerError: its environment has gone.
    """
    python = python_for(options.recognizer)
    if python is not None and options.isolation is Isolation.OFF:
        raise UsageError(
            f"--isolation off keeps everything in one process, but the recognizer "
            f"{options.recognizer!r} runs under a Python of its own, {python.path} "
            f"({python.source}).",
            "Leave out --isolation off.",
        )
    return python


def aligner(options: Options) -> FoundAligner | None:
    """Return the alignment model; None for recognizers that have none.

    Raises:
        UsageError: one is named for a recognizer that has none.
        ModelError: it is no alignment model.
    """
    find = recognizer(options.recognizer).find_aligner
    if find is not None:
        return find(options.align_model)
    if options.align_model != Options.model_fields["align_model"].default:
        raise UsageError(
            f"The recognizer {options.recognizer!r} has no alignment model.",
            "Leave out --align-model, or use --recognizer whisperx.",
        )
    return None


def pronouncer(options: Options) -> str:
    """Return which pronouncer verifies terms on this machine."""
    return pronouncer_here(options.pronouncer)


_LEARNT, _JOB_FILE = "the list of learnt terms", "a file of the job"


def outputs(media: Path, options: Options, model: Path | None = None) -> OutputFiles:
    """Return the output files of a job.

    Args:
        media: what is transcribed.
        options: of the job.
        model: where the model's files are, which an output must not replace.
    """
    return OutputFiles(
        directory=output_dir(options),
        stem=stem_of(media.name),
        writers={name: WRITERS[name]() for name in options.output_format},
        needed=lambda: needed([media], options, model),
        job=job_folder(media, options).path,
        overwrite=options.overwrite,
    )


def needed(
    media: Sequence[Path], options: Options, model: Path | None = None
) -> tuple[NamedFile, ...]:
    """Return the files that runs over `media` work with, as they are now."""
    aligner_path = local_aligner(options.align_model)
    return (
        *(named("the media", path) for path in media),
        *(piece for path in media for piece in pieces_of(path)),
        *((named("the glossary", options.glossary),) if options.glossary else ()),
        *(_learnt(options)),
        *(files_of("a file of the model", model or local_path(options.model))),
        *(files_of("a file of the alignment model", aligner_path) if aligner_path else ()),
        *(own for path in media for own in _job_files(path, options)),
    )


def refuse_own_goals(media: Sequence[Path], options: Options, model: Path | None = None) -> None:
    """Refuse a command that would write over what it works with, before anything is done.

    Args:
        media: all the files of the command.
        options: of the command.
        model: where the model's files are, if that is known yet.

    Raises:
        UsageError: names both files.
    """
    needs = needed(media, options, model)
    for path in media:
        refuse_clashes([named("an output", each) for each in outputs(path, options).paths], needs)
        own = tuple(_job_files(path, options))
        refuse_clashes(own, [file for file in needs if file.role != _JOB_FILE])
    refuse_clashes(_learnt(options), [file for file in needs if file.role != _LEARNT])
    names = [str(output) for path in media for output in outputs(path, options).paths]
    if (pair := doubles(names, lambda name: place(Path(name)))) is not None:
        raise UsageError(
            f"The outputs {pair[0]} and {pair[1]} would be one file.",
            "Transcribe one by one with different --output-dir; or, if one is a link, remove it.",
        )


def _learnt(options: Options) -> Iterator[NamedFile]:
    if options.learn_glossary is not None:
        yield named(_LEARNT, options.learn_glossary)


def _job_files(media: Path, options: Options) -> Iterator[NamedFile]:
    for path in job_folder(media, options).own_files:
        yield named(_JOB_FILE, path)


def output_dir(options: Options) -> Path:
    return options.output_dir or Path()


def learnt_file(options: Options) -> LearntFile | None:
    """Return the file of learnt terms, if there is to be one."""
    return None if options.learn_glossary is None else LearntFile(path=options.learn_glossary)


def job_folder(media: Path, options: Options) -> JobFolder:
    """Return the folder of the job, which may not exist yet."""
    return JobFolder(path=options.job_dir or default_job_path(media, output_dir(options)))


def default_job_path(media: Path, directory: Path) -> Path:
    """Return the job folder where none is named."""
    return directory / f"{stem_of(media.name)}.longscribe"


def placed(options: Options) -> Options:
    """Return options whose paths are absolute: they mean the same until the run has ended.

    Raises:
        UsageError: the current folder, which one of them starts from, is gone.
    """
    paths = {
        name: absolute(path)
        for name in ("glossary", "learn_glossary", "job_dir")
        if (path := getattr(options, name)) is not None
    }
    model = local_path(options.model)
    return options.model_copy(
        update={
            **paths,
            "output_dir": absolute(output_dir(options)),
            "model": str(absolute(model)) if model.exists() else options.model,
        }
    )


def settled(options: Options) -> Options:
    """Return options as the job runs with them: paths absolute.

    So the journal holds what `resume` and `replay` need from any folder.
    """
    options = placed(options)
    aligner_path = local_aligner(options.align_model)
    return options.model_copy(
        update={
            "align_model": options.align_model if aligner_path is None else str(aligner_path),
        }
    )


def staffed(options: Options, model: Path) -> Options:
    """Return options with workers and threads filled in, for the model at this place."""
    cores = psutil.cpu_count(logical=False) or 1
    workers = options.workers or default_workers(
        device_kind(options.device), cores, system_memory().free, _size(model)
    )
    threads = threads_each(options.cpu_threads, workers, cores)
    return options.model_copy(update={"workers": workers, "cpu_threads": threads})


def _size(model: Path) -> int:
    """Return the bytes of a model's files; 0 where they can't be told."""
    with contextlib.suppress(OSError):
        files = [model] if model.is_file() else model.rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())
    return 0


def notices(folder: JobFolder, options: Options, python: WorkerPython | None) -> tuple[str, ...]:
    """Return what the user should know about how this run is done."""
    found = []
    if python is not None:
        found.append(
            f"The recognizer {options.recognizer} runs under {python.path} ({python.source})."
        )
    if options.isolation is Isolation.OFF:
        found.append(
            "Isolation is off: a crash of native code ends the program, a hang can't be ended, "
            "and memory is not given back. What is finished is safe all the same."
        )
    else:
        found += worker_environment(os.environ).notices
    if folder.on_network is not None:
        found.append(
            f"The job folder lies on a network file system ({folder.on_network}); its locks and "
            "syncs may not hold there. Give --job-dir a local folder to be safe."
        )
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What a worker loads."""

    settings: RecognizerSettings
    model: Path
    glossary: Glossary


@dataclass(frozen=True, kw_only=True)
class UnderOtherPython:
    """Starts children as processes, those that decode under another Python."""

    python: Path

    def __call__(self, module: str, inbox: Inbox, log: Path) -> Child:
        own = self.python if module == RECOGNIZER_MODULE else None
        return ChildProcess(module, inbox, log, own)


def supervisor(
    options: Options, engine: Engine, start_child: StartChild, spool: Path, dumps: Path
) -> Supervisor:
    """Return a supervisor whose workers load `engine`.

    Where the recognizer has a Python of its own, workers are processes whatever `start_child` is.
    """
    entry = recognizer(options.recognizer)
    settings = options.decode_settings
    python = python_for(options.recognizer)
    return Supervisor(
        start_child=start_child if python is None else UnderOtherPython(python=python.path),
        recipe=WorkerRecipe(
            factory=entry.factory,
            python="" if python is None else f"{python.path} ({python.source})",
            settings=engine.settings,
            model_path=str(engine.model),
            demands=demands(settings, options.bias if engine.glossary.terms else BiasMode.OFF),
            language=settings.language,
            glossary=engine.glossary,
            language_tools=LANGUAGE_TOOLS,
            memory_reader=MEMORY_READER,
            memory=_memory_settings(options, start_child),
        ),
        workers=options.workers or 1,
        spool=spool,
        dumps=dumps,
        deadlines=options.deadline_settings,
    )


def _memory_settings(options: Options, start_child: StartChild) -> MemorySettings:
    """Return what a worker may hold; where it is a thread of ours, as with isolation off."""
    if start_child is ChildThread:
        options = options.model_copy(update={"isolation": Isolation.OFF})
    return options.memory_settings


def tools(job: Job, folder: JobFolder, files: OutputFiles) -> Tools:
    """Open everything a run works with; the caller closes journal and executor."""
    isolated = job.options.isolation is Isolation.ON
    journal = SqliteJournal(folder.database, on_network=folder.on_network is not None)
    return Tools(
        executor=supervisor(
            job.options,
            Engine(
                settings=job.options.recognizer_settings,
                model=job.model_path,
                glossary=job.glossary,
            ),
            ChildProcess if isolated else ChildThread,
            folder.spool.path,
            folder.dumps,
        ),
        spool=folder.spool,
        outputs=replace(files, record=journal),
        learnt=learnt_file(job.options),
        marked=marked,
        journal=journal,
    )
