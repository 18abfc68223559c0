"""The transformers recognizer on a GPU whose memory runs out, as named to a worker.

What is decoded, how, and what the worker does about it is all real: torch itself is
told to take no more than a share of the GPU, by which it raises its own error.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import torch

from longscribe.adapters.recognizers import transformers
from longscribe.config import Options, RecognizerSettings
from longscribe.ports import Recognizer, WindowAudio
from longscribe.types import Span, Window, WindowBias

LENGTH = 30 * 16_000
SCARCE = "LONGSCRIBES_TEST_GPU_ROOM"
"""`some`: room for a window but not for eight. `none`: not even for one."""


def load(settings: RecognizerSettings, model_path: str) -> Recognizer:
    """Load the real recognizer; then leave it that much room on the GPU, and no more."""
    recognizer = transformers.load(settings, model_path)
    if recognizer.device.startswith("cuda"):
        need(recognizer, 1)  # the first decode makes what stays, such as cuBLAS's workspace
        alone, together = need(recognizer, 1), need(recognizer, 8)
        assert together > 1.5 * alone > 0, (alone, together)
        leave_room((alone + together) // 2 if os.environ[SCARCE] == "some" else alone // 4)
    return recognizer


def need(recognizer: Recognizer, windows: int) -> int:
    """Return the bytes of GPU memory that so many windows take together, beside the model."""
    noise = np.random.default_rng(windows).normal(0, 3000, (windows, LENGTH)).astype(np.int16)
    span = Span(start=0, end=LENGTH)
    audio = [
        WindowAudio(
            window=Window(index=index, span=span, owns=span, speech=LENGTH),
            bias=WindowBias(bias_window_id=None, terms=()),
            pcm=pcm,
        )
        for index, pcm in enumerate(noise)
    ]
    settings = replace(Options(language="en").decode_settings, batch_size=windows)
    forget(recognizer)
    before = torch.cuda.memory_reserved()
    torch.cuda.reset_peak_memory_stats()
    for _ in recognizer.decode(audio, settings, 0):
        pass
    most = torch.cuda.max_memory_reserved()
    forget(recognizer)
    return most - before


def forget(recognizer: Recognizer) -> None:
    recognizer._encoded.clear()  # type: ignore[attr-defined]
    torch.cuda.empty_cache()


def leave_room(room: int) -> None:
    memory = torch.cuda.get_device_properties(0).total_memory
    share = (torch.cuda.memory_reserved() + room) / memory
    torch.cuda.set_per_process_memory_fraction(share)
