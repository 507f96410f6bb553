"""The version of hier."""

__version__ = "0.1.0"
