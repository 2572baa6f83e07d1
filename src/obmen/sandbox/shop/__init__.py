"""Shops to test a connector with: CommerceML servers on a real socket that answer as known shops do, warts included.

``profiles.make`` opens a shop, ``server.serve`` puts it on a port, ``commands`` is the command, ``ui`` its page for a person.
"""

from obmen.sandbox.shop.base import Shop
from obmen.sandbox.shop.profiles import PROFILES, make
from obmen.sandbox.shop.server import Server, serve
from obmen.sandbox.shop.state import Buyer, Line

__all__ = ["PROFILES", "Buyer", "Line", "Server", "Shop", "make", "serve"]
