"""RetailCRM to test a connector with: API v5 on a real socket, its data in memory, faults on request, a page for a person.

``crm.RetailCRM`` is the account and the test's hands, ``server.serve`` puts it on a port, ``commands`` is the command.
"""

from obmen.sandbox.retailcrm.crm import RetailCRM
from obmen.sandbox.retailcrm.server import Server, serve

__all__ = ["RetailCRM", "Server", "serve"]
