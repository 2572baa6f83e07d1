"""Small CommerceML documents for tests, written from the shapes of 1C:UT 11 (2.07) and Bitrix's module (split files)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_2" ВерсияСхемы="2.07" ДатаФормирования="{date}">'
TAIL = "</КоммерческаяИнформация>"


def product(key: str, name: str = "Стул", article: str = "", more: str = "", group: str = "") -> str:
    groups = f"<Группы><Ид>{group}</Ид></Группы>" if group else ""
    return (
        f"<Товар><Ид>{key}</Ид>" + (f"<Артикул>{article}</Артикул>" if article else "") + f"<Наименование>{name}</Наименование>"
        f'<БазоваяЕдиница Код="796 " НаименованиеПолное="Штука" МеждународноеСокращение="PCE">шт</БазоваяЕдиница>{groups}{more}</Товар>'
    )


def catalogue(
    *products: str, only_changes: bool = False, date: str = "2026-01-15T10:00:00", groups: str = "", ident: str = "cat"
) -> str:
    classifier = (
        f"<Классификатор><Ид>{ident}</Ид><Наименование>К</Наименование><Группы>{groups}</Группы></Классификатор>"
        if groups
        else ""
    )
    flag = "true" if only_changes else "false"
    return (
        f'{HEAD.format(date=date)}{classifier}<Каталог СодержитТолькоИзменения="{flag}"><Ид>{ident}</Ид>'
        f"<ИдКлассификатора>{ident}</ИдКлассификатора><Наименование>Каталог</Наименование><Товары>{chr(10).join(products)}</Товары></Каталог>{TAIL}"
    )


def price(kind: str, value: str, currency: str = "UAH") -> str:
    return f"<Цена><ИдТипаЦены>{kind}</ИдТипаЦены><ЦенаЗаЕдиницу>{value}</ЦенаЗаЕдиницу><Валюта>{currency}</Валюта></Цена>"


def offer(
    key: str,
    name: str = "Стул",
    prices: Sequence[tuple[str, str]] = (),
    stock: Sequence[tuple[str, str]] = (),
    traits: Sequence[tuple[str, str]] = (),
    quantity: str = "",
) -> str:
    said = "".join(
        f"<ХарактеристикаТовара><Наименование>{n}</Наименование><Значение>{v}</Значение></ХарактеристикаТовара>"
        for n, v in traits
    )
    return (
        f"<Предложение><Ид>{key}</Ид>"
        + (f"<Наименование>{name}</Наименование>" if name else "")
        + (f"<ХарактеристикиТовара>{said}</ХарактеристикиТовара>" if said else "")
        + (f"<Цены>{''.join(price(k, v) for k, v in prices)}</Цены>" if prices else "")
        + (f"<Количество>{quantity}</Количество>" if quantity else "")
        + "".join(f'<Склад ИдСклада="{w}" КоличествоНаСкладе="{q}"/>' for w, q in stock)
        + "</Предложение>"
    )


def offers(*rows: str, only_changes: bool = False, date: str = "2026-01-15T10:00:00") -> str:
    flag = "true" if only_changes else "false"
    return (
        f'{HEAD.format(date=date)}<ПакетПредложений СодержитТолькоИзменения="{flag}"><Ид>cat#</Ид><Наименование>П</Наименование>'
        "<ИдКаталога>cat</ИдКаталога><ТипыЦен><ТипЦены><Ид>retail</Ид><Наименование>Роздрібна</Наименование><Валюта>UAH</Валюта>"
        "</ТипЦены></ТипыЦен><Склады><Склад><Ид>main</Ид><Наименование>Основний</Наименование></Склад></Склады>"
        f"<Предложения>{chr(10).join(rows)}</Предложения></ПакетПредложений>{TAIL}"
    )


def changes(*rows: str) -> str:
    return (
        f"{HEAD.format(date='2026-01-15T11:00:00')}<ИзмененияПакетаПредложений><Ид>cat#</Ид><ИдКаталога>cat</ИдКаталога>"
        f"<Предложения>{chr(10).join(rows)}</Предложения></ИзмененияПакетаПредложений>{TAIL}"
    )


def put(folder: Path, **files: str) -> Path:
    """``put(folder, import0_1=…)`` writes import0_1.xml with the BOM that 1C writes; other files of the folder go."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.xml"):
        old.unlink()
    for name, text in files.items():
        (folder / f"{name}.xml").write_text(text, encoding="utf-8-sig")
    return folder
