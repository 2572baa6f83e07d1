"""Ring 4: sign-in, pages, forms made from settings, doors (HTTP → Door)."""
