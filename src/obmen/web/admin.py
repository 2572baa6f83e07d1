"""Loaded by Django's admin when it starts: registers every page."""

from obmen.web import books, connections, journal, notices, packages, parked, people, runs, tokens

__all__ = ["books", "connections", "journal", "notices", "packages", "parked", "people", "runs", "tokens"]
