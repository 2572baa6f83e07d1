"""Runnable stand-ins for outside systems, built from recorded facts. Tests, the demo and the command line use them."""
