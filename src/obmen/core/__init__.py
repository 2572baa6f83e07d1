"""Ring 0, the exchange itself: records, the connector contract, the engine. No Django, no network, no clock, no randomness."""
