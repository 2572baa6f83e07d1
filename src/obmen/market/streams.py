"""The streams of a marketplace's connection, in the order in which a run does them."""

ORDERS_IN = "orders-in"
STATUSES_OUT = "statuses-out"  # statuses, cancellations and tracking numbers of orders that came from there
PRODUCTS_IN = "products-in"  # their cards: linked to ours, or made new
PRODUCTS_OUT = "products-out"  # names, descriptions and attributes of linked cards
OFFERS_OUT = "offers-out"  # stock and prices of linked cards
CATALOGUE_OUT = "catalogue-out"  # the price list (YML) that they fetch
STREAMS = (ORDERS_IN, PRODUCTS_IN, STATUSES_OUT, PRODUCTS_OUT, OFFERS_OUT, CATALOGUE_OUT)
