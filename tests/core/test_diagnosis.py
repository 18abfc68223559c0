"""What the doctor makes of what it found: whether it blocks, and what mends it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from longscribe.core.diagnosis import (
    JOBS,
    LITTLE_DISK,
    MODELS,
    NO_DISK,
    DiskReport,
    EngineReport,
    Findings,
    WantedModel,
    can_start,
    find_problems,
)
from longscribe.types import Device

CPU = Device(name="cpu", model="a processor", memory=16 * 10**9, free=8 * 10**9, unified=True)
GPU = Device(name="cuda:0", model="a GPU", memory=8 * 10**9, free=8 * 10**9, unified=False)
WORKS = EngineReport(
    name="faster-whisper", installed=True, python="", works=True, versions=(), devices=("cpu",),
    trouble="", mend="",
)  # fmt: skip
BROKEN = replace(WORKS, works=False, devices=(), trouble="it ended with SIGSEGV", mend="mend it")
MODEL = WantedModel(
    name="small", recognizer="faster-whisper", state="whole", missing=(), offline=False, trouble=""
)
WELL = Findings(
    devices=(CPU,),
    engines=(WORKS,),
    chosen="faster-whisper",
    choice="because",
    choice_mend="",
    model=MODEL,
    disks=(DiskReport(purpose=JOBS, path="/here", free=10**12),),
    reading="",
)


def test_where_all_is_well_nothing_is_said() -> None:
    assert find_problems(WELL) == ()
    assert can_start(())


@pytest.mark.parametrize(
    ("changes", "said", "mend", "blocking"),
    [
        (
            {"chosen": "", "choice": "No recognizer is installed.", "choice_mend": "install it"},
            "No recognizer", "install it", True,
        ),
        ({"engines": (BROKEN,)}, "SIGSEGV", "mend it", True),
        ({"engines": (WORKS, replace(BROKEN, name="mlx"))}, "mlx does not work", "mend it", False),
        ({"devices": (GPU, CPU)}, "can't use it", "nvidia-cublas", False),
        (
            {"model": replace(MODEL, state="absent")},
            "not on this machine", "longscribe models fetch small --recognizer faster-whisper",
            False,
        ),
        (
            {"model": replace(MODEL, state="absent", offline=True)},
            "HF_HUB_OFFLINE", "HF_HUB_OFFLINE=0 longscribe models fetch small", True,
        ),
        (
            {"model": replace(MODEL, state="absent", client=False, offline=True)},
            "client", "pip install huggingface-hub", True,
        ),
        (
            {"model": replace(MODEL, state="partial", missing=("model.bin",))},
            "lacks model.bin", "models fetch", False,
        ),
        (
            {"model": replace(MODEL, state="absent", trouble="Unknown model 'smal'.")},
            "Unknown model", "models list", True,
        ),
        (
            {"disks": (DiskReport(purpose=MODELS, path="/c", free=LITTLE_DISK - 1),)},
            "little room for models", "HF_HOME", False,
        ),
        (
            {"disks": (DiskReport(purpose=JOBS, path="/c", free=NO_DISK - 1),)},
            "little room for jobs", "--output-dir", True,
        ),
        ({"devices": (replace(CPU, free=10**8),)}, "Little memory", "--model small", False),
        ({"reading": "av is gone"}, "av is gone", "pip install", True),
    ],
)  # fmt: skip
def test_every_problem_says_what_mends_it(
    changes: dict, said: str, mend: str, blocking: bool
) -> None:
    [problem] = find_problems(replace(WELL, **changes))
    assert said in problem.found
    assert mend in problem.mend
    assert problem.blocking is blocking
    assert can_start([problem]) is not blocking


def test_what_is_not_installed_and_not_chosen_is_no_problem() -> None:
    absent = replace(BROKEN, name="mlx", installed=False, trouble="not installed: mlx")
    assert find_problems(replace(WELL, engines=(WORKS, absent))) == ()


def test_what_blocks_comes_first() -> None:
    found = find_problems(
        replace(WELL, reading="gone", model=replace(MODEL, state="absent"), devices=(GPU, CPU))
    )
    assert [problem.blocking for problem in found] == [True, False, False]


def test_a_model_that_a_recognizer_finds_itself_is_left_to_it() -> None:
    assert find_problems(replace(WELL, model=replace(MODEL, state="unknown"))) == ()
