"""Speech probabilities by Silero VAD v6, through onnxruntime.

The network reads 32 ms frames, each behind the last 64 samples of the frame
before it, and carries an LSTM state from frame to frame. All three are kept
between calls, so a recording may come in any pieces.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from longscribe.errors import ModelError, WorkerStartError

if TYPE_CHECKING:
    import numpy.typing as npt
    import onnxruntime

    from longscribe.ports import Pcm

    Floats = npt.NDArray[np.float32]

FRAME = 512
"""Samples a frame (32 ms), fixed by the network."""
_CONTEXT = 64
"""Samples of the frame before that the network sees again."""
_STATE_SHAPE = (1, 1, 128)
_BATCH = 32
"""Frames in one run of the network (about a second).

Fixed, because the last bits of its sums depend on the batch: only so are the
values exactly the same however the audio was cut into calls.
"""
_FILE = "silero_vad_v6.onnx"


class SileroDetector:
    """Fulfils `SpeechDetector` for one recording; after `flush` it is ready for the next.

    Raises:
        WorkerStartError: onnxruntime isn't installed.
        ModelError: the network's file is missing or damaged.
    """

    def __init__(self) -> None:
        self.frame = FRAME
        self._session = _load()
        self._pending: Pcm
        self._context: Floats
        self._hidden: Floats
        self._cell: Floats
        self._reset()

    def probabilities(self, pcm: Pcm) -> list[float]:
        """Take samples, shape (n,); return a value for each frame that completes a batch."""
        self._pending = np.concatenate((self._pending, pcm))
        found: list[float] = []
        batch = _BATCH * FRAME
        whole = len(self._pending) - len(self._pending) % batch
        for start in range(0, whole, batch):
            found += self._run(self._pending[start : start + batch])
        self._pending = self._pending[whole:].copy()
        return found

    def flush(self) -> list[float]:
        """Return the values of the frames begun since the last batch, and forget the recording."""
        owed = -(-len(self._pending) // FRAME)
        found = self._run(np.pad(self._pending, (0, owed * FRAME - len(self._pending))))
        self._reset()
        return found

    def _reset(self) -> None:
        self._pending = np.zeros(0, dtype=np.int16)
        self._context = np.zeros(_CONTEXT, dtype=np.float32)
        self._hidden = np.zeros(_STATE_SHAPE, dtype=np.float32)
        self._cell = np.zeros(_STATE_SHAPE, dtype=np.float32)

    def _run(self, pcm: Pcm) -> list[float]:
        """Run the network over whole frames; return their probabilities."""
        if not len(pcm):
            return []
        audio = pcm.astype(np.float32) / np.float32(32768)
        frames = audio.reshape(-1, FRAME)
        tails = frames[:, -_CONTEXT:]
        contexts = np.concatenate((self._context.reshape(1, -1), tails[:-1]))
        found, self._hidden, self._cell = self._session.run(
            ["speech_probs", "hn", "cn"],
            {
                "input": np.concatenate((contexts, frames), axis=1),
                "h": self._hidden,
                "c": self._cell,
            },
        )
        self._context = tails[-1].copy()
        return [float(value) for value in found.reshape(-1)]


def _load() -> onnxruntime.InferenceSession:
    try:
        import onnxruntime  # noqa: PLC0415 - native code, wanted only in the reader process
    except ImportError as error:
        raise WorkerStartError(
            f"Speech can't be detected without onnxruntime ({error}).",
            "Install it: pip install onnxruntime.",
        ) from error
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    try:
        network = resources.files("longscribe.adapters.vad").joinpath(_FILE).read_bytes()
        return onnxruntime.InferenceSession(
            network, sess_options=options, providers=["CPUExecutionProvider"]
        )
    # onnxruntime's own errors share no base class but this.
    except Exception as error:
        raise ModelError(
            f"The speech detector's network {_FILE} can't be loaded: {error}.",
            "The installation is damaged; reinstall longscribe.",
        ) from error
