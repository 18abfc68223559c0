"""All that the command prints goes through one place."""

from __future__ import annotations

import ast
import io
import sys
from pathlib import Path

import pytest
from rich.table import Table

import longscribe.cli
from longscribe.cli.progress import Display
from longscribe.cli.terminal import Terminal, messages, print_plain, results, shown, shown_lines
from longscribe.errors import MediaError, UsageError
from longscribe.job_events import Notice, RunFinished, WorkerReady

ESC = "\x1b]0;owned\x07\x1b[31m\u202e[red]x[/] :smile:"
ESCAPED = r"\x1b]0;owned\x07\x1b[31m\u202e[red]x[/] :smile:"


class Screen:
    """What was printed, to standard output or standard error."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured

    def getvalue(self) -> str:
        printed = self._captured.readouterr()
        return printed.out + printed.err


@pytest.fixture
def screen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("COLUMNS", "300")
    return Screen(capsys)


def test_text_from_elsewhere_is_shown_as_it_is(screen: Screen) -> None:
    results().print(f"[bold]{shown(ESC)}[/bold]")
    table = Table("name")
    table.add_row(shown(ESC))
    results().print(table)
    messages().print(shown_lines(f"{ESC}\n{ESC}"))
    text = screen.getvalue()
    assert text.count(ESCAPED) == 4
    assert "\x1b" not in text


@pytest.mark.parametrize("make", [results, messages])
def test_what_forgets_to_escape_commands_nothing_all_the_same(make, screen: Screen) -> None:
    table = Table("name", title="\x1bT")
    table.add_row("\x9b2J")
    make().print("\x1b]0;owned\x07 one\ntwo")
    make().print(table)
    text = screen.getvalue()
    assert not {"\x1b", "\x9b", "\x07"} & set(text)
    assert "one\ntwo" in text


def test_a_job_is_shown_with_whatever_its_names_hold(screen: Screen, tmp_path: Path) -> None:
    display = Display(
        messages(), Path(f"{ESC}.mka".replace("/", "")), tmp_path, tmp_path, False, True
    )
    with display:
        display.show(Notice(message=f"engine: {ESC}"))
        display.show(
            WorkerReady(worker=0, pid=1, device=ESC, compute_type="int8", seconds=1.0, memory=None)
        )
        display.show(RunFinished(gaps=1, duration=16_000, text=16_000, silence=0))
        display.error(MediaError(f"{ESC} is no media."))
    display.interrupted()
    text = screen.getvalue()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.count(r"\x1b]0;owned\x07") >= 4
    assert "[red]x[]" in text


def test_an_error_names_the_media_once(screen: Screen, tmp_path: Path) -> None:
    display = Display(messages(), Path("a/talk.mp3"), tmp_path, tmp_path, False, False)
    display.error(UsageError("There is no file /x/a/talk.mp3.", "Check the path."))
    display.error(UsageError("Unknown model 'x'."))
    first, second = screen.getvalue().splitlines()
    assert first == "error: There is no file /x/a/talk.mp3. Check the path."
    assert second == "error: talk.mp3: Unknown model 'x'."


class Broken(io.StringIO):
    """A terminal that was closed."""

    def write(self, _text: str) -> int:
        raise OSError(5, "Input/output error")

    def flush(self) -> None:
        raise OSError(5, "Input/output error")


def test_messages_that_nobody_can_read_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (Broken(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        messages().print("hello")


def test_results_that_can_not_be_written_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Broken())
    with pytest.raises(OSError, match="Input"):
        results().print("hello")
    with pytest.raises(OSError, match="Input"):
        print_plain("hello")


def test_nothing_in_the_command_prints_by_another_way() -> None:
    """Else a name would reach the terminal raw where somebody forgot."""
    folder = Path(longscribe.cli.__file__).parent
    for file in folder.glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        if file.name == "terminal.py":
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                names = {alias.name for alias in node.names}
                assert not names & {"Console", "escape", "Text", "print"}, f"{file}: {names}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{file}:{node.lineno}"


def test_the_console_is_one_of_rich() -> None:
    assert isinstance(results(), Terminal)
