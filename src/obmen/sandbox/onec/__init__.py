"""A 1C to test a server with: catalogues of any size, the HTTP client of several configurations, a little infobase.

``generate`` writes exchange files, ``client`` sends them and fetches orders exactly as one configuration does (``profiles``),
``base`` loads the orders by 1C's rules and reports them back, ``run`` joins these into whole exchanges, ``app`` is the command.
"""

from obmen.sandbox.onec.commands import app

__all__ = ["app"]
