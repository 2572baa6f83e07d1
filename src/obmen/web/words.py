"""Sentences of the hub in the reader's language: store/words.py, which notices need without the pages."""

from obmen.store.words import say, without_facts

__all__ = ["say", "without_facts"]
