"""The benchmark on human recordings: scores, dropped runs, stretches, kept results, verdicts."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jiwer")
pytest.importorskip("whisper_normalizer", reason="whisper-normalizer is not installed")

from bench._common import Memory, Run, run_sampled, write_flac
from bench.long_form_parts import recordings as material
from bench.long_form_parts import rows as rows_module
from bench.long_form_parts.figures import line_of
from bench.long_form_parts.recordings import MaterialError, Recording
from bench.long_form_parts.results import Result, Results, RowFailedError
from bench.long_form_parts.rows import BATCHED, BEFORE, OURS, OURS_PROMPT, SEQUENTIAL, Given, Row
from bench.long_form_parts.scoring import (
    dropped_by_all,
    drops_too,
    normal_words,
    score,
    word_error_rate,
)
from bench.long_form_parts.stretches import less, without_words
from bench.long_form_parts.table import details, table
from bench.long_form_parts.verdict import verdicts

WORDS = "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima".split()  # noqa: SIM905
TEXT = " ".join(WORDS)


def without(*dropped: int) -> str:
    return " ".join(word for at, word in enumerate(WORDS) if at not in dropped)


# --- scores ------------------------------------------------------------------


def test_spelling_numbers_and_contractions_are_forgiven() -> None:
    assert normal_words("Mr. Grey has twenty-one colours, isn't it?") == normal_words(
        "MISTER GRAY HAS 21 COLORS IS NOT IT"
    )
    assert score("MISTER SMITH DOESN'T", "Mr. Smith does not.").errors == 0


def test_each_kind_of_error_is_counted() -> None:
    found = score("one alpha bravo charlie delta", "1 alpha tango charlie delta extra extra")
    assert (found.words, found.substitutions, found.deletions, found.insertions) == (5, 1, 0, 2)
    assert found.errors == 3
    assert found.dropped == ()


def test_a_clause_that_is_missing_is_a_dropped_run() -> None:
    found = score(TEXT, without(2, 3, 4, 5, 9))
    assert found.deletions == 5
    assert found.runs == ((2, 6),)
    assert found.longest == 4
    assert found.said((2, 6)) == "charlie delta echo foxtrot"


def test_three_missing_words_are_no_run_but_the_longest_stretch() -> None:
    found = score(TEXT, without(2, 3, 4))
    assert found.runs == ()
    assert found.longest == 3


def test_words_that_others_took_the_place_of_are_not_dropped() -> None:
    found = score(TEXT, TEXT.replace("charlie delta echo foxtrot", "yes no maybe later"))
    assert (found.substitutions, found.deletions, found.runs) == (4, 0, ())


def test_an_empty_text_has_dropped_everything() -> None:
    found = score(TEXT, "")
    assert (found.errors, found.runs) == (12, ((0, 12),))


def test_the_error_rate_weighs_recordings_by_their_words() -> None:
    right = score(TEXT, TEXT)
    wrong = score("alpha bravo charlie delta", "")
    assert word_error_rate([right, wrong]) == pytest.approx(100 * 4 / 16)


# --- what others drop too ----------------------------------------------------


def test_a_run_is_shared_when_the_other_text_lacks_it_too() -> None:
    mine = score(TEXT, without(2, 3, 4, 5))
    assert drops_too((2, 6), mine)
    assert drops_too((2, 6), score(TEXT, without(2, 3, 4, 5, 6, 7)))
    assert drops_too((2, 8), mine)  # two words more: a matter of where the clause is cut
    assert not drops_too((2, 6), score(TEXT, TEXT))
    assert not drops_too((2, 6), score(TEXT, without(2, 3, 4)))  # a slip there, no run
    assert not drops_too((2, 12), mine)  # six of these words were to be heard
    assert not drops_too((2, 6), score(TEXT, without(7, 8, 9, 10)))


def test_a_run_counts_as_shared_only_if_every_other_drops_it() -> None:
    mine = score(TEXT, without(2, 3, 4, 5))
    whole = score(TEXT, TEXT)
    assert dropped_by_all(mine, [mine, mine]) == [(2, 6)]
    assert dropped_by_all(mine, [mine, whole]) == []
    assert dropped_by_all(mine, []) == []


# --- speech without words ----------------------------------------------------


def test_speech_that_no_word_comes_near_is_found() -> None:
    words = [(0.0, 1.0), (1.1, 2.0), (6.0, 7.0)]
    assert without_words([(0.0, 2.2), (2.5, 7.0)], words) == [(2.5, 5.7)]


def test_a_short_stretch_and_silence_are_not() -> None:
    words = [(0.0, 1.0), (2.9, 4.0)]
    assert without_words([(0.0, 1.2), (2.8, 4.0)], words) == []  # a pause, however long
    assert without_words([(0.0, 4.0)], words) == []  # 1.3 s between the margins


def test_what_is_taken_away_may_overlap_and_lie_outside() -> None:
    assert less([(0, 10), (20, 30)], [(4, 6), (5, 7), (9, 22), (40, 50)]) == [
        (0, 4),
        (7, 9),
        (22, 30),
    ]


# --- recordings --------------------------------------------------------------


def sound(path: Path, seconds: float = 0.2) -> Path:
    write_flac(path, iter([np.zeros(round(seconds * 16_000), np.int16)]))
    return path


def test_a_folder_is_read_with_the_words_beside_each_file(tmp_path: Path) -> None:
    for name in "abcd":
        sound(tmp_path / f"{name}.flac")
    utterances = {"utterances": [{"text": "ONE"}, {"text": "TWO"}], "others": ["rare"]}
    (tmp_path / "a.json").write_text(json.dumps(utterances))
    (tmp_path / "b.json").write_text(json.dumps({"segments": [{"text": " One."}]}))
    (tmp_path / "c.json").write_text(json.dumps({"text": "whole"}))
    (tmp_path / "d.txt").write_text("plain\n")
    found = material.read_folder(tmp_path)
    assert [each.text.strip() for each in found] == ["ONE TWO", "One.", "whole", "plain"]
    assert found[0].unsaid == ("rare",)
    assert found[0].seconds == pytest.approx(0.2)


def test_audio_without_words_and_a_folder_without_audio_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MaterialError, match="holds no audio"):
        material.read_folder(tmp_path)
    sound(tmp_path / "mute.flac")
    with pytest.raises(MaterialError, match=r"expected mute\.json .* or mute\.txt"):
        material.read_folder(tmp_path)


def named(name: str, seconds: float = 60.0, **more) -> Recording:
    return Recording(name=name, media=Path(f"{name}.flac"), text=TEXT, seconds=seconds, **more)


def test_recordings_are_chosen_by_number_or_name() -> None:
    all_three = [named("1"), named("b"), named("c")]
    assert material.chosen(all_three, []) == all_three
    assert material.chosen(all_three, ["2"]) == all_three[:2]
    assert material.chosen(all_three, ["c", "1"]) == [all_three[2], all_three[0]]
    with pytest.raises(MaterialError, match="no recording 'd'; there are 1, b, c"):
        material.chosen(all_three, ["d"])


def test_each_recording_is_joined_into_one_group() -> None:
    five = [named(name) for name in "abcde"]
    joined = material.groups(five, 2)
    assert ["".join(each.name for each in group) for group in joined] == ["ab", "cde"]
    assert material.groups(five, 100) == [five]


def test_joined_recordings_hold_sound_and_words_of_all(tmp_path: Path) -> None:
    three = [
        replace(
            named(name, seconds=60), media=sound(tmp_path / f"{name}.flac"), text=f"{name} said"
        )
        for name in "abc"
    ]
    (whole,) = material.joined(three, 2.5, tmp_path / "joined")
    assert whole.text == "a said b said c said"
    assert whole.seconds == pytest.approx(3 * 0.2 + 2 * material.BETWEEN)
    before = whole.media.stat().st_mtime_ns
    assert material.joined(three, 2.5, tmp_path / "joined") == [whole]
    assert whole.media.stat().st_mtime_ns == before


def test_terms_that_somebody_says_are_not_offered() -> None:
    terms = material.unsaid_terms(named("a", unsaid=("bravo", "zulu")), 5)
    assert terms[0] == "zulu"
    assert len(terms) == 5
    assert "bravo" not in terms


def test_non_speech_is_the_same_for_a_seed(tmp_path: Path) -> None:
    one, again, other = (
        material.without_speech(2.6, seed, tmp_path / folder)
        for seed, folder in ((1, "one"), (1, "again"), (2, "other"))
    )
    assert one.seconds == pytest.approx(156)
    assert not one.spoken
    assert one.media.read_bytes() == again.media.read_bytes()
    assert one.media.read_bytes() != other.media.read_bytes()


# --- kept results ------------------------------------------------------------


GIVEN = Given(model=Path("no-model"), compute_type="int8", device="cpu")
ROW = Row(key=SEQUENTIAL, label="sequential")


def ran(status: int = 0) -> Run:
    memory = Memory(total=100, own=90, highest={})
    return Run(status=status, seconds=2.0, peak=memory, samples=1, cpu_seconds=3.0)


class FakeTool:
    """Writes what it is told to, and counts how often it was run."""

    def __init__(self, text: str = TEXT, status: int = 0) -> None:
        self.text, self.status, self.calls = text, status, 0

    def __call__(self, wanted, log: Path) -> Run:
        self.calls += 1
        self.command = wanted.command
        log.write_text("│ it broke │\n╰────╯\n")
        words = [[0.0, 1.0]]
        wanted.out.write_text(json.dumps({"segments": [{"text": self.text, "words": words}]}))
        return ran(self.status)


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return replace(named("one"), media=sound(tmp_path / "one.flac"))


def test_a_result_is_kept_until_something_changes(tmp_path: Path, recording: Recording) -> None:
    tool = FakeTool()
    results = Results(tmp_path / "work", GIVEN, tool)
    first = results.get(ROW, recording)
    assert first.words == ((0.0, 1.0),)
    assert (first.seconds, first.cpu_seconds, first.peak) == (2.0, 3.0, 100)
    assert Results(tmp_path / "work", GIVEN, tool).get(ROW, recording) == first
    assert tool.calls == 1
    Results(tmp_path / "work", replace(GIVEN, compute_type="float32"), tool).get(ROW, recording)
    assert tool.calls == 2


def test_a_row_is_run_again_when_asked_for(tmp_path: Path, recording: Recording) -> None:
    tool = FakeTool()
    results = Results(tmp_path / "work", GIVEN, tool)
    results.get(ROW, recording)
    results.forget(Row(key=BATCHED, label=""))
    results.get(ROW, recording)
    assert tool.calls == 1
    results.forget(ROW)
    results.get(ROW, recording)
    assert tool.calls == 2


def test_a_failure_says_why_and_is_not_kept(tmp_path: Path, recording: Recording) -> None:
    tool = FakeTool(status=1)
    results = Results(tmp_path / "work", GIVEN, tool)
    with pytest.raises(RowFailedError, match=r"^status 1: it broke \(see .*log\.txt\)"):
        results.get(ROW, recording)
    tool.status = 0
    assert results.get(ROW, recording).text == TEXT


def test_declared_gaps_are_a_result_of_ours_and_a_failure_of_others(
    tmp_path: Path, recording: Recording
) -> None:
    results = Results(tmp_path / "work", GIVEN, FakeTool(status=3))
    assert results.get(Row(key=OURS, label=""), recording).text == TEXT
    with pytest.raises(RowFailedError, match="status 3"):
        results.get(ROW, recording)


def test_our_rows_depend_on_our_code_and_others_do_not(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [Row(key=OURS, label=""), ROW]
    before = [rows_module.digest(row, recording, GIVEN) for row in rows]
    monkeypatch.setattr(rows_module, "_digest_of_code", lambda source: "changed")
    after = [rows_module.digest(row, recording, GIVEN) for row in rows]
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_each_row_gets_what_makes_it_different(tmp_path: Path, recording: Recording) -> None:
    def command(row: Row) -> tuple[str, ...]:
        return rows_module.call(row, recording, given, tmp_path).command

    given = replace(GIVEN, before=tmp_path / "old")
    ours, prompt, before = (
        Row(key=OURS, label=""),
        Row(key=OURS_PROMPT, label="", bias="prompt"),
        Row(key=BEFORE, label=""),
    )
    assert "--bias" not in command(ours)
    assert command(prompt)[-4:-1] == ("--bias", "prompt", "--glossary")
    terms = Path(command(prompt)[-1]).read_text().split()
    assert len(terms) == 20
    assert not set(terms) & set(WORDS)
    assert command(before) == command(ours)
    paths = [rows_module.call(row, recording, given, tmp_path).env for row in (ours, before)]
    assert [Path(env["PYTHONPATH"]) for env in paths] == [
        rows_module.ROOT / "src",
        tmp_path / "old" / "src",
    ]
    for row in rows_module.rows_of(given):
        assert "int8" in command(row)


def test_rows_that_cant_be_run_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "_installed", lambda module: module != "whisper")
    by_key = {row.key: row.unavailable for row in rows_module.rows_of(GIVEN)}
    assert by_key["openai"] == "openai-whisper is not installed"
    assert by_key["whisper-cpp"] == "no weights for it: give --ggml-model"
    assert not by_key[OURS]
    assert not by_key[SEQUENTIAL]
    with_weights = replace(GIVEN, ggml_model=Path("ggml.bin"))
    assert not {r.key: r.unavailable for r in rows_module.rows_of(with_weights)}["whisper-cpp"]


def test_the_cpu_time_of_the_whole_tree_is_measured(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "busy = 'import time\\nwhile time.process_time() < 0.4: pass'\n"
        "subprocess.run([sys.executable, '-c', busy])\n"
    )
    run = run_sampled([sys.executable, "-c", code], log=tmp_path / "log", interval=0.05)
    assert run.status == 0
    assert run.cpu_seconds >= 0.4


# --- the table and the verdicts ----------------------------------------------


def result(text: str, *, coverage=(), words=((0.0, 10.0),), seconds: float = 10.0) -> Result:
    return Result(
        digest="",
        text=text,
        words=tuple(words),
        seconds=seconds,
        cpu_seconds=seconds,
        peak=1 << 20,
        coverage=tuple(coverage),
    )


QUIET = Recording(name="quiet", media=Path("quiet.flac"), text="", seconds=60.0)
COVERED = [("text", 0.0, 60.0)]


def lines(mine: Result, *, quiet: str = "", peers: str = TEXT, more=None, ledger: bool = True):
    """Return the lines of Longscribe and both measures, of one recording and non-speech."""
    one = named("one")
    measure = [{"one": score(TEXT, peers)}] * 2
    made = {
        OURS: [(one, mine), (QUIET, result(quiet))],
        SEQUENTIAL: [(one, result(peers))],
        BATCHED: [(one, result(peers, words=()))],
        **{key: [(one, value)] for key, value in (more or {}).items()},
    }
    return {
        key: line_of(
            Row(key=key, label=key),
            results,
            measure,
            lambda _: [(0.0, 10.0), (20.0, 23.0)],
            ledger=ledger and key == OURS,
        )
        for key, results in made.items()
    }


def missed(found) -> list[str]:
    return [each.text for each in verdicts(found) if each.met is False]


GOOD = result(TEXT, coverage=COVERED, words=[(0.0, 10.0), (20.0, 23.0)])


def test_all_is_met_by_a_text_without_faults() -> None:
    found = lines(GOOD, more={BEFORE: GOOD})
    assert [each.met for each in verdicts(found)] == [True] * 6
    assert all(str(each).startswith("- met: ") for each in verdicts(found))


def test_a_dropped_run_is_missed_unless_both_measures_drop_it() -> None:
    gone = replace(GOOD, text=without(2, 3, 4, 5))
    told = missed(lines(gone))
    assert len(told) == 2
    assert "WER 33.33 %" in told[0]
    assert "1 dropped runs of 4 words and more, 0 of them dropped by both" in told[1]
    assert missed(lines(gone, peers=without(2, 3, 4, 5))) == []


def test_speech_without_words_must_be_little_and_listed() -> None:
    unlisted = replace(GOOD, words=((0.0, 10.0),))
    (told,) = missed(lines(unlisted))
    assert told.startswith("3.0 s of speech without words that the ledger does not list (one 20.0")
    coverage = (("text", 0.0, 20.0), ("wordless", 20.0, 23.0), ("text", 23.0, 60.0))
    listed = replace(unlisted, coverage=coverage)
    (told,) = missed(lines(listed))
    assert told.startswith("3.0 s of speech without words, 5.00% of 60 s")
    gap = replace(unlisted, coverage=(("text", 0, 20.0), ("gap", 20.0, 23.0), ("text", 23.0, 60)))
    assert missed(lines(gap)) == []


def test_a_word_in_non_speech_is_missed() -> None:
    (told,) = missed(lines(GOOD, quiet=" Thanks for watching!"))
    assert "3 words in non-speech (thanks for watching)" in told


def test_much_more_time_than_before_is_missed() -> None:
    before = replace(GOOD, seconds=8.0)
    (told,) = missed(lines(GOOD, more={BEFORE: before}))
    assert "10 s, 1.25 times that before" in told


def test_what_was_not_run_is_not_judged() -> None:
    found = lines(GOOD, ledger=False)
    del found[BATCHED]
    told = [str(each) for each in verdicts(found) if each.met is None]
    assert told[0] == "- not judged: WER 0.00 %; needs the rows batched"
    assert "does not know it" in told[1]
    assert "--before" in told[2]
    assert [each.met for each in verdicts({})] == [None]


def test_a_dropped_run_without_the_measures_is_not_judged() -> None:
    found = lines(replace(GOOD, text=without(2, 3, 4, 5)))
    found = {OURS: found[OURS]}
    assert [each.met for each in verdicts(found)][:2] == [None, None]


def test_the_table_has_a_cell_for_every_column() -> None:
    found = list(lines(GOOD).values())
    shown = table(found).splitlines()
    assert len({line.count("|") for line in shown}) == 1
    assert shown[2].startswith("| longscribe | 0.00 | 0 | 0 | 0 | 0 | 0 | 0 | 0.0 s (0.00 %) |")
    batched = [cell.strip() for cell in shown[4].split("|")]
    assert batched[9:11] == ["-", "-"]  # no ledger, no word times


def test_the_details_can_be_written_as_json() -> None:
    gone = replace(GOOD, text=without(2, 3, 4, 5))
    ours, *_ = json.loads(json.dumps(details(list(lines(gone).values()))))
    (one,) = ours["recordings"]
    assert one["dropped_runs"] == [{"words": "charlie delta echo foxtrot", "shared": False}]
    assert (one["words"], one["deletions"], ours["invented"]) == (12, 4, "")
