"""A little site on a real socket that answers 1C by the book and writes down what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

EMPTY = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<КоммерческаяИнформация ВерсияСхемы="2.05" ДатаФормирования="2025-04-03T09:10:00"/>'
)


@dataclass
class Asked:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def line(self) -> str:
        return f"{self.method} {self.query}"

    def param(self, name: str) -> str:
        return next((p.partition("=")[2] for p in self.query.split("&") if p.startswith(f"{name}=")), "")


@dataclass
class Site:
    """``answers`` may answer a call before the site's own rules do: it returns text, bytes, (status, text), or None."""

    zip: str = "no"
    limit: str = "104857600"
    progress: int = 0  # how often mode=import says progress
    sessid: str = ""
    timestamp: str = ""
    orders: list[str] = field(default_factory=list)  # answers to query, in turn; the last is repeated
    answers: Callable[[Asked], object] = lambda _asked: None
    charset: str = "utf-8"
    asked: list[Asked] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def __enter__(self) -> Site:
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path, _mark, query = self.path.partition("?")
                asked = Asked(self.command, path, unquote(query), {k.lower(): v for k, v in self.headers.items()}, body)
                site.asked.append(asked)
                answer = site.answers(asked)
                status = 200
                if isinstance(answer, tuple):
                    status, answer = answer
                if answer is None:
                    answer = site.answer(asked)
                data = answer if isinstance(answer, bytes) else str(answer).encode(site.charset)
                self.send_response(status)
                self.send_header("Content-Type", f"text/plain; charset={site.charset}")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = handle_one

            def log_message(self, *_args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_args: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/exchange/1c"

    @property
    def lines(self) -> list[str]:
        """What was asked, with the session's token and random names left out."""
        return [a.line for a in self.asked]

    def answer(self, asked: Asked) -> str:
        mode, name = asked.param("mode"), asked.param("filename")
        match mode:
            case "checkauth":
                lines = ["success", "PHPSESSID", f"cookie{sum(a.param('mode') == 'checkauth' for a in self.asked)}"]
                if self.sessid:
                    lines.append(f"sessid={self.sessid}")
                if self.timestamp:
                    lines.append(f"timestamp={self.timestamp}")
                return "\n".join(lines)
            case "init":
                self.files.clear()
                extra = f"\nsessid={self.sessid}\nversion={asked.param('version')}" if asked.param("version") else ""
                return f"zip={self.zip}\nfile_limit={self.limit}{extra}"
            case "file":
                self.files[name] = self.files.get(name, b"") + asked.body
                return "success"
            case "import":
                done = sum(a.param("mode") == "import" and a.param("filename") == name for a in self.asked)
                return "progress\n50 %" if done <= self.progress else "success"
            case "query":
                return (self.orders.pop(0) if len(self.orders) > 1 else self.orders[0]) if self.orders else EMPTY
            case "success" | "deactivate" | "complete":
                return "success"
        return "failure\nUnknown command type."


def order(number: str = "1001", **changed: str) -> str:
    """One Документ; ``changed`` replaces or adds children, "" for the value makes an empty element, "-" leaves it out."""
    party = "<Контрагент><Ид>101</Ид><Наименование>Тестов Тест</Наименование><ПолноеНаименование>Тестов Тест</ПолноеНаименование></Контрагент>"
    line = (
        "<Товар><Ид>{ид}</Ид><Артикул>SH-1</Артикул><Наименование>Ботинки</Наименование><ЦенаЗаЕдиницу>100.00</ЦенаЗаЕдиницу>"
        "<Количество>2</Количество><Сумма>200.00</Сумма></Товар>"
    ).format(ид="11111111-0000-4000-8000-000000000001")
    parts = {
        "Ид": number, "Номер": number, "Дата": "2025-04-03", "Время": "09:05:07", "ХозОперация": "Заказ товара",
        "Роль": "Продавец", "Валюта": "RUB", "Курс": "1", "Сумма": "200.00", "Контрагенты": party, "Товары": line,
    } | changed  # fmt: skip
    return "<Документ>" + "".join(f"<{k}>{v}</{k}>" for k, v in parts.items() if v != "-") + "</Документ>"


def orders(*documents: str, root: str = "") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<КоммерческаяИнформация ВерсияСхемы="2.08"{root}>{"".join(documents)}'
        "</КоммерческаяИнформация>"
    )


def requisites(**pairs: str) -> str:
    return "".join(
        f"<ЗначениеРеквизита><Наименование>{k.replace('_', ' ')}</Наименование><Значение>{v}</Значение></ЗначениеРеквизита>"
        for k, v in pairs.items()
    )
