"""The parts of `bench/long_form.py`: recordings, rows, their runs, scores, the table, verdicts."""
