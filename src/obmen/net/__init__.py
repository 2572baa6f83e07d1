"""The HTTP client handed to connectors: client.py (calls), pace.py (how often), guard.py (where to), redact.py (what is kept)."""
