"""What all marketplaces have in common (seed 000): one marketplace fills in ``api.Market`` and gets every stream, table and page.

api.py is what a marketplace has to say for itself, settings.py and tables.py what an owner chooses, orders.py and statuses.py
the orders, cards.py and goods.py the goods, attributes.py their conversions, feed.py the price list, connector.py the whole.
"""
