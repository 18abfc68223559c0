"""Longscribe transcribes hours of speech and cannot lose the work."""

__version__ = "0.1.0"
