"""The API under ``/api/``: what the pages do, for programs. The same functions, permissions and words; docs/api.md."""
