"""Does every word that people say get into the text? Longscribe and others on human recordings.

    python bench/long_form.py                          all chapters, every row that can be run
    python bench/long_form.py --chapters 2             the first two
    python bench/long_form.py --join 60                joined to recordings of an hour and more
    python bench/long_form.py --speech DIR             any folder: audio with its words beside it
    python bench/long_form.py --before ../checkout     also Longscribe as it is in another checkout

The words of `x.flac` (or .opus, .wav, .mp3, .mp4 …) stand in `x.json` (`utterances` or `segments`
with `text`, or `text`) or in `x.txt`. `make real-models` gets the model and, where there is no
`../shared/speech/librispeech`, five sentences to see that it works (`--speech .models/austen`).

Each tool transcribes each recording in processes of its own, model loading included; all tools
take one recording before the next, so that whatever else the machine does hits all alike. What a
row wrote is kept in the work folder until audio, weights, options or code change: an aborted run
goes on. Times mean something only on a machine that does nothing else; `--again` runs rows anew.

Exits 1 if a target is missed or a row failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # `bench`, `demo` and `tools` are not installed

from bench.long_form_parts import speech, table  # noqa: E402
from bench.long_form_parts.figures import WORDLESS, Line, line_of  # noqa: E402
from bench.long_form_parts.recordings import (  # noqa: E402
    MaterialError,
    Recording,
    chosen,
    joined,
    read_folder,
    without_speech,
)
from bench.long_form_parts.results import Result, Results, RowFailedError  # noqa: E402
from bench.long_form_parts.rows import BEFORE, Given, Row, rows_of, versions  # noqa: E402
from bench.long_form_parts.scoring import Score, score  # noqa: E402
from bench.long_form_parts.verdict import MEASURES, verdicts  # noqa: E402
from longscribe.types import CoverageKind  # noqa: E402

SPEECH = ROOT.parent / "shared" / "speech" / "librispeech"
MODEL = ROOT / ".models" / "base"


@dataclass
class Bench:
    """The recordings, what the rows made of them, and what failed."""

    rows: list[Row]
    recordings: list[Recording]
    results: Results
    speech: speech.SpeechSpans
    failures: dict[str, str] = field(default_factory=dict)
    _made: dict[str, list[tuple[Recording, Result]]] = field(default_factory=dict)

    def run(self) -> None:
        """Transcribe everything: each recording with all rows, then the next."""
        for recording in self.recordings:
            for row in self.rows:
                if row.key in self.failures:
                    continue
                try:
                    made = self.results.get(row, recording)
                except RowFailedError as error:
                    self.failures[row.key] = f"{recording.name}: {error}"
                    continue
                self._made.setdefault(row.key, []).append((recording, made))

    def lines(self) -> dict[str, Line]:
        """Return the lines of the rows that did not fail, by their keys."""
        whole = {key: made for key, made in self._made.items() if key not in self.failures}
        measure = [self._scores(whole[key]) for key in MEASURES if key in whole]
        complete = len(measure) == len(MEASURES)
        known = WORDLESS in {kind.value for kind in CoverageKind}
        return {
            row.key: line_of(
                row,
                whole[row.key],
                measure if complete else (),
                self.speech.of,
                ledger=known and row.ours and row.key != BEFORE,
            )
            for row in self.rows
            if row.key in whole
        }

    def _scores(self, made: list[tuple[Recording, Result]]) -> dict[str, Score]:
        return {
            recording.name: score(recording.text, result.text)
            for recording, result in made
            if recording.spoken
        }


def main() -> int:
    given = arguments()
    settings = Given(
        model=given.model,
        compute_type=given.compute_type,
        device=given.device,
        openai_model=given.openai_model,
        ggml_model=given.ggml_model,
        before=given.before,
    )
    every = rows_of(settings)
    wanted = [row for row in every if not given.rows or row.key in given.rows]
    rows = [row for row in wanted if not row.unavailable]
    results = Results(given.work / "results", settings)
    try:
        recordings = material(given)
    except MaterialError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for row in every:
        if given.again is not None and (not given.again or row.key in given.again):
            results.forget(row)
    bench = Bench(
        rows=rows,
        recordings=recordings,
        results=results,
        speech=speech.SpeechSpans(given.work / "speech"),
    )
    try:
        bench.run()
    except KeyboardInterrupt:
        print(f"\ninterrupted; what is done is kept in {given.work}", file=sys.stderr)
        return 130
    return report(bench, given, [row for row in wanted if row.unavailable])


def material(given: argparse.Namespace) -> list[Recording]:
    """Return all that is to be transcribed."""
    recordings = chosen(read_folder(given.speech), given.chapters)
    if given.join:
        recordings = joined(recordings, given.join, given.work / "joined")
    if given.non_speech:
        recordings.append(without_speech(given.non_speech, given.seed, given.work / "non-speech"))
    return recordings


def report(bench: Bench, given: argparse.Namespace, left_out: list[Row]) -> int:
    """Print the table and the verdicts, write the files that were asked for; return the status."""
    lines = bench.lines()
    judged = verdicts(lines)
    spoken = [each for each in bench.recordings if each.spoken]
    minutes = sum(each.seconds for each in spoken) / 60
    about = (
        f"{len(spoken)} recordings, {minutes:.1f} minutes; model {given.model.name}, "
        f"{given.compute_type}, {given.device}; {versions(bench.rows)}. Each tool in a process "
        "of its own for each recording; wall time, CPU time and memory are of the whole process "
        "tree, with starting and loading the model."
    )
    said = [about, "", table.table(list(lines.values())), ""]
    said += [f"- left out: {row.label}: {row.unavailable}" for row in left_out]
    said += [f"- **failed**: {key}: {error}" for key, error in bench.failures.items()]
    said += [str(verdict) for verdict in judged]
    text = "\n".join(said)
    print(text)
    if given.output:
        given.output.write_text(f"{text}\n", encoding="utf-8")
    if given.json:
        found = {
            "about": about,
            "rows": table.details(list(lines.values())),
            "failures": bench.failures,
            "verdicts": [{"met": each.met, "text": each.text} for each in judged],
        }
        given.json.write_text(
            json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )
    return 1 if bench.failures or any(each.met is False for each in judged) else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speech", type=Path, default=SPEECH, metavar="DIR")
    parser.add_argument("--model", type=Path, default=MODEL, metavar="DIR", help="CTranslate2's")
    parser.add_argument("--compute-type", default="int8")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--chapters", nargs="+", default=[], metavar="N|NAME")
    parser.add_argument("--join", type=float, metavar="MINUTES", help="join them in their order")
    parser.add_argument("--non-speech", type=float, default=10, metavar="MINUTES", help="0: none")
    parser.add_argument("--seed", type=int, default=0, help="of the non-speech")
    parser.add_argument("--rows", nargs="+", default=[], metavar="ROW", help="only these")
    parser.add_argument("--again", nargs="*", metavar="ROW", help="forget what is kept [of rows]")
    parser.add_argument("--openai-model", metavar="FILE|NAME", help="weights for openai/whisper")
    parser.add_argument("--ggml-model", type=Path, metavar="FILE", help="weights for whisper.cpp")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="compare with that one")
    parser.add_argument("--work", type=Path, metavar="DIR", help="where results are kept")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the table, also there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every recording of every row")
    given = parser.parse_args()
    for name in ("speech", "model", "ggml_model", "before", "work"):
        if getattr(given, name):
            setattr(given, name, getattr(given, name).resolve())
    _check(parser, given)
    given.work = given.work or Path(tempfile.gettempdir()) / "longscribe-long-form"
    return given


def _check(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Refuse what can't be meant, before anything is run."""
    if not (given.model / "model.bin").is_file():
        parser.error(f"{given.model} holds no model.bin; `make real-models` makes .models/base")
    if not given.speech.is_dir():
        parser.error(f"{given.speech} is not there; give --speech a folder of recordings")
    if given.before and not (given.before / "src" / "longscribe").is_dir():
        parser.error(f"{given.before} is no checkout of Longscribe: it has no src/longscribe")
    if given.ggml_model and not given.ggml_model.is_file():
        parser.error(f"{given.ggml_model} is not there")
    keys = [row.key for row in rows_of(Given(**_settings(given)))]
    for key in (*given.rows, *(given.again or ())):
        if key not in keys:
            parser.error(f"there is no row {key!r}; choose from {', '.join(keys)}")


def _settings(given: argparse.Namespace) -> dict[str, object]:
    names = ("model", "compute_type", "device", "openai_model", "ggml_model", "before")
    return {name: getattr(given, name) for name in names}


if __name__ == "__main__":
    sys.exit(main())
