"""How dates are written on our pages: short, since most of them stand in tables."""
