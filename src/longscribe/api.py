"""What other programs call: `transcribe`, `events`, `resume`, `bias_report`.

    from longscribe import Options, transcribe

    options = Options.build(model="large-v3-turbo", language="en")
    transcript = transcribe("hearing.mp3", options)
    for segment in transcript.segments: ...

A run that is cut short, by whatever, is gone on with by the same call.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from longscribe import wiring
from longscribe.adapters import incoming
from longscribe.adapters.content import MediaContent, media_digest
from longscribe.adapters.executors.starting import scarcity
from longscribe.adapters.glossary_files import load_glossary
from longscribe.adapters.journal.folder import JobFolder
from longscribe.adapters.marks import is_marked
from longscribe.adapters.own_files import film, is_same_file, is_there
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
from longscribe.core.ownership import (
    is_same_film,
    refuse_other_film,
    refuse_other_recording,
)
from longscribe.errors import (
    GlossaryError,
    LongscribeError,
    MediaError,
    StorageError,
    UsageError,
)
from longscribe.fingerprint import sampled_fingerprint
from longscribe.job import Job
from longscribe.job_events import JobEvent, RunFailed, RunFinished, RunInterrupted
from longscribe.paths import absolute, given_path
from longscribe.pipeline import run_job
from longscribe.playlists import parts_of
from longscribe.ports import Journal
from longscribe.reading import LatestResults, begun_recognizer, latest_results, open_journal
from longscribe.run_state import CancelledError, RunState
from longscribe.runs import Run
from longscribe.trust import own_run
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
        media: path of an audio or video file. `-` is standard input.
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
    place, settings = _placed(media, options)
    with _opened(place, settings, extra_terms) as run:
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
) -> Run:
    """Transcribe a media file and yield what happens, each event once it is stored.

    The run goes on while you iterate, in whichever threads. Closing it (or leaving the
    loop and dropping it) interrupts the run, and so does its `cancel()`, which may be
    called from anywhere; calling `events` again goes on.

    Args:
        media: as for `transcribe`.
        options: as for `transcribe`.
        extra_terms: as for `transcribe`.

    Raises:
        UsageError: at once, where media is no path or the current folder is gone.
        As `transcribe`, at the first `next()` or later.
    """
    place, settings = _placed(media, options)

    def steps(cancelled: Callable[[], bool]) -> Generator[JobEvent]:
        with _opened(place, settings, extra_terms) as run:
            run.cancelled = cancelled
            yield from _run(run)

    return Run(steps)


def _placed(media: str | Path, options: Options | None) -> tuple[Path, Options]:
    """Return media and options whose paths don't depend on the current folder any more."""
    path = given_path(media)
    placed = wiring.placed(options or Options.build())
    return path if incoming.comes_through_pipe(path) else _absolute_media(path), placed


def _absolute_media(path: Path) -> Path:
    incoming.check_url(path)
    return absolute(path)


def resume(job_dir: str | Path) -> Transcript:
    """Go on with the job in `job_dir`, with the options and extra terms of its latest run.

    Raises:
        JobError: there is no job, or somebody else began it, or another machine: what its
            journal names is then not followed.
        As `transcribe` otherwise.
    """
    start, options = own_run(given_path(job_dir, "The job folder"))
    # To insist on overwriting was said of the files that were there then.
    options = options.model_copy(update={"overwrite": False})
    return transcribe(start.media, options, extra_terms=start.extra_terms)


def bias_report(job_dir: str | Path) -> BiasReport:
    """Return what became of the glossary in the latest run of the job in `job_dir`.

    Only reads the journal, which has the terms of the run, and looks whether the glossary is
    still as it was then; safe while the job runs.

    Raises:
        JobError: there is no job, or it was never started.
    """
    job = given_path(job_dir, "The job folder")
    with open_journal(job) as journal:
        run = latest_results(journal, job)
        options, extra = run.options, run.start.extra_terms
        glossary, state = _glossary_now(run)
        if run.glossary is not None:
            glossary = run.glossary
        elif state in (GlossaryState.CHANGED, GlossaryState.GONE):
            glossary = extended(glossary, named_terms(run.windows()))
        subject = Subject(
            media=Path(run.start.media).name,
            mode=options.bias if state is not GlossaryState.NONE else BiasMode.OFF,
            path=str(options.glossary or ""),
            state=state,
            own_copy=run.glossary is not None,
            extra_terms=tuple(term.text for term in extra),
            complete=run.complete,
            glossary=of_language(glossary, text_language(options.task, run.language)),
        )
        return report_on(run.windows(), subject)


def _glossary_now(run: LatestResults) -> tuple[Glossary, GlossaryState]:
    """Return the terms as the user's file has them now, and how they stand to those of the run.

    What a run names that was not begun by the user on this machine is not read.
    """
    options, extra = run.options, run.start.extra_terms
    if options.glossary is None and not extra:
        return Glossary(), GlossaryState.NONE
    if options.glossary is not None and not is_marked(run.start):
        return extended(Glossary(), extra), GlossaryState.GONE
    try:
        glossary = extended(load_glossary(options.glossary), extra)
    except GlossaryError:
        return extended(Glossary(), extra), GlossaryState.GONE
    same = glossary_digest(glossary) == run.start.glossary
    return glossary, GlossaryState.SAME if same else GlossaryState.CHANGED


def learnt_elsewhere(options: Options, media: Sequence[str | Path]) -> tuple[Term, ...]:
    """Return the terms in `options.learn_glossary` that were not learnt from `media` alone.

    For several files in a row: with a file and those behind it as `media`, these are the
    extra terms that it is offered in every run over the same files.

    Raises:
        GlossaryError: the file of learnt terms can't be read.
    """
    learnt = wiring.learnt_file(options)
    if learnt is None or not learnt.terms():
        return ()  # nothing that would need the media to be hashed
    marks = set()
    for each in media:
        path = Path(each)
        if incoming.comes_through_pipe(path):  # it can be read only once
            continue
        # A file that can't be read teaches nothing.
        with contextlib.suppress(OSError, ValueError, MediaError):
            # What earlier versions learnt from large files bears another mark.
            for known in (media_digest(path), sampled_fingerprint(path)):
                if known is not None:
                    marks.add(Source(stem="", fingerprint=known).mark)
    return learnt.terms(without=marks)


@contextmanager
def _opened(
    media: Path, options: Options, extra_terms: Sequence[Term] | None
) -> Iterator[RunState]:
    """Check everything that can be checked at once, lock the job, and open its tools."""
    with _explained():
        yield from _open(media, options, extra_terms)


def _open(media: Path, options: Options, extra_terms: Sequence[Term] | None) -> Iterator[RunState]:
    if incoming.comes_through_pipe(media):
        media = _received(media, options)
    incoming.check_kind(media)
    options, chosen = _with_recognizer(media, options)
    entry = wiring.recognizer(options.recognizer)
    python = wiring.worker_python(options)
    glossary = load_glossary(options.glossary)
    content = _content(media)
    if (learnt := wiring.learnt_file(options)) is not None:
        learnt.check()
    if extra_terms is None:
        extra_terms = learnt_elsewhere(options, [media])
    glossary = extended(glossary, extra_terms)
    settled = wiring.settled(options)
    model = entry.find_model(settled.model)
    settled = wiring.staffed(settled, model.path)
    aligner = wiring.aligner(settled)
    wiring.refuse_own_goals([media], options, model.path)
    files = wiring.outputs(media, options, model.path)
    folder = wiring.job_folder(media, options)
    job = Job(
        media=media,
        content=content,
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
        content.start()
        tools = wiring.tools(job, folder, files)
        try:
            _refuse_other_film(job, folder, tools.journal)
            yield RunState(job=job, tools=tools)
        finally:
            content.close()
            tools.executor.close()
            with contextlib.suppress(LongscribeError):  # the cause is on its way already
                tools.journal.close()


def _received(media: Path, options: Options) -> Path:
    """Return the copy of what comes through a pipe, in the folder of its job."""
    folder = wiring.job_folder(incoming.named(media), options)
    with folder.locked():
        return incoming.receive(media, folder.path)


def _refuse_other_film(job: Job, folder: JobFolder, journal: Journal) -> None:
    """Refuse to go on with the job of another film: its transcript would be lost.

    Raises:
        UsageError: names both.
    """
    start, prints = journal.films()
    if start is None:
        return
    if incoming.was_received(job.media, folder.path):
        _refuse_other_recording(job, folder, prints)
        return
    settings = json.loads(start.settings)
    begun = wiring.default_job_path(Path(start.media), Path(settings.get("output_dir") or ""))
    before = film(Path(start.media), Path(settings.get("job_dir") or begun), prints)
    same, there = is_same_file(before.path, str(job.media)), is_there(before.path)

    def is_same(known: Collection[str]) -> bool:
        now = film(job.media, folder.path, known)
        return is_same_film(before, now, same_file=same, there=there)

    # Its content is asked for last, and only here waited for: hashing a long film takes a while.
    if not is_same([]) and not is_same([job.content.fingerprint(), job.content.as_before() or ""]):
        raise refuse_other_film(str(folder.path), before.path, str(job.media))


def _refuse_other_recording(job: Job, folder: JobFolder, prints: Collection[str]) -> None:
    """Refuse to go on with another recording from a pipe: all lie in one place, so content tells.

    Raises:
        UsageError: it is another recording.
    """
    if prints and job.content.fingerprint() not in prints:
        incoming.drop(job.media)
        raise refuse_other_recording(str(folder.path))


@contextmanager
def _explained() -> Iterator[None]:
    """Explain an error of the system that nobody below has: no place of ours shows a traceback."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if (scarce := scarcity(error)) is not None:
            raise scarce from error
        if not isinstance(error, OSError):
            raise
        raise _storage_error(error) from error


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
        for event in run_job(run):
            yield event
            if isinstance(event, RunFinished) and not event.gaps:
                _drop_received(run)
    except CancelledError:
        yield run.tools.journal.record(RunInterrupted())
    except (KeyboardInterrupt, GeneratorExit):
        with contextlib.suppress(LongscribeError):
            run.tools.journal.record(RunInterrupted())
        raise
    except OSError as error:
        raise _failed(run, _storage_error(error)) from error
    except LongscribeError as error:
        raise _failed(run, error) from error.__cause__


def _drop_received(run: RunState) -> None:
    """Remove the copy of what came through a pipe: nothing is left to be done with it."""
    job = run.job
    folder = wiring.job_folder(job.media, job.options).path
    if incoming.was_received(job.media, folder) and not job.options.keep_audio:
        incoming.drop(job.media)


def _failed(run: RunState, error: LongscribeError) -> LongscribeError:
    """Note in the journal why the run ended, if it still takes notes."""
    with contextlib.suppress(LongscribeError):
        run.tools.journal.record(RunFailed(slug=error.slug, message=str(error)))
    with contextlib.suppress(OSError):  # the reader, if it still writes, ends with the run
        run.drop_unfinished_audio()
    return error


def _storage_error(error: OSError) -> StorageError:
    where = f" ({error.filename})" if error.filename else ""
    return StorageError(
        f"The system says: {error.strerror or error}{where}.",
        "What is done is kept: when that is mended, run the same command again to go on.",
    )


def _content(media: Path) -> MediaContent:
    """Return what is in the media, yet to be hashed, or say why nothing is.

    Raises:
        UsageError: there is no such file.
        MediaError: it can't be read or is empty.
    """
    try:
        if media.stat().st_size == 0:
            raise MediaError(f"{media} is empty (0 bytes).", "Was it copied or fetched completely?")
        media.open("rb").close()
        return MediaContent(paths=parts_of(media))
    except FileNotFoundError:
        raise UsageError(f"There is no file {media}.", "Check the path.") from None
    except OSError as error:
        raise MediaError(f"{media} can't be read ({error.strerror}).") from error
