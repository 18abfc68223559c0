"""Child processes: the messages they speak, and their main loops.

`messages` is shared with the supervisor. `reader` and `recognizer` are run as
`python -m longscribe.worker.reader` and `python -m longscribe.worker.recognizer`;
nothing imports them.
"""
