"""A recognizer under another Python: by the settings file, and by `longscribe install`.

The other Python is a real venv that sees the packages a worker needs and nothing else: not
Longscribe, nor what only the supervisor needs. It is of the same version as ours: no other is
at hand in every place where these tests run.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from longscribe import Options, transcribe, version
from longscribe.errors import WorkerStartError
from longscribe.worker.elsewhere import NEEDS
from tests.e2e.support import MODEL, RATE, SAMPLE, Outcome, longscribe, sample_audio, write_flac
from tests.environments import ENGINE, bare_venv, linked, wheels, worker_venv

pytestmark = pytest.mark.needs_model
NAME = "faster-whisper"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def name_python(home: Path, python: str | Path) -> None:
    (home / "longscribe.toml").write_text(f'[recognizers.{NAME}]\npython = "{python}"\n')


def run(home: Path, out: Path, *more: str, media: Path = SAMPLE) -> Outcome:
    return longscribe(
        *("transcribe", media, "--recognizer", NAME, "--model", MODEL, "--language", "en"),
        *("--output-dir", out, "--beam-size", "1", "--quiet", *more),
        env={"LONGSCRIBE_HOME": str(home)},
    )


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


# --- the settings file -------------------------------------------------------


def test_the_same_text_under_another_python(home: Path, tmp_path: Path) -> None:
    python = worker_venv(tmp_path / "venv")
    name_python(home, python)
    other = run(home, tmp_path / "other")
    assert other.status == 0, other.err
    status = longscribe("inspect", tmp_path / "other" / "sample.longscribe")
    assert f"runs under {python} ({home}/longscribe.toml)" in " ".join(status.out.split())
    ours = run(tmp_path / "nothing", tmp_path / "ours")
    assert ours.status == 0, ours.err
    for name in ("sample.srt", "sample.json"):
        assert (tmp_path / "other" / name).read_bytes() == (tmp_path / "ours" / name).read_bytes()


def test_what_ours_has_on_its_path_does_not_get_there(home: Path, tmp_path: Path) -> None:
    """Else packages built for our Python would be loaded into another."""
    python = worker_venv(tmp_path / "venv")
    (trap,) = (tmp_path / "trap",)
    trap.mkdir()
    (trap / "faster_whisper.py").write_text("raise RuntimeError('from our path')")
    name_python(home, python)
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(trap)])
    command = [sys.executable, "-c", PROBE, str(python)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "found"


PROBE = """
import sys
from pathlib import Path
from longscribe.adapters.environments.trial import try_engine
try_engine("longscribe.adapters.recognizers.faster_whisper:load", Path(sys.argv[1]))
print("found")
"""


@pytest.mark.parametrize(
    ("python", "status", "told"),
    [
        pytest.param("/no/such/python", 2, "which does not exist", id="absent"),
        pytest.param("/etc", 2, "which is a folder", id="folder"),
        pytest.param("/etc/passwd", 2, "which is not executable", id="not executable"),
        pytest.param("/bin/true", 1, "does not run a worker", id="says nothing"),
        pytest.param("/bin/echo", 1, "does not run a worker", id="says something else"),
    ],
)
def test_what_is_no_python(home: Path, tmp_path: Path, python: str, status: int, told: str) -> None:
    name_python(home, python)
    outcome = run(home, tmp_path / "out")
    assert outcome.status == status
    line = outcome.error_line()
    assert told in line
    assert python in line
    assert str(home / "longscribe.toml") in line


def test_a_file_that_is_no_program(home: Path, tmp_path: Path) -> None:
    program = script(tmp_path / "python", "\x7fELF, but no more")
    name_python(home, program)
    outcome = run(home, tmp_path / "out")
    assert outcome.status == 1
    assert f"{program} can't be run: Exec format error" in outcome.error_line()


def test_a_python_that_is_too_old(home: Path, tmp_path: Path) -> None:
    """It takes itself for 3.9: what it then does is what 3.9 would do."""
    old = (
        "import runpy, sys; sys.version_info = (3, 9, 2, 'final', 0); "
        "del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    program = script(
        tmp_path / "python3.9", f'#!/bin/sh\nshift\nexec {sys.executable} -c "{old}" "$@"\n'
    )
    name_python(home, program)
    outcome = run(home, tmp_path / "out")
    assert outcome.status == 1
    assert "(Python 3.9.2) is too old: a worker needs Python 3.11 or newer" in outcome.error_line()


def test_a_python_without_the_packages(home: Path, tmp_path: Path) -> None:
    python = bare_venv(tmp_path / "venv")
    name_python(home, python)
    outcome = run(home, tmp_path / "out")
    assert outcome.status == 1
    line = outcome.error_line()
    assert "can't run a worker: No module named 'pydantic" in line
    assert f"{python} -m pip install numpy" in line


def test_a_python_without_the_engine(home: Path, tmp_path: Path) -> None:
    name_python(home, worker_venv(tmp_path / "venv", NEEDS))
    outcome = run(home, tmp_path / "out")
    assert outcome.status == 1
    assert "needs ctranslate2, which is not installed" in outcome.error_line()


def test_a_thread_can_not_be_another_python(home: Path, tmp_path: Path) -> None:
    name_python(home, sys.executable)
    outcome = run(home, tmp_path / "out", "--isolation", "off")
    assert outcome.status == 2
    assert "Leave out --isolation off" in outcome.error_line()


def test_a_child_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an upgrade in the middle of a job: here the supervisor is the one that changed."""
    monkeypatch.setattr(version, "__version__", "99.0")
    options = Options.build(
        recognizer=NAME, model=str(MODEL), output_dir=tmp_path, language="en", beam_size=1
    )
    with pytest.raises(WorkerStartError, match=r"is of Longscribe 0\.[\d.]+; expected 99\.0"):
        transcribe(SAMPLE, options)


# --- longscribe install ------------------------------------------------------


def pip_finds(found: Path) -> dict[str, str]:
    """Return variables that let pip find wheels in a folder, and nowhere else."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(found), "PIP_CONFIG_FILE": os.devnull}


def install(home: Path, *more: str | Path, found: Path | None = None) -> Outcome:
    env = {"LONGSCRIBE_HOME": str(home), **(pip_finds(found) if found else {}), "COLUMNS": "200"}
    return longscribe("install", *more, env=env)


@pytest.fixture
def found(tmp_path: Path) -> Path:
    links = linked(tmp_path / "linked", (*NEEDS, *ENGINE))
    return wheels(tmp_path / "wheels", links=links)


def test_an_environment_is_made_used_listed_and_removed(
    home: Path, tmp_path: Path, found: Path
) -> None:
    assert "No recognizer has a Python" in install(home, "--list").out
    made = install(home, NAME, found=found)
    assert made.status == 0, made.err
    python = home / "environments" / f"{NAME}-1" / "bin" / "python"
    assert str(python) in made.out
    assert str(python) in install(home, "--list").out
    media = write_flac(tmp_path / "short.flac", sample_audio()[: 10 * RATE])
    done = run(home, tmp_path / "out", media=media)
    assert done.status == 0, done.err
    events = longscribe("inspect", tmp_path / "out" / "short.longscribe").out
    assert f"runs under {python} (longscribe install {NAME})" in " ".join(events.split())
    # Again: it is there, and nothing is made anew (pip would find nothing).
    again = install(home, NAME, found=tmp_path)
    assert again.status == 0, again.err
    assert "Making" not in again.out
    gone = install(home, NAME, "--remove")
    assert gone.status == 0, gone.err
    assert [path.name for path in (home / "environments").iterdir()] == [f"{NAME}.lock"]
    assert install(home, NAME, "--remove").status == 1


def test_an_install_that_was_killed_is_no_environment_and_can_be_run_again(
    home: Path, tmp_path: Path, found: Path
) -> None:
    deadly = script(
        tmp_path / "python",
        f'#!/bin/sh\n{sys.executable} "$@" || exit 1\n'
        'case "$*" in *venv*--*|*"-m venv"*) kill -9 $PPID;; esac\n',
    )
    killed = install(home, NAME, "--python", str(deadly), found=found)
    assert killed.status == -signal.SIGKILL
    half = home / "environments" / f"{NAME}-1"
    assert (half / "bin" / "python").exists(), "it was killed with the venv half done"
    assert "No recognizer has a Python" in install(home, "--list").out
    again = install(home, NAME, found=found)
    assert again.status == 0, again.err
    assert str(half / "bin" / "python") in install(home, "--list").out


def test_what_pip_can_not_find_is_told_and_leaves_nothing(home: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    outcome = install(home, NAME, found=nothing)
    assert outcome.status == 1
    assert outcome.err.splitlines()[-1].startswith(f"error: Can't get {NAME}: No matching")
    log = home / "environments" / f"{NAME}.log"
    assert str(log) in outcome.err
    assert "No matching distribution" in log.read_text()
    assert "No recognizer has a Python" in install(home, "--list").out
    assert not list((home / "environments").glob(f"{NAME}-*"))


def test_what_was_installed_but_does_not_work_does_not_count(home: Path, tmp_path: Path) -> None:
    hollow = wheels(tmp_path / "wheels", links=None)
    outcome = install(home, NAME, found=hollow)
    assert outcome.status == 1
    assert "can't run a worker: No module named" in outcome.error_line()
    assert "No recognizer has a Python" in install(home, "--list").out


def test_a_new_environment_takes_the_place_of_the_old_one_only_when_it_works(
    home: Path, tmp_path: Path, found: Path
) -> None:
    assert install(home, NAME, found=found).status == 0
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    other = ("--override", "numpy>=0.1")
    assert install(home, NAME, *other, found=nothing).status == 1
    assert f"{NAME}-1/bin/python" in install(home, "--list").out
    assert install(home, NAME, *other, found=found).status == 0
    assert f"{NAME}-2/bin/python" in install(home, "--list").out
    assert not (home / "environments" / f"{NAME}-1").exists()


def test_two_installs_at_once(home: Path) -> None:
    (home / "environments").mkdir()
    with (home / "environments" / f"{NAME}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        outcome = install(home, NAME)
    assert outcome.status == 1
    assert "Another install of 'faster-whisper' is at work" in outcome.error_line()


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("parrot",), 1, "There is no environment to be made for 'parrot'"),
        ((), 2, "Which recognizer?"),
        ((NAME, "--python", "/no/such/python"), 2, "--python /no/such/python can't be run"),
        ((NAME, "--python", "/bin/true"), 2, "--python /bin/true is no Python"),
        ((NAME, "--override", "==3"), 1, "'==3' is no requirement"),
        ((NAME, "--remove"), 1, "There is no environment of 'faster-whisper'"),
    ],
)
def test_what_can_not_be_installed(
    home: Path, arguments: tuple[str, ...], status: int, told: str
) -> None:
    outcome = install(home, *arguments)
    assert outcome.status == status, outcome.err
    assert told in outcome.error_line()
