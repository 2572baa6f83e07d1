"""Ring 2: the books and what the exchange remembers, as Django models; the engine's Store; bulk writing."""
