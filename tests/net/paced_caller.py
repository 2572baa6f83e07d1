"""A process that calls a peer as often as its pace lets it: ``python caller.py URL FILE CALLS_A_SECOND THREADS SECONDS``."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from obmen.net.client import Client, Pace
from obmen.net.pace import FileSlots


def main() -> None:
    url, file, calls, threads, seconds = sys.argv[1:]
    pace = Pace("account", int(calls), slots=FileSlots(Path(file)))
    with Client(url, pace=pace, allow_private=True) as client:
        ends = time.monotonic() + float(seconds)

        def work() -> None:
            while time.monotonic() < ends:
                client.call("GET", "a")

        workers = [threading.Thread(target=work) for _ in range(int(threads))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        sys.stdout.write(f"{pace.used} {pace.waited:.3f}\n")


if __name__ == "__main__":
    main()
