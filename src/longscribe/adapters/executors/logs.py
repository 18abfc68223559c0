"""The logs of children in the folder `dumps`: what each wrote on its standard error."""

from __future__ import annotations

import re
from pathlib import Path


def next_log(dumps: Path, name: str) -> Path:
    """Make the next numbered log of a child; whatever else lies there is left alone."""
    numbers = (path.stem.rpartition("-")[2] for path in dumps.glob(f"{name}-*"))
    number = max((int(each) for each in numbers if _NUMBER.fullmatch(each)), default=0) + 1
    log = dumps / f"{name}-{number}.log"
    log.touch(exist_ok=False)
    return log


_NUMBER = re.compile("[0-9]{1,9}")
