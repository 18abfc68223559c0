"""What other programs call: `transcribe`, `events`, `resume`.

    from longscribe import Options, transcribe

    options = Options.build(model="large-v3-turbo", language="en")
    transcript = transcribe("hearing.mp3", options)
    for segment in transcript.segments: ...

A run that is cut short, by whatever, is gone on with by the same call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from longscribe import wiring
from longscribe.config import Options
from longscribe.core.bias.glossary import parse_glossary
from longscribe.errors import (
    GlossaryError,
    LongscribeError,
    MediaError,
    StorageError,
    UsageError,
)
from longscribe.fingerprint import fingerprint_file
from longscribe.job import Job
from longscribe.job_events import JobEvent, RunFailed, RunInterrupted
from longscribe.pipeline import run_job
from longscribe.reading import latest_run
from longscribe.run_state import RunState
from longscribe.types import Glossary, Transcript


def transcribe(media: str | Path, options: Options | None = None) -> Transcript:
    """Transcribe a media file and return the whole transcript.

    The outputs and the job folder are written as by the command line; calling
    again skips what is done.

    Args:
        media: path of an audio or video file.
        options: defaults, changed by `LONGSCRIBE_…` variables, if not given.

    Raises:
        UsageError: an option, the glossary or a path is wrong.
        MediaError: the file holds no audio that can be read.
        ModelError, RecognizerError, WorkerStartError: the engine can't do it.
        JobError: the job folder is in use, damaged or of another version.
        StorageError: the disk is full or fails.
    """
    with _opened(Path(media), options or Options.build()) as run:
        for _ in _run(run):
            pass
        view = run.view()
        return Transcript(
            language=view.language,
            duration=view.duration,
            segments=tuple(view.segments()),
            windows=tuple(view.windows()),
            gaps=tuple(view.gaps()),
            coverage=tuple(view.coverage()),
        )


def events(media: str | Path, options: Options | None = None) -> Generator[JobEvent]:
    """Transcribe a media file and yield what happens, each event once it is stored.

    The run goes on while you iterate. Closing the generator (or leaving the
    loop and dropping it) interrupts the run; calling again goes on.

    Raises:
        As `transcribe`, at the first `next()` or later.
    """
    with _opened(Path(media), options or Options.build()) as run:
        yield from _run(run)


def resume(job_dir: str | Path) -> Transcript:
    """Go on with the job in `job_dir`, with the options of its latest run.

    Raises:
        JobError: there is no job.
        As `transcribe` otherwise.
    """
    start, options = latest_run(Path(job_dir))
    return transcribe(start.media, options)


def load_glossary(path: Path | None) -> Glossary:
    """Read a glossary file.

    Raises:
        GlossaryError: it can't be read, or a line is wrong.
    """
    if path is None:
        return Glossary()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise GlossaryError(
            f"The glossary {path} can't be read ({error.strerror}).", "Check --glossary."
        ) from error
    return parse_glossary(data, path.name)


@contextmanager
def _opened(media: Path, options: Options) -> Iterator[RunState]:
    """Check everything that can be checked at once, lock the job, and open its tools."""
    entry = wiring.recognizer(options.recognizer)
    glossary = load_glossary(options.glossary)
    fingerprint = _fingerprint(media)
    settled = wiring.settled(options)
    model = entry.find_model(settled.model)
    files = wiring.outputs(media, options)
    folder = wiring.job_folder(media, options)
    job = Job(
        media=media,
        fingerprint=fingerprint,
        model=model.identity,
        model_path=model.path,
        options=settled,
        glossary=glossary,
        reader=wiring.MEDIA_READER,
        detector=wiring.SPEECH_DETECTOR,
        notices=wiring.notices(folder, options),
    )
    with folder.locked():
        files.check()
        tools = wiring.tools(job, folder, files)
        try:
            yield RunState(job=job, tools=tools)
        finally:
            tools.executor.close()
            with contextlib.suppress(LongscribeError):  # the cause is on its way already
                tools.journal.close()


def _run(run: RunState) -> Generator[JobEvent]:
    """Run the job; note in the journal how it ended when it did not end well."""
    try:
        yield from run_job(run)
    except (KeyboardInterrupt, GeneratorExit):
        with contextlib.suppress(LongscribeError):
            run.tools.journal.record(RunInterrupted())
        raise
    except OSError as error:
        raise _failed(run, _storage_error(error)) from error
    except LongscribeError as error:
        raise _failed(run, error) from error.__cause__


def _failed(run: RunState, error: LongscribeError) -> LongscribeError:
    """Note in the journal why the run ended, if it still takes notes."""
    with contextlib.suppress(LongscribeError):
        run.tools.journal.record(RunFailed(slug=error.slug, message=str(error)))
    return error


def _storage_error(error: OSError) -> StorageError:
    where = f" ({error.filename})" if error.filename else ""
    return StorageError(
        f"The system says: {error.strerror or error}{where}.",
        "What is done is kept: when that is mended, run the same command again to go on.",
    )


def _fingerprint(media: Path) -> str:
    """Return the media file's fingerprint, or say why it can't be one.

    Raises:
        UsageError: there is no such file.
        MediaError: it can't be read or is empty.
    """
    if media.is_dir():
        raise UsageError(f"{media} is a directory.", "Give media files.")
    try:
        if media.stat().st_size == 0:
            raise MediaError(f"{media} is empty (0 bytes).", "Was it copied or fetched completely?")
        return fingerprint_file(media)
    except FileNotFoundError:
        raise UsageError(f"There is no file {media}.", "Check the path.") from None
    except OSError as error:
        raise MediaError(f"{media} can't be read ({error.strerror}).") from error
