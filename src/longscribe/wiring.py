"""Names → adapters. Other packages add theirs with the entry points named here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import psutil

from longscribe.adapters.executors.child import ChildProcess
from longscribe.adapters.executors.supervisor import StartChild, Supervisor, WorkerRecipe
from longscribe.adapters.executors.thread import ChildThread
from longscribe.adapters.journal.folder import JobFolder
from longscribe.adapters.journal.sqlite import SqliteJournal
from longscribe.adapters.recognizers.models import FoundModel, find_ct2_model, take_as_given
from longscribe.adapters.writers.json_writer import JsonWriter
from longscribe.adapters.writers.outputs import OutputFiles
from longscribe.adapters.writers.srt import SrtWriter
from longscribe.adapters.writers.tsv import TsvWriter
from longscribe.adapters.writers.txt import TxtWriter
from longscribe.adapters.writers.vtt import VttWriter
from longscribe.config import Isolation, Options, OutputFormat, RecognizerSettings
from longscribe.core.crew import default_workers, threads_each
from longscribe.core.refusals import demands
from longscribe.errors import UsageError
from longscribe.job import Job, Tools
from longscribe.ports import TranscriptWriter

RECOGNIZER_GROUP = "longscribe.recognizers"
"""Entry points: name → `package.module:factory` of a `RecognizerFactory`."""

MEDIA_READER = "longscribe.adapters.media.pyav:open_media"
SPEECH_DETECTOR = "longscribe.adapters.vad.silero:SileroDetector"


@dataclass(frozen=True, kw_only=True)
class RecognizerEntry:
    """How to get a recognizer: the factory for the worker, and how its models are found."""

    factory: str
    find_model: Callable[[str], FoundModel]


RECOGNIZERS: dict[str, RecognizerEntry] = {
    "faster-whisper": RecognizerEntry(
        factory="longscribe.adapters.recognizers.faster_whisper:load", find_model=find_ct2_model
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


def outputs(media: Path, options: Options) -> OutputFiles:
    """Return the output files of a job."""
    return OutputFiles(
        directory=output_dir(options),
        stem=media.stem,
        writers={name: WRITERS[name]() for name in options.output_format},
    )


def output_dir(options: Options) -> Path:
    return options.output_dir or Path()


def job_folder(media: Path, options: Options) -> JobFolder:
    """Return the folder of the job, which may not exist yet."""
    path = options.job_dir or output_dir(options) / f"{media.stem}.longscribe"
    return JobFolder(path=path)


def settled(options: Options) -> Options:
    """Return options as the job runs with them: workers and threads filled in, paths absolute.

    So the journal holds what `resume` and `replay` need from any folder.
    """
    cores = psutil.cpu_count(logical=False) or 1
    workers = options.workers or default_workers(options.device, cores)
    threads = threads_each(options.cpu_threads, workers, cores)
    paths = {
        name: path.absolute()
        for name in ("glossary", "output_dir", "job_dir")
        if (path := getattr(options, name)) is not None
    }
    model = Path(options.model).expanduser()
    return options.model_copy(
        update={
            **paths,
            "output_dir": output_dir(options).absolute(),
            "model": str(model.absolute()) if model.is_dir() else options.model,
            "workers": workers,
            "cpu_threads": threads,
        }
    )


def notices(folder: JobFolder, options: Options) -> tuple[str, ...]:
    """Return what the user should know about how this run is done."""
    found = []
    if options.isolation is Isolation.OFF:
        found.append(
            "Isolation is off: a crash of native code ends the program, a hang can't be ended, "
            "and memory is not given back. What is finished is safe all the same."
        )
    if folder.on_network is not None:
        found.append(
            f"The job folder lies on a network file system ({folder.on_network}); its locks and "
            "syncs may not hold there. Give --job-dir a local folder to be safe."
        )
    return tuple(found)


def supervisor(
    options: Options,
    model: Path,
    start_child: StartChild,
    spool: Path,
    dumps: Path,
    engine: RecognizerSettings | None = None,
) -> Supervisor:
    """Return a supervisor for a recognizer as the options have it, or for another `engine`."""
    entry = recognizer(options.recognizer)
    settings = options.decode_settings
    return Supervisor(
        start_child=start_child,
        recipe=WorkerRecipe(
            factory=entry.factory,
            settings=engine or options.recognizer_settings,
            model_path=str(model),
            demands=demands(settings, has_terms=options.glossary is not None),
            language=settings.language,
        ),
        workers=options.workers or 1,
        spool=spool,
        dumps=dumps,
        deadlines=options.deadline_settings,
    )


def tools(job: Job, folder: JobFolder, files: OutputFiles) -> Tools:
    """Open everything a run works with; the caller closes journal and executor."""
    isolated = job.options.isolation is Isolation.ON
    return Tools(
        executor=supervisor(
            job.options,
            job.model_path,
            ChildProcess if isolated else ChildThread,
            folder.spool.path,
            folder.dumps,
        ),
        spool=folder.spool,
        outputs=files,
        journal=SqliteJournal(folder.database, on_network=folder.on_network is not None),
    )
