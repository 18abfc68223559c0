"""What other programs call: `transcribe`, `events`, `resume`, `bias_report`.

    from longscribe import Options, transcribe

    options = Options.build(model="large-v3-turbo", language="en")
    transcript = transcribe("hearing.mp3", options)
    for segment in transcript.segments: ...

A run that is cut short, by whatever, is gone on with by the same call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from longscribe import wiring
from longscribe.adapters.glossary_files import load_glossary
from longscribe.config import BiasMode, Options, text_language
from longscribe.core.bias.learning import Source, extended
from longscribe.core.bias.ranking import of_language
from longscribe.core.bias.report import (
    BiasReport,
    GlossaryState,
    Subject,
    named_terms,
    report_on,
)
from longscribe.core.choosing import AUTO
from longscribe.core.keys import glossary_digest
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
from longscribe.reading import begun_recognizer, latest_results, latest_run, open_journal
from longscribe.run_state import RunState
from longscribe.types import Glossary, Term, Transcript


def transcribe(
    media: str | Path,
    options: Options | None = None,
    *,
    extra_terms: Sequence[Term] | None = None,
) -> Transcript:
    """Transcribe a media file and return the whole transcript.

    The outputs and the job folder are written as by the command line; calling
    again skips what is done.

    Args:
        media: path of an audio or video file.
        options: defaults, changed by `LONGSCRIBE_…` variables, if not given.
        extra_terms: offered besides those of the glossary, behind them. If not given,
            what `learn_glossary` holds from other files.

    Raises:
        UsageError: an option, the glossary or a path is wrong.
        MediaError: the file holds no audio that can be read.
        ModelError, RecognizerError, WorkerStartError: the engine can't do it.
        JobError: the job folder is in use, damaged or of another version.
        StorageError: the disk is full or fails.
    """
    with _opened(Path(media), options or Options.build(), extra_terms) as run:
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


def events(
    media: str | Path,
    options: Options | None = None,
    *,
    extra_terms: Sequence[Term] | None = None,
) -> Generator[JobEvent]:
    """Transcribe a media file and yield what happens, each event once it is stored.

    The run goes on while you iterate. Closing the generator (or leaving the
    loop and dropping it) interrupts the run; calling again goes on.

    Args:
        media: as for `transcribe`.
        options: as for `transcribe`.
        extra_terms: as for `transcribe`.

    Raises:
        As `transcribe`, at the first `next()` or later.
    """
    with _opened(Path(media), options or Options.build(), extra_terms) as run:
        yield from _run(run)


def resume(job_dir: str | Path) -> Transcript:
    """Go on with the job in `job_dir`, with the options and extra terms of its latest run.

    Raises:
        JobError: there is no job.
        As `transcribe` otherwise.
    """
    start, options = latest_run(Path(job_dir))
    return transcribe(start.media, options, extra_terms=start.extra_terms)


def bias_report(job_dir: str | Path) -> BiasReport:
    """Return what became of the glossary in the latest run of the job in `job_dir`.

    Only reads the journal and the glossary; safe while the job runs.

    Raises:
        JobError: there is no job, or it was never started.
    """
    job = Path(job_dir)
    with open_journal(job) as journal:
        run = latest_results(journal, job)
        options, extra = run.options, run.start.extra_terms
        try:
            glossary = extended(load_glossary(options.glossary), extra)
            same = glossary_digest(glossary) == run.start.glossary
            state = GlossaryState.SAME if same else GlossaryState.CHANGED
        except GlossaryError:
            glossary, state = extended(Glossary(), extra), GlossaryState.GONE
        if options.glossary is None and not extra:
            state = GlossaryState.NONE
        if state in (GlossaryState.CHANGED, GlossaryState.GONE):
            glossary = extended(glossary, named_terms(run.windows()))
        subject = Subject(
            media=Path(run.start.media).name,
            mode=options.bias if state is not GlossaryState.NONE else BiasMode.OFF,
            path=str(options.glossary or ""),
            state=state,
            extra_terms=tuple(term.text for term in extra),
            complete=run.complete,
            glossary=of_language(glossary, text_language(options.task, run.language)),
        )
        return report_on(run.windows(), subject)


def learnt_elsewhere(options: Options, media: Sequence[str | Path]) -> tuple[Term, ...]:
    """Return the terms in `options.learn_glossary` that were not learnt from `media` alone.

    For several files in a row: with a file and those behind it as `media`, these are the
    extra terms that it is offered in every run over the same files.

    Raises:
        GlossaryError: the file of learnt terms can't be read.
    """
    learnt = wiring.learnt_file(options)
    if learnt is None:
        return ()
    marks = set()
    for each in media:
        with contextlib.suppress(OSError):  # a file that can't be read teaches nothing
            marks.add(Source(stem="", fingerprint=fingerprint_file(Path(each))).mark)
    return learnt.terms(without=marks)


@contextmanager
def _opened(
    media: Path, options: Options, extra_terms: Sequence[Term] | None
) -> Iterator[RunState]:
    """Check everything that can be checked at once, lock the job, and open its tools."""
    options, chosen = _with_recognizer(media, options)
    entry = wiring.recognizer(options.recognizer)
    python = wiring.worker_python(options)
    glossary = load_glossary(options.glossary)
    fingerprint = _fingerprint(media)
    if (learnt := wiring.learnt_file(options)) is not None:
        learnt.check()
    if extra_terms is None:
        extra_terms = learnt_elsewhere(options, [media])
    glossary = extended(glossary, extra_terms)
    settled = wiring.settled(options)
    model = entry.find_model(settled.model)
    settled = wiring.staffed(settled, model.path)
    aligner = wiring.aligner(settled)
    files = wiring.outputs(media, options)
    folder = wiring.job_folder(media, options)
    job = Job(
        media=media,
        fingerprint=fingerprint,
        model=model.identity if aligner is None else f"{model.identity} {aligner.identity}",
        model_path=model.path,
        options=settled,
        device_kind=wiring.device_kind(settled.device),
        glossary=glossary,
        extra_terms=tuple(extra_terms),
        pronouncer=wiring.pronouncer(options) if _verifies(glossary, options) else "",
        reader=wiring.MEDIA_READER,
        detector=wiring.SPEECH_DETECTOR,
        notices=(*chosen, *wiring.notices(folder, options, python)),
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


def _with_recognizer(media: Path, options: Options) -> tuple[Options, tuple[str, ...]]:
    """Return the options with the recognizer that `auto` is, and why it is that one."""
    if options.recognizer != AUTO:
        return options, ()
    begun_with = begun_recognizer(wiring.job_folder(media, options).path, options.device)
    choice = wiring.chosen_recognizer(options, begun_with)
    return options.model_copy(update={"recognizer": choice.recognizer}), (choice.reason,)


def _verifies(glossary: Glossary, options: Options) -> bool:
    return bool(glossary.terms) and options.bias is BiasMode.VERIFY


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
