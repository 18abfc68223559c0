"""Reading a long file takes no more memory than reading a short one."""

import numpy as np
import psutil

from longscribe.adapters.media.pyav import open_media
from tests.media_samples import RATE, Track, bursts, write

MINUTES = 30


def test_half_an_hour_and_a_long_gap(tmp_path):
    """The file has a gap of an hour in the middle: an hour of silence, block by block."""
    middle = MINUTES * 30.0
    sound = np.tile(bursts(RATE, 60.0, [1.0], peak=0.3), MINUTES)
    path = write(
        tmp_path / "long.mka",
        Track(
            sound=sound,
            rate=RATE,
            codec="flac",
            format="s16",
            retime=lambda t: t if t < middle else t + 3600.0,
        ),
    )
    del sound
    reader = open_media(path, None)
    process = psutil.Process()
    samples, settled, most = 0, 0, 0
    for block in reader.blocks():
        assert len(block) <= RATE
        samples += len(block)
        reader.problems()
        if samples > 120 * RATE:
            held = process.memory_info().rss
            settled = settled or held
            most = max(most, held)
    reader.close()
    assert samples == (MINUTES * 60 + 3600) * RATE
    assert most - settled < 8 * 2**20
