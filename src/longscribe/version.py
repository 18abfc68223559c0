"""The version: of the package, and of what its processes say to each other."""

__version__ = "0.1.0"
