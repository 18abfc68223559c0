"""The settings file, and what an environment must hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from longscribe.adapters.environments import places, recipes, registry
from longscribe.adapters.environments.install import Order, install
from longscribe.adapters.environments.registry import Environment
from longscribe.adapters.environments.settings_file import chosen_python, chosen_pythons
from longscribe.adapters.environments.trial import try_engine
from longscribe.cli.installing import list_environments, remove_environment
from longscribe.errors import InstallError, RecognizerError, UsageError, WorkerStartError
from longscribe.wiring import RECOGNIZERS
from longscribe.worker.elsewhere import NEEDS
from tests.environments import ENGINE, bare_venv, linked, packages_with_theirs, wheels, worker_venv


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LONGSCRIBE_HOME", str(tmp_path))
    return tmp_path


# --- where things are --------------------------------------------------------


def test_each_variable_moves_what_it_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert places.settings_file({"LONGSCRIBE_CONFIG": "/a/b.toml"}) == Path("/a/b.toml")
    assert places.settings_file({"LONGSCRIBE_HOME": "/h"}) == Path("/h/longscribe.toml")
    assert places.environments({"LONGSCRIBE_HOME": "/h"}) == Path("/h/environments")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.settings_file({}) == tmp_path / ".config/longscribe/longscribe.toml"
    assert places.environments({}) == tmp_path / ".local/share/longscribe/environments"
    assert places.environments({"XDG_DATA_HOME": "/x"}) == Path("/x/longscribe/environments")
    assert places.environments({"XDG_DATA_HOME": "x"}).is_relative_to(tmp_path)
    monkeypatch.setattr(sys, "platform", "darwin")
    support = tmp_path / "Library/Application Support/longscribe"
    assert places.settings_file({"XDG_CONFIG_HOME": "/x"}) == support / "longscribe.toml"


# --- the settings file -------------------------------------------------------


def test_no_file_names_no_python(home: Path) -> None:
    assert chosen_pythons() == {}


def test_a_path_may_be_absolute_relative_to_the_file_or_on_the_path(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "bin").mkdir()
    (home / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(home / "bin"))
    monkeypatch.setenv("HOME", str(home))
    (home / "longscribe.toml").write_text(
        f'[recognizers.a]\npython = "{home}/bin/python"\n'
        '[recognizers.b]\npython = "bin/python"\n'
        '[recognizers.c]\npython = "python"\n'
        '[recognizers."whisper.cpp"]\npython = "~/bin/python"\n'
    )
    assert list(chosen_pythons()) == ["a", "b", "c", "whisper.cpp"]
    assert set(map(chosen_python, chosen_pythons())) == {home / "bin" / "python"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("[recognizers", "is not valid TOML", id="no TOML"),
        pytest.param("[recognisers.a]\n", "recognisers: there is no such setting", id="table"),
        pytest.param(
            "[recognizers.a]\npyton = 'x'", "recognizers.a.python: it is missing", id="key"
        ),
        pytest.param(
            "[recognizers.a]\npython = 'x'\nspeed = 3",
            "recognizers.a.speed: there is no",
            id="more",
        ),
        pytest.param("[recognizers.a]\npython = 3", "recognizers.a.python is 3", id="number"),
        pytest.param("recognizers = 'a'", "recognizers is 'a'", id="no table"),
        pytest.param(
            "[recognizers.a]\npython = '/no/such'",
            "is '/no/such', which does not exist",
            id="absent",
        ),
        pytest.param(
            "[recognizers.a]\npython = 'nosuchpython'", "which is not on the PATH", id="no command"
        ),
        pytest.param("[recognizers.a]\npython = './'", "which is a folder", id="folder"),
        pytest.param(
            "[recognizers.a]\npython = './longscribe.toml'", "is not executable", id="no program"
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_said(home: Path, text: str, told: str) -> None:
    file = home / "longscribe.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        chosen_python("a")
    assert told in str(caught.value)
    assert str(file) in str(caught.value)
    assert "Expected: [recognizers.NAME] with python" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_folder_of_a_venv_is_nearly_right(home: Path) -> None:
    python = bare_venv(home / "venv")
    (home / "longscribe.toml").write_text("[recognizers.a]\npython = 'venv/'")
    with pytest.raises(UsageError, match=f"Did you mean {python}"):
        chosen_python("a")


def test_a_python_that_has_gone_stops_its_own_recognizer_only(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "longscribe.toml").write_text(
        "[recognizers.whisperx]\npython = '/no/such'\n"
        f"[recognizers.mlx]\npython = '{sys.executable}'\n"
    )
    assert registry.python_for("faster-whisper") is None
    assert registry.python_for("mlx") is not None
    with pytest.raises(UsageError, match=r"recognizers\.whisperx\.python is '/no/such'"):
        registry.python_for("whisperx")
    list_environments()
    stale, good = capsys.readouterr().out.splitlines()
    assert stale.startswith("whisperx: broken: ")
    assert good.startswith(f"mlx: {sys.executable} (")


def test_a_file_that_was_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGSCRIBE_CONFIG", "/no/such.toml")
    with pytest.raises(UsageError, match=r"LONGSCRIBE_CONFIG names /no/such\.toml"):
        chosen_pythons()


def test_bytes_that_are_no_text_are_told(home: Path) -> None:
    (home / "longscribe.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="it is not UTF-8"):
        chosen_pythons()


# --- what is registered ------------------------------------------------------


def environment(name: str = "whisperx", folder: str = "whisperx-1") -> Environment:
    return Environment(
        recognizer=name, folder=folder, base="/usr/bin/python3", requirements=("a",), overrides=(),
        made_by="0.1.0", seconds=1.0,
    )  # fmt: skip


def test_a_folder_counts_once_its_marker_is_there(home: Path) -> None:
    folder = home / "environments" / "whisperx-1"
    bare_venv(folder)
    assert registry.python_for("whisperx") is None
    assert registry.leftovers("whisperx") == (folder,)
    registry.register(environment())
    found = registry.python_for("whisperx")
    assert found is not None
    assert found.path == folder / "bin" / "python"
    assert registry.leftovers("whisperx") == ()
    assert registry.marked() == ("whisperx",)


def test_the_settings_file_goes_before_what_was_installed(home: Path) -> None:
    bare_venv(home / "environments" / "whisperx-1")
    registry.register(environment())
    (home / "longscribe.toml").write_text(f"[recognizers.whisperx]\npython = '{sys.executable}'")
    found = registry.python_for("whisperx")
    assert found is not None
    assert (found.path, found.source) == (Path(sys.executable), str(home / "longscribe.toml"))


def test_an_environment_that_has_gone_is_an_error(home: Path) -> None:
    (home / "environments").mkdir()
    registry.register(environment())
    with pytest.raises(RecognizerError, match="Run: longscribe install whisperx"):
        registry.python_for("whisperx")


def test_a_damaged_marker_is_an_error(home: Path) -> None:
    (home / "environments").mkdir()
    (home / "environments" / "whisperx.json").write_text("{")
    with pytest.raises(RecognizerError, match="Run: longscribe install whisperx"):
        registry.python_for("whisperx")


UNREADABLE = [
    pytest.param("{", "JSONDecodeError", id="damaged"),
    pytest.param(
        '{"recognizer": {}, "place": "whisperx-1"}', "ValidationError", id="of a later one"
    ),
]


@pytest.mark.parametrize(("text", "told"), UNREADABLE)
def test_a_marker_that_can_t_be_read_is_told_in_a_line_and_removed(
    home: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    folder = home / "environments" / "whisperx-1"
    folder.mkdir(parents=True)
    marker = home / "environments" / "whisperx.json"
    marker.write_text(text)
    list_environments()
    assert capsys.readouterr().out == (
        f"whisperx: broken: {marker} can't be read ({told}). Run: longscribe install whisperx.\n"
    )
    remove_environment("whisperx")
    assert not folder.exists()
    assert registry.marked() == ()
    with pytest.raises(InstallError, match="There is no environment"):
        remove_environment("whisperx")


@pytest.mark.needs_model
def test_install_replaces_a_marker_that_can_t_be_read(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "faster-whisper"
    marker = home / "environments" / f"{name}.json"
    marker.parent.mkdir()
    marker.write_text("{")
    found = wheels(tmp_path / "wheels", links=linked(tmp_path / "linked", (*NEEDS, *ENGINE)))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(found))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    order = Order(recognizer=name, factory=FASTER_WHISPER, python=None, overrides=())
    made, _ = install(order, lambda _: None)
    assert registry.installed(name) == made


def test_leftovers_of_another_recognizer_are_left_alone(home: Path) -> None:
    for name in ("whisper-1", "whisper-cpp-1", "whisper-x"):
        (home / "environments" / name).mkdir(parents=True)
    assert [folder.name for folder in registry.leftovers("whisper")] == ["whisper-1"]


# --- what goes into one ------------------------------------------------------


@pytest.mark.parametrize("name", sorted(recipes.EXTRAS))
def test_every_recipe_is_an_extra_of_ours(name: str) -> None:
    requirements = recipes.engine_requirements(name)
    assert requirements
    assert not any("extra" in one for one in requirements)


def test_every_recognizer_of_ours_has_a_recipe() -> None:
    assert set(recipes.EXTRAS) == set(RECOGNIZERS)


def test_markers_stay_without_the_extra() -> None:
    mlx = recipes.engine_requirements("mlx")
    assert any(one.replace('"', "'").endswith("; sys_platform == 'darwin'") for one in mlx), mlx


def test_an_unknown_recognizer_has_no_recipe() -> None:
    with pytest.raises(InstallError, match="Known: faster-whisper"):
        recipes.engine_requirements("parrot")


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        ("torch==2.8.0", "torch"),
        ("Typing_Extensions >= 4; python_version < '4'", "typing-extensions"),
        ("a.b[c]>=1", "a-b"),
        ("/tmp/x/torch_audio-2.1-cp311-none-any.whl", "torch-audio"),
        ("whisperx @ https://example.org/x.zip", "whisperx"),
    ],
)
def test_the_name_in_a_requirement(requirement: str, name: str) -> None:
    assert recipes.name_of(requirement) == name


def test_no_name_in_a_requirement() -> None:
    with pytest.raises(InstallError, match="no requirement"):
        recipes.name_of("==3")


def test_the_worker_asks_for_what_it_imports() -> None:
    """In an interpreter that sees only that, and with the language tools, all of it loads."""
    assert {recipes.name_of(one) for one in recipes.worker_requirements()} == set(NEEDS)
    code = (
        "import sys, longscribe.worker.recognizer, longscribe.adapters.language.tools as tools;"
        "tools.load('letters', 'en').commonness('house');"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    for name in ("numpy", "pydantic", "pydantic_settings", "rapidfuzz", "spellchecker"):
        assert name in imported, f"{name} is not needed"
    assert not imported & {"av", "onnxruntime", "typer", "rich", "pysubs2", "yaml"}


# --- a trial in a child ------------------------------------------------------

FASTER_WHISPER = "longscribe.adapters.recognizers.faster_whisper:load"


@pytest.mark.needs_model
def test_a_python_with_all_it_needs_finds_the_engine(tmp_path: Path) -> None:
    assert packages_with_theirs(NEEDS) >= set(NEEDS)
    python = worker_venv(tmp_path / "venv")
    code = "import importlib.util as u; print(u.find_spec('longscribe'), u.find_spec('typer'))"
    seen = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.split() == ["None", "None"], "it would prove nothing"
    assert try_engine(FASTER_WHISPER, python).python == sys.version.split()[0]


def test_a_python_without_the_engine_says_what_it_lacks(tmp_path: Path) -> None:
    python = worker_venv(tmp_path / "venv", NEEDS)
    with pytest.raises(RecognizerError, match=r"needs ctranslate2|needs faster_whisper"):
        try_engine(FASTER_WHISPER, python)


def test_a_python_without_the_worker_s_packages_says_what_it_lacks(tmp_path: Path) -> None:
    python = bare_venv(tmp_path / "venv")
    with pytest.raises(WorkerStartError) as caught:
        try_engine(FASTER_WHISPER, python)
    assert "can't run a worker: No module named 'pydantic" in caught.value.found
    assert f"Run: {python} -m pip install numpy" in caught.value.remedy


def test_another_longscribe_that_is_installed_there_is_not_taken(tmp_path: Path) -> None:
    python = worker_venv(tmp_path / "venv", (*NEEDS, *ENGINE))
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "longscribe").mkdir()
    (site / "longscribe" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    try_engine(FASTER_WHISPER, python)


def test_a_crash_while_importing_is_reported(tmp_path: Path) -> None:
    python = worker_venv(tmp_path / "venv", NEEDS)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "crashing.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(WorkerStartError, match="SIGSEGV"):
        try_engine("crashing:load", python)


def test_an_import_that_hangs_is_given_up(tmp_path: Path) -> None:
    python = worker_venv(tmp_path / "venv", NEEDS)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "hanging.py").write_text("import time\nwhile True: time.sleep(1)")
    with pytest.raises(WorkerStartError, match="took too long"):
        try_engine("hanging:load", python, patience=5.0)
