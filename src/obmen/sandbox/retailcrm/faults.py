"""What goes wrong on purpose, one request at a time."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = {
    "503": "the rate limit is exceeded",
    "429": "too many requests",
    "500": "Internal Server Error, as an HTML page",
    "timeout": "nothing is done, no answer comes",
    "lost": "the work is done, no answer comes",
    "truncated": "the answer breaks off in the middle of its JSON",
    "revoked": "the key is no longer valid",
    "html": "the right status, a web page instead of JSON",
    "slow": "the answer comes, late",
    "partial": "an upload fails for every second row",
}


@dataclass(slots=True)
class Fault:
    """``seconds``: how long "slow", "timeout" and "lost" take; 0 drops the connection at once. ``path``: part of the path."""

    kind: str
    times: int = 1
    path: str = ""
    method: str = ""
    seconds: float = 0.0
    skip: int = 0  # requests of this sort that still go well

    def meets(self, method: str, path: str) -> bool:
        return self.times > 0 and self.path in path and self.method in ("", method)


class Faults:
    def __init__(self) -> None:
        self.planned: list[Fault] = []

    def plan(self, kind: str, times: int = 1, *, path: str = "", method: str = "", seconds: float = 0.0, skip: int = 0) -> Fault:
        """The next ``times`` requests of this sort go wrong. Raises ValueError for an unknown kind."""
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is none of {', '.join(KINDS)}")
        self.planned.append(Fault(kind, times, path, method, seconds, skip))
        return self.planned[-1]

    def clear(self) -> None:
        self.planned.clear()

    def take(self, method: str, path: str) -> Fault | None:
        for fault in self.planned:
            if fault.meets(method, path):
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if not fault.times:
                    self.planned.remove(fault)
                return fault
        return None
