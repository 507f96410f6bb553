"""Searching for an optimum: where it starts, how it goes, and whether it has to start again."""
