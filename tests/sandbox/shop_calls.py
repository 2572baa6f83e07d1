"""What a test of a shop sends: calls as 1C makes them, and files as it writes them."""

from __future__ import annotations

import base64
import io
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from obmen.sandbox.shop import Shop
from obmen.sandbox.shop.call import Request

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
CUP, MUG = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
RED, BLUE = "aaaaaaaa-1111-4111-8111-111111111111", "bbbbbbbb-1111-4111-8111-111111111111"
RETAIL, BULK = "pppppppp-1111-4111-8111-111111111111", "qqqqqqqq-1111-4111-8111-111111111111"


@dataclass
class OneC:
    """Speaks to a shop without a socket: the cookie is kept, the login goes with every call."""

    shop: Shop
    type: str = "catalog"
    cookie: str = ""
    sessid: str = ""
    auth: tuple[str, str] | None = ("", "")
    heard: list[str] = field(default_factory=list)

    def request(self, mode: str, more: str = "", body: bytes | None = None, type: str = "") -> Request:
        query = f"type={type or self.type}&mode={mode}{more}" + (f"&sessid={self.sessid}" if self.sessid else "")
        headers = {"cookie": self.cookie} if self.cookie else {}
        if self.auth is not None:
            login, password = self.auth if self.auth != ("", "") else (self.shop.login, self.shop.password)
            headers["authorization"] = "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()
        return Request("GET" if body is None else "POST", self.shop.address, query, headers, body or b"")

    def raw(self, mode: str, more: str = "", body: bytes | None = None, type: str = "") -> bytes:
        request = self.request(mode, more, body, type)
        answer = self.shop.handle(request, self.shop.meet(request))
        assert answer is not None
        self.status, self.content_type = answer.status, answer.content_type
        return answer.body

    def say(self, mode: str, more: str = "", body: bytes | None = None, type: str = "") -> str:
        raw = self.raw(mode, more, body, type)
        text = raw.decode("windows-1251" if "1251" in self.content_type else "utf-8")
        self.heard.append(text)
        return text

    def open(self, type: str = "", sessid: bool = False) -> str:
        self.type, self.cookie, self.sessid = type or self.type, "", ""
        said = self.say("checkauth")
        lines = said.split("\n")
        self.cookie = f"{lines[1]}={lines[2]}"
        if sessid:
            self.sessid = lines[3].removeprefix("sessid=")
        return said

    def load(self, name: str, raw: bytes, limit: int = 10_000_000) -> list[str]:
        """checkauth, init, file, import until it is done; what import said."""
        self.open()
        self.say("init")
        for start in range(0, len(raw), limit):
            said = self.say("file", f"&filename={name}", raw[start : start + limit])
            assert said.removeprefix("\ufeff").startswith("success"), said
        return self.finish(name)

    def finish(self, name: str) -> list[str]:
        said = [self.say("import", f"&filename={name}")]
        while said[-1].removeprefix("\ufeff").startswith("progress"):
            assert len(said) < 100
            said.append(self.say("import", f"&filename={name}"))
        return said

    def orders(self) -> str:
        self.open("sale")
        return self.say("query")


def http(url: str, form: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, str, str]:
    """(status, address where it ended, text)."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, form, headers or {}), timeout=60) as answer:
            return answer.status, answer.url, answer.read().decode(answer.headers.get_content_charset() or "utf-8")
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, url, answer.read().decode()


def import_xml(
    cards: Iterable[str] = (),
    *,
    full: bool = True,
    groups: str = "",
    classifier: bool = True,
    version: str = ' ВерсияСхемы="2.07"',
) -> bytes:
    top = (
        f"<Классификатор><Ид>cat</Ид><Наименование>К</Наименование><Группы>{groups}</Группы></Классификатор>"
        if classifier
        else ""
    )
    return (
        f'\ufeff<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_2"{version} '
        f'ДатаФормирования="2026-03-02T10:00:00">{top}<Каталог СодержитТолькоИзменения="{str(not full).lower()}"><Ид>cat</Ид>'
        f"<ИдКлассификатора>cat</ИдКлассификатора><Товары>{''.join(cards)}</Товары></Каталог></КоммерческаяИнформация>"
    ).encode()


def group(key: str, name: str, inside: str = "") -> str:
    return f"<Группа><Ид>{key}</Ид><Наименование>{name}</Наименование>{f'<Группы>{inside}</Группы>' if inside else ''}</Группа>"


def card(key: str, name: str = "Чашка", article: str = "A-1", more: str = "", attributes: str = "") -> str:
    return f"<Товар{attributes}><Ид>{key}</Ид><Артикул>{article}</Артикул><Наименование>{name}</Наименование>{more}</Товар>"


def offers_xml(
    terms: Iterable[str] = (), *, full: bool = True, kinds: Sequence[tuple[str, str]] = ((RETAIL, "Розничная"),)
) -> bytes:
    rows = "".join(f"<ТипЦены><Ид>{k}</Ид><Наименование>{n}</Наименование><Валюта>RUB</Валюта></ТипЦены>" for k, n in kinds)
    return (
        '<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_2" ВерсияСхемы="2.07" '
        f'ДатаФормирования="2026-03-02T10:00:00"><ПакетПредложений СодержитТолькоИзменения="{str(not full).lower()}"><Ид>cat#</Ид>'
        f"<ИдКаталога>cat</ИдКаталога><ТипыЦен>{rows}</ТипыЦен><Предложения>{''.join(terms)}</Предложения></ПакетПредложений>"
        "</КоммерческаяИнформация>"
    ).encode()


def offer(key: str, price: object = 100, quantity: object = 5, more: str = "", kind: str = RETAIL) -> str:
    cost = "" if price is None else f"<Цены>{cost_of(kind, price)}</Цены>"
    amount = "" if quantity is None else f"<Количество>{quantity}</Количество>"
    return f"<Предложение><Ид>{key}</Ид>{cost}{amount}{more}</Предложение>"


def cost_of(kind: str, price: object) -> str:
    return f"<Цена><ИдТипаЦены>{kind}</ИдТипаЦены><ЦенаЗаЕдиницу>{price}</ЦенаЗаЕдиницу><Валюта>RUB</Валюта></Цена>"


def options(**pairs: str) -> str:
    rows = (
        f"<ХарактеристикаТовара><Наименование>{n}</Наименование><Значение>{v}</Значение></ХарактеристикаТовара>"
        for n, v in pairs.items()
    )
    return f"<ХарактеристикиТовара>{''.join(rows)}</ХарактеристикиТовара>"


def requisites(pairs: Iterable[tuple[str, str]]) -> str:
    rows = (f"<ЗначениеРеквизита><Наименование>{n}</Наименование><Значение>{v}</Значение></ЗначениеРеквизита>" for n, v in pairs)
    return f"<ЗначенияРеквизитов>{''.join(rows)}</ЗначенияРеквизитов>"


def orders_xml(*documents: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация ВерсияСхемы="2.07" ДатаФормирования="2026-03-02T12:00:00">'
        f"{''.join(documents)}</КоммерческаяИнформация>"
    ).encode()


def paper(
    number: object, *pairs: tuple[str, str], key: object = "", lines: Sequence[str] | None = None, more: str = "",
    name: str = "Документ", operation: str = "Заказ товара", total: object = 0,
) -> str:  # fmt: skip
    goods = "" if lines is None else f"<Товары>{''.join(lines)}</Товары>"
    return (
        f"<{name}><Ид>{key or number}</Ид><Номер>{number}</Номер><Дата>2026-03-02</Дата><Время>09:30:00</Время>"
        f"<ХозОперация>{operation}</ХозОперация><Роль>Продавец</Роль><Валюта>RUB</Валюта><Курс>1</Курс><Сумма>{total}</Сумма>{more}{goods}"
        f"{requisites(pairs)}</{name}>"
    )


def line(key: str, name: str, price: object, quantity: object, total: object, kind: str = "Товар", more: str = "") -> str:
    return (
        f"<Товар><Ид>{key}</Ид><Наименование>{name}</Наименование><ЦенаЗаЕдиницу>{price}</ЦенаЗаЕдиницу><Количество>{quantity}</Количество>"
        f"<Сумма>{total}</Сумма>{more}{requisites([('ТипНоменклатуры', kind)])}</Товар>"
    )


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, raw in files.items():
            packed.writestr(name, raw)
    return out.getvalue()
