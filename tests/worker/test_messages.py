"""The protocol between supervisor and children: what is sent arrives, what is not a message is told."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import typing
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longscribe.ports import ReadTask
from longscribe.worker.messages import (
    FROM_CHILD,
    HEADER,
    LONGEST_BODY,
    MAGIC,
    TO_CHILD,
    BatchDone,
    Broke,
    Channel,
    FromChildMessage,
    GarbageError,
    ReadUntil,
    ToChildMessage,
)
from tests.e2e.strategies import any_of, sample

TO_CHILDREN = typing.get_args(ToChildMessage)
FROM_CHILDREN = typing.get_args(FromChildMessage)


def sent(*messages, sends=FROM_CHILD) -> bytes:
    out = io.BytesIO()
    channel = Channel(io.BytesIO(), out, sends=sends, receives=TO_CHILD)
    for message in messages:
        channel.send(message)
    return out.getvalue()


def receiver(data: bytes, receives=FROM_CHILD) -> Channel:
    return Channel(io.BytesIO(data), io.BytesIO(), sends=TO_CHILD, receives=receives)


def frame(body: bytes) -> bytes:
    return HEADER.pack(MAGIC, len(body), zlib.crc32(body)) + body


@pytest.mark.parametrize("kind", TO_CHILDREN, ids=lambda kind: kind.type)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_a_child_is_told_arrives(kind, data: st.DataObject) -> None:
    message = data.draw(any_of(kind))
    assert receiver(sent(message, sends=TO_CHILD), receives=TO_CHILD).receive() == message


@pytest.mark.parametrize("kind", FROM_CHILDREN, ids=lambda kind: kind.type)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_a_child_says_arrives(kind, data: st.DataObject) -> None:
    message = data.draw(any_of(kind))
    assert receiver(sent(message)).receive() == message


@settings(max_examples=50, deadline=None)
@given(messages=st.lists(st.one_of([any_of(kind) for kind in FROM_CHILDREN]), max_size=5))
def test_messages_arrive_in_order_and_then_the_end(messages) -> None:
    channel = receiver(sent(*messages))
    assert [channel.receive() for _ in messages] == messages
    assert channel.receive() is None
    assert channel.receive() is None


@given(data=st.binary(min_size=1, max_size=200))
def test_bytes_that_are_no_message_are_garbage(data: bytes) -> None:
    with pytest.raises(GarbageError):
        receiver(data).receive()


@given(data=st.data())
def test_a_message_cut_short_is_garbage(data: st.DataObject) -> None:
    whole = sent(sample(BatchDone))
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(GarbageError):
        receiver(whole[:cut]).receive()


@given(data=st.data())
def test_a_flipped_bit_is_noticed(data: st.DataObject) -> None:
    whole = bytearray(sent(sample(BatchDone)))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(GarbageError):
        receiver(bytes(whole)).receive()


@pytest.mark.parametrize("length", [LONGEST_BODY + 1, 2**32 - 1])
def test_an_absurd_length_is_not_read(length: int) -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            assert size <= HEADER.size, f"asked for {size} bytes"
            return struct.pack(">4sII", MAGIC, length, 0)

    channel = Channel(Endless(), io.BytesIO(), sends=TO_CHILD, receives=FROM_CHILD)
    with pytest.raises(GarbageError, match="expected a message"):
        channel.receive()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[1]",
        b'{"type": "surprise"}',
        b'{"type": "batch_done", "chunk_id": "three", "samples": 1}',
        b'{"type": "batch_done", "chunk_id": 3}',
        b'{"type": "read_until", "position": 5}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_whole_frame_that_says_nothing_known_is_garbage(body: bytes) -> None:
    with pytest.raises(GarbageError):
        receiver(frame(body)).receive()


def test_a_file_name_that_is_not_utf8_arrives() -> None:
    task = sample(ReadTask, media="/caf\udce9.flac", spool="/caf\udce9/audio.s16")
    assert receiver(sent(task, sends=TO_CHILD), receives=TO_CHILD).receive() == task


def test_a_message_that_quotes_odd_bytes_arrives() -> None:
    """Exception texts hold whatever a file held."""
    broke = sample(Broke, found="can't read 'caf\udce9'")
    assert receiver(sent(broke)).receive() == broke


def test_messages_from_several_threads_stay_whole() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as incoming, os.fdopen(writing, "wb") as outgoing:
        near = Channel(io.BytesIO(), outgoing, sends=FROM_CHILD, receives=TO_CHILD)
        far = Channel(incoming, io.BytesIO(), sends=TO_CHILD, receives=FROM_CHILD)
        threads = [
            threading.Thread(
                target=lambda n=n: [
                    near.send(sample(BatchDone, chunk_id=n, samples=k)) for k in range(200)
                ]
            )
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        seen: dict[int, list[int]] = {}
        for _ in range(800):
            message = far.receive()
            assert isinstance(message, BatchDone)
            seen.setdefault(message.chunk_id, []).append(message.samples)
        for thread in threads:
            thread.join()
    assert seen == {n: list(range(200)) for n in range(4)}


def test_sending_to_one_who_is_gone_is_an_oserror() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    channel = Channel(io.BytesIO(), os.fdopen(writing, "wb"), sends=TO_CHILD, receives=FROM_CHILD)
    with pytest.raises(OSError, match="pipe"):
        channel.send(ReadUntil(position=1))
    channel.close()  # what is still in the buffer no longer matters
    channel.close()


CHILD = """
import os, subprocess, sys
from tests.e2e.strategies import sample
from longscribe.worker.messages import BatchDone, claim_standard_streams
channel = claim_standard_streams()
print("a stray print")
os.write(1, b"and a native one\\n")
subprocess.run([sys.executable, "-c", "print('a grandchild too')"], check=True)
assert sys.stdin.read() == "", "standard input is the protocol's"
assert channel.receive().position == 7
channel.send(sample(BatchDone))
"""


def test_stray_output_of_a_child_does_not_reach_the_protocol() -> None:
    root = Path(__file__).parents[2]
    path = os.pathsep.join((str(root / "src"), str(root)))
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        env={**os.environ, "PYTHONPATH": path},
        input=sent(ReadUntil(position=7), sends=TO_CHILD),
        capture_output=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    channel = receiver(child.stdout)
    assert channel.receive() == sample(BatchDone)
    assert channel.receive() is None
    said = {"a stray print", "and a native one", "a grandchild too"}
    assert set(child.stderr.decode().splitlines()) == said
