"""Prom.ua to test a connector with: its public API on a real socket, data in memory, faults on request, pages for a person.

``account.Prom`` is the shop and the test's hands, ``serve`` puts it on a port, ``commands`` is the command.
"""

from obmen.sandbox.prom.account import Prom, SoldOut
from obmen.sandbox.stand import Server, serve

__all__ = ["Prom", "Server", "SoldOut", "serve"]
