"""Loaded by Django's admin when it starts: registers every page."""

from obmen.web import books, connections, exchange, people

__all__ = ["books", "connections", "exchange", "people"]
