"""Obmen: a self-hosted exchange hub between the accounting system and every sales channel."""

__version__ = "0.1.0"
