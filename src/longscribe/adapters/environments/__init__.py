"""Pythons of their own for recognizers: where they are written down, found, made and tried."""
