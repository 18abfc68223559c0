"""Does a glossary help, and does it harm? Names in long recordings, against what others do.

    python bench/bias.py --quick                  two minutes, to see that it works
    python bench/bias.py --set tuning             what thresholds are chosen on
    python bench/bias.py                          the test set; only ever scored
    python bench/bias.py --make tuning --out DIR  the recordings alone

Tuning and test share no sentence, no name, no carrier sentence, no voice and no synthesizer (flite
speaks for tuning, espeak-ng for test). The test set is made by a seeded script when it is first
asked for. What a row wrote is kept in DIR, so that an interrupted run goes on; `--fresh` forgets.
Times mean something only on a machine that does nothing else.

Needs faster-whisper, jiwer (rapidfuzz), flite and espeak-ng.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # `bench`, `demo` and `tools` are not installed

from bench.bias_parts import table  # noqa: E402
from bench.bias_parts.baselines import (  # noqa: E402
    FUZZY_THRESHOLD,
    faster_whisper_row,
    fuzzy_row,
)
from bench.bias_parts.glossaries import (  # noqa: E402
    glossary_for,
    read_terms,
    spoken_lines_glossary,
    write_csv,
)
from bench.bias_parts.material import QUICK, RECORDINGS, SHARES, make_set  # noqa: E402
from bench.bias_parts.metrics import score, worse  # noqa: E402
from bench.bias_parts.ours import longscribe_row  # noqa: E402
from bench.bias_parts.recordings import Recording, load_all  # noqa: E402
from bench.bias_parts.rows import Condition, Hypothesis, Row, Store  # noqa: E402
from bench.bias_parts.verdict import verdicts  # noqa: E402

MAIN = Condition(times="none", others=500)
SIZES = (0, 100, 500, 1000)
TIMES = ("none", "noisy", "oracle")

NO_BIAS, FW_NO_BIAS = "no bias", "faster-whisper batched, no bias"
PROMPT, VERIFY, ORACLE = "ours, prompt", "ours, verify", "ours, prompt, oracle (ceiling)"


def rows_of(model: Path, bench: Bench) -> list[Row]:
    """Return all rows. A row is a label and a function of a recording and a glossary's path."""

    def unbiased(recording: Recording) -> Hypothesis:
        return bench.hypothesis(bench.row(NO_BIAS), recording, MAIN)

    return [
        Row(label=NO_BIAS, run=longscribe_row(model, bias="off"), base=NO_BIAS, biased=False),
        Row(label=FW_NO_BIAS, run=faster_whisper_row(model), base=FW_NO_BIAS, biased=False),
        Row(
            label="faster-whisper batched, initial_prompt",
            run=faster_whisper_row(model, "initial_prompt"),
            base=FW_NO_BIAS,
        ),
        Row(
            label="faster-whisper batched, hotwords",
            run=faster_whisper_row(model, "hotwords"),
            base=FW_NO_BIAS,
        ),
        Row(
            label="fuzzy replacement alone",
            run=fuzzy_row(unbiased, bench.given.fuzzy_threshold),
            base=NO_BIAS,
        ),
        Row(label=PROMPT, run=longscribe_row(model, bias="prompt"), base=NO_BIAS),
        Row(label=VERIFY, run=longscribe_row(model, bias="verify"), base=NO_BIAS),
        *(
            Row(
                label=f"{VERIFY}, without {name}",
                run=longscribe_row(model, without=setting, bias="verify"),
                base=NO_BIAS,
            )
            for setting, name in (
                ("second_pass", "the second pass"),
                ("retrieval", "retrieval"),
                ("acoustics", "acoustics"),
                ("recurrence", "recurrence"),
            )
        ),
        Row(
            label=ORACLE,
            run=longscribe_row(model, bias="prompt", bias_window=1, bias_stride=1),
            base=NO_BIAS,
            own_glossary=True,
        ),
    ]


@dataclass
class Bench:
    """The recordings, what the rows made of them, and what that is worth."""

    given: argparse.Namespace
    recordings: list[Recording]
    store: Store
    rows: list[Row] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    _scored: dict[tuple[str, Condition], list[table.Scored] | None] = field(default_factory=dict)

    def row(self, label: str) -> Row:
        return next(row for row in self.rows if row.label == label)

    def glossary(self, row: Row, recording: Recording, condition: Condition) -> Path:
        """Write the glossary of a condition, the same for each row, and return its path."""
        name = "spoken-lines" if row.own_glossary else condition.name
        path = self.given.out / "glossaries" / f"{recording.name}.{name}.csv"
        if row.own_glossary:
            return write_csv(spoken_lines_glossary(recording), path)
        return write_csv(glossary_for(recording, condition.others, condition.times), path)

    def hypothesis(self, row: Row, recording: Recording, condition: Condition) -> Hypothesis:
        return self.store.get(row, recording, condition, self.glossary(row, recording, condition))

    def scored(self, label: str, condition: Condition) -> list[table.Scored] | None:
        """Return a row's results, or None for a row that fails: the error is kept and named."""
        key = (label, condition)
        if key not in self._scored:
            try:
                self._scored[key] = [
                    self._score(self.row(label), each, condition) for each in self.recordings
                ]
            except Exception as error:  # noqa: BLE001 - whatever a row dies of, others go on
                print(f"failed: {error!r}", file=sys.stderr, flush=True)
                self.failures[f"{label}, {condition.name}"] = f"{type(error).__name__}: {error}"
                self._scored[key] = None
        return self._scored[key]

    def run_side_by_side(self, labels: Sequence[str], condition: Condition) -> None:
        """Run rows recording by recording, so that each is timed soon after what it is held to."""
        for recording in self.recordings:
            for label in dict.fromkeys([NO_BIAS, *(self.row(one).base for one in labels), *labels]):
                # What fails here fails again where it is scored, and is named there.
                with contextlib.suppress(Exception):
                    self.hypothesis(self.row(label), recording, condition)

    def _score(self, row: Row, recording: Recording, condition: Condition) -> table.Scored:
        no_bias = self.hypothesis(self.row(NO_BIAS), recording, condition)
        base = self.hypothesis(self.row(row.base), recording, condition)
        mine = self.hypothesis(row, recording, condition)
        # Terms are the same for all rows of a condition, whatever list a row was given.
        terms = read_terms(self.glossary(self.row(NO_BIAS), recording, condition))
        result = score(recording, mine.words, terms)
        before = score(recording, base.words, terms)
        harm = worse(recording, result, before, no_bias.windows)
        return table.Scored(
            recording=recording,
            score=result,
            seconds=mine.seconds,
            base_seconds=base.seconds,
            cpu_seconds=mine.cpu_seconds,
            base_cpu_seconds=base.cpu_seconds,
            windows_worse=harm[0],
            windows=harm[1],
            lines_worse=harm[2],
            lines=harm[3],
        )

    # --- tables ---

    def table(
        self,
        columns: Sequence[table.Figure],
        lines: Sequence[tuple[str, str, Condition]],
        *,
        interval: bool = True,
    ) -> str:
        """Return a table; a line is its heading, a row's label and a condition."""
        cells = []
        for heading, label, condition in lines:
            scored = self.scored(label, condition)
            if scored is None:
                cells.append([heading, f"failed: {self.failures[f'{label}, {condition.name}']}"])
                cells[-1] += [""] * (len(columns) - 1)
                continue
            shown = [table.cell(each, scored, interval=interval) for each in columns]
            cells.append([heading, *shown])
        return table.markdown(["", *(each.heading for each in columns)], cells)

    def report(self) -> None:
        """Print every table that was asked for, each when it is ready."""
        labels = [row.label for row in self.rows if self._wanted(row.label)]
        minutes = sum(each.duration for each in self.recordings) / 60
        print(f"## {len(self.recordings)} recordings, {minutes:.0f} minutes ({self.given.set})\n")
        print(f"### No time information, true terms and {MAIN.others} others\n")
        self.run_side_by_side(labels, MAIN)
        main = [(label, label, MAIN) for label in labels]
        print(self.table(table.WORDS, main) + "\n")
        print(self.table(table.TERMS, main) + "\n", flush=True)
        ours = [label for label in (PROMPT, VERIFY) if label in labels]
        if ours and not self.given.main_only:
            print("### Size of the list, no time information\n")
            sized = [
                (f"{label}, {size} others", label, Condition(times="none", others=size))
                for label in ours
                for size in SIZES
            ]
            print(self.table(table.SHORT, sized) + "\n", flush=True)
            print(f"### Time information, true terms and {MAIN.others} others\n")
            timed = [
                (f"{label}, {times} times", label, Condition(times=times, others=MAIN.others))
                for label in ours
                for times in TIMES
            ]
            print(self.table(table.SHORT, timed) + "\n", flush=True)
        for label in [NO_BIAS, *ours]:
            conditions = [MAIN] if label == NO_BIAS else [MAIN, Condition(times="oracle")]
            for condition in conditions[: 1 if self.given.main_only else 2]:
                if scored := self.scored(label, condition):
                    print(f"### By kind of speech: {label} ({condition.times} times)\n")
                    print(table.strata(scored) + "\n", flush=True)
        before = self.scored(NO_BIAS, MAIN)
        ceiling = self.scored(ORACLE, MAIN) if ORACLE in labels else None
        for label in ours:
            scored = self.scored(label, MAIN)
            if scored and before:
                print(f"### Against the targets: {label}\n")
                print(verdicts(scored, before, ceiling) + "\n")

    def _wanted(self, label: str) -> bool:
        only = self.given.only
        return not only or label == NO_BIAS or any(self.matches(label, part) for part in only)

    def matches(self, label: str, part: str) -> bool:
        """Say whether `part` is this label or, if it is no whole label, stands in it."""
        return part == label or (part in label and part not in [row.label for row in self.rows])


def main() -> int:
    given = arguments()
    if given.make:
        given.set = given.make
    given.out = given.out or Path(tempfile.gettempdir()) / "longscribe-bias" / (
        f"{given.set}-quick" if given.quick else given.set
    )
    count = given.recordings or (1 if given.quick else RECORDINGS[given.set])
    shape, seed = (QUICK, f"quick {given.set}") if given.quick else (None, given.seed)
    make_set(given.set, given.out, count, shape=shape, seed=seed)
    if given.make:
        return 0
    recordings = load_all(given.out)[:count]
    bench = Bench(
        given=given, recordings=recordings, store=Store(given.out / "results", given.model)
    )
    bench.rows = rows_of(given.model, bench)
    if given.fresh is not None:
        for row in bench.rows:
            if not given.fresh or any(bench.matches(row.label, part) for part in given.fresh):
                bench.store.forget(row)
    bench.report()
    for name, error in bench.failures.items():
        print(f"Failed: {name}: {error}", file=sys.stderr)
    return 1 if bench.failures else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--set", choices=RECORDINGS, default="test")
    parser.add_argument("--make", choices=RECORDINGS, help="make the recordings of a set, no more")
    parser.add_argument("--seed", default="", help="with --make tuning: of another tuning set")
    parser.add_argument("--out", type=Path, help="folder of the recordings and of what is kept")
    parser.add_argument("--recordings", type=int, metavar="N", help=f"at most {SHARES}")
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "model")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="rows with this in their label")
    parser.add_argument("--main-only", action="store_true", help="one condition: no times, 500")
    parser.add_argument("--fresh", nargs="*", metavar="TEXT", help="forget what is kept [of rows]")
    parser.add_argument("--quick", action="store_true", help="one recording of two minutes or so")
    parser.add_argument("--fuzzy-threshold", type=float, default=FUZZY_THRESHOLD)
    given = parser.parse_args()
    if given.seed and given.make != "tuning":
        parser.error("--seed is for --make tuning: the test set is the same for everybody")
    if given.quick:
        given.main_only = True
        given.only = given.only or ["ours, prompt", "hotwords", "fuzzy", "verify"]
    return given


if __name__ == "__main__":
    sys.exit(main())
