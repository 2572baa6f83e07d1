"""What goes wrong on purpose, one request at a time."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = {
    "timeout": "nothing is done, no answer comes",
    "lost": "the work is done, no answer comes",
    "truncated": "the work is done, the answer breaks off in the middle",
    "cut": "the connection breaks in the middle of what is uploaded; the site keeps what had arrived",
    "slow": "the answer comes, late",
    "503": "503 with a page of the web server",
    "500": "500 with an empty body",
    "empty": "nothing is done, 200 with an empty body",
    "login": "nothing is done, 200 with the page where people log in",
    "failure": "nothing is done, failure with a sentence",
    "session": "all sessions are forgotten before the request is looked at",
    "progress": "mode=import says progress and does nothing",
    "hollow": "mode=import says success and has done nothing",
    "notice": "the work is done, a warning of PHP stands before the answer",
}


@dataclass(slots=True)
class Fault:
    """``part``: what the query has in it ("type=sale", "mode=import"). ``seconds``: how long "slow", "timeout" and "lost" take."""

    kind: str
    times: int = 1
    part: str = ""
    seconds: float = 0.0
    skip: int = 0  # requests of this sort that still go well

    def meets(self, query: str) -> bool:
        right = self.kind not in ("progress", "hollow") or "mode=import" in query
        upload = self.kind != "cut" or "mode=file" in query
        return self.times > 0 and right and upload and all(word in query for word in self.part.split())


class Faults:
    def __init__(self) -> None:
        self.planned: list[Fault] = []
        self.met: list[Fault] = []

    def plan(self, kind: str, times: int = 1, *, part: str = "", seconds: float = 0.0, skip: int = 0) -> Fault:
        """The next ``times`` requests of this sort go wrong. Raises ValueError for an unknown kind."""
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is none of {', '.join(KINDS)}")
        self.planned.append(Fault(kind, times, part, seconds, skip))
        return self.planned[-1]

    def clear(self) -> None:
        self.planned.clear()

    def take(self, query: str) -> Fault | None:
        for fault in self.planned:
            if fault.meets(query):
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if not fault.times:
                    self.planned.remove(fault)
                self.met.append(fault)
                return fault
        return None
