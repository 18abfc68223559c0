"""Records as JSON text and back.

File names on Linux are bytes. Python shows those that are not UTF-8 with lone
surrogates, which pydantic's own JSON refuses and the standard library's escapes.
"""

from __future__ import annotations

import json
from typing import TypeVar

from pydantic import TypeAdapter

Record = TypeVar("Record")


class UnreadableRecordError(ValueError):
    """A text is no record of the kind that was expected."""


def to_json(kind: TypeAdapter[Record], record: Record) -> str:
    """Return `record` as JSON, in ASCII."""
    return json.dumps(kind.dump_python(record, mode="json"), separators=(",", ":"))


def from_json(kind: TypeAdapter[Record], text: str | bytes) -> Record:
    """Return the record written in `text`.

    Raises:
        UnreadableRecordError: it is none of that kind.
    """
    try:
        return kind.validate_python(json.loads(text))
    except RecursionError as error:
        raise UnreadableRecordError("nested too deeply") from error
    except ValueError as error:  # pydantic's own too
        raise UnreadableRecordError(str(error)) from error
