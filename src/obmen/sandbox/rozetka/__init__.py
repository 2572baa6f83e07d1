"""Rozetka to test a connector with: its Seller API on a real socket, data in memory, faults on request, pages for a person.

``account.Rozetka`` is the seller's account and the test's hands, ``serve`` puts it on a port, ``commands`` is the command.
"""

from obmen.sandbox.rozetka.account import Rozetka, SoldOut
from obmen.sandbox.stand import Server, serve

__all__ = ["Rozetka", "Server", "SoldOut", "serve"]
