"""Ring 3: one run from start to end, the queue of runs, the clock that asks for them, tidying, and the server."""
