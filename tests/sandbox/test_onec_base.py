"""The rules by which 1C loads orders, each quirk by name, and what it tells the site afterwards."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path

import pytest
from lxml import etree
from onec_site import order, orders, requisites

from obmen.core.contract import NeedsOwner
from obmen.formats.commerceml.dialects import dialect
from obmen.sandbox.onec.base import AWAITS, Base
from obmen.sandbox.onec.generate import Catalogue, Spec

NOW = datetime(2025, 4, 4, 8, 1, 2)  # noqa: DTZ001 (1C's time has no zone)


def base(rules: str = "ut", **more: object) -> Base:
    return Base(rules=rules, now=lambda: NOW, **more)  # type: ignore[arg-type]


def numbers(one: Base) -> list[str]:
    return [o.number for o in one.orders]


def line(**changed: str) -> str:
    parts = {"Ид": "g", "Артикул": "A", "Наименование": "Имя", "ЦенаЗаЕдиницу": "10", "Количество": "1", "Сумма": "10"} | changed
    return "<Товар>" + "".join(f"<{k}>{v}</{k}>" for k, v in parts.items() if v != "-") + "</Товар>"


def test_an_order_is_loaded_with_its_lines_party_and_date() -> None:
    one = base()
    loaded = one.load(orders(order()))
    assert (loaded.created, loaded.confirmed, loaded.error, loaded.notes) == (["1001"], True, None, [])
    got = one.order("1001")
    assert (got.date, got.currency, got.total, got.state) == ("2025-04-03T09:05:07", "RUB", 200, AWAITS)
    assert got.party["name"] == "Тестов Тест"
    assert [(x.article, x.quantity, x.price, x.total) for x in got.lines] == [("SH-1", "2", "100", "200")]


@pytest.mark.parametrize("rules", ["ut", "unf"])
@pytest.mark.parametrize("poison", [{"ХозОперация": "Счет на оплату"}, {"Валюта": ""}, {"Валюта": "-"}, {"ХозОперация": "-"}])
def test_a_poisoned_order_stops_the_load_and_what_came_before_it_stays(rules: str, poison: dict[str, str]) -> None:
    one = base(rules)
    loaded = one.load(orders(order("1"), order("2", **poison), order("3")))
    assert (loaded.confirmed, loaded.created, numbers(one)) == (False, ["1"], ["1"])
    assert "order 2" in str(loaded.error)


def test_the_operation_is_compared_without_case() -> None:
    assert base().load(orders(order(ХозОперация="ЗАКАЗ ТОВАРА"))).confirmed


@pytest.mark.parametrize("name", ["", "-"])
def test_an_empty_name_of_the_counterparty_breaks_the_load(name: str) -> None:
    party = "<Контрагент><Ид>1</Ид></Контрагент>" if name == "-" else "<Контрагент><Наименование/></Контрагент>"
    loaded = base().load(orders(order(Контрагенты=party)))
    assert (loaded.confirmed, str(loaded.error)) == (False, "Order 1001: Наименование контрагента должно быть заполнено!")


def test_an_update_that_stops_in_the_middle_leaves_the_old_order_as_it_was() -> None:
    one = base()
    one.load(orders(order(Комментарий="старый")))
    one.load(orders(order(Комментарий="новый", Контрагенты="<Контрагент/>")))
    assert one.order("1001").comment == "старый"


def test_ut_never_finds_a_number_longer_than_eleven_characters_and_doubles_the_order() -> None:
    one, unf = base(), base("unf")
    for _time in range(2):
        one.load(orders(order("11111111111"), order("222222222222")))
        unf.load(orders(order("222222222222")))
    assert numbers(one) == ["11111111111", "222222222222", "222222222222"]
    assert numbers(unf) == ["222222222222"]


def test_ut_takes_a_longer_number_for_the_order_whose_number_is_its_beginning() -> None:
    one = base()
    loaded = one.load(orders(order("12345678901"), order("123456789012", Комментарий="чужой")))
    assert (loaded.created, loaded.updated) == (["12345678901"], ["123456789012"])
    assert [(o.number, o.comment) for o in one.orders] == [("12345678901", "чужой")]


def test_only_the_first_counterparty_counts() -> None:
    two = "<Контрагент><Наименование>Плательщик</Наименование></Контрагент><Контрагент><Наименование>Получатель</Наименование></Контрагент>"
    one = base()
    one.load(orders(order(Контрагенты=two)))
    assert [p["name"] for p in one.parties] == ["Плательщик"]


def test_a_counterparty_is_found_by_name_or_by_inn_when_the_node_says_so() -> None:
    def party(name: str, inn: str) -> str:
        names = f"<Наименование>{name}</Наименование><ОфициальноеНаименование>{name}</ОфициальноеНаименование>"
        return f"<Контрагент>{names}<ИНН>{inn}</ИНН></Контрагент>"

    documents = orders(order("1", Контрагенты=party("ООО А", "77")), order("2", Контрагенты=party("ООО Б", "77")))
    by_name, by_inn = base(), base(by_inn=True)
    by_name.load(documents)
    by_inn.load(documents)
    assert [p["name"] for p in by_name.parties] == ["ООО А", "ООО Б"]
    assert [(p["name"], p["legal"]) for p in by_inn.parties] == [("ООО А", True)]


def test_ut_takes_only_mail_and_work_phone_and_unf_anything_like_them() -> None:
    party = (
        "<Контрагент><Наименование>А</Наименование><Контакты><Контакт><Тип>Телефон мобильный</Тип><Значение>+7</Значение></Контакт>"
        "<Контакт><Тип>E-mail</Тип><Значение>a@example.com</Значение></Контакт></Контакты></Контрагент>"
    )
    for rules, expected in (("ut", ("", "")), ("unf", ("+7", "a@example.com"))):
        one = base(rules)
        one.load(orders(order(Контрагенты=party)))
        assert (one.order("1001").party["phone"], one.order("1001").party["email"]) == expected


def test_a_line_without_quantity_is_left_out() -> None:
    one = base()
    loaded = one.load(orders(order(Товары=line(Количество="0") + line(Количество="-") + line(Наименование="Третий"))))
    assert [x.name for x in one.order("1001").lines] == ["Третий"]
    assert [str(n) for n in loaded.notes] == ["Order 1001: the line 'Имя' has no quantity, 1C leaves it out"] * 2


def test_the_price_falls_back_to_the_amount_by_quantity() -> None:
    one = base()
    one.load(orders(order(Товары=line(ЦенаЗаЕдиницу="0", Количество="4", Сумма="10"))))
    assert [(x.price, x.total) for x in one.order("1001").lines] == [("2.5", "10")]


def test_lines_of_ut_inherit_unit_ratio_and_rate_from_the_line_before() -> None:
    rate = "<СтавкаНалога><Наименование>НДС</Наименование><Ставка>10</Ставка></СтавкаНалога>"
    lines = line(Единица="166", Коэффициент="5", СтавкиНалогов=rate) + line()
    ut, unf = base(), base("unf")
    for one in (ut, unf):
        one.load(orders(order(Товары=lines)))
    assert [(x.unit, x.ratio, x.rate) for x in ut.order("1001").lines] == [("166", "5", "10"), ("166", "5", "10")]
    assert [(x.unit, x.ratio, x.rate) for x in unf.order("1001").lines] == [("166", "5", "10"), ("796", "1", "none")]


@pytest.mark.parametrize(
    ("said", "ut", "unf"),
    [("20.00", "20", "20"), ("10/110", "10", "10"), ("5", "0", "none"), ("22", "0", "none"), ("20%", "0", "none")],
)
def test_only_the_known_strings_are_vat_rates(said: str, ut: str, unf: str) -> None:
    rate = f"<СтавкаНалога><Наименование>НДС</Наименование><Ставка>{said}</Ставка></СтавкаНалога>"
    for rules, expected in (("ut", ut), ("unf", unf)):
        one = base(rules)
        one.load(orders(order(Товары=line(СтавкиНалогов=rate))))
        assert one.order("1001").lines[0].rate == expected


@pytest.mark.parametrize(
    ("date", "time"),
    [("2025-04-03", "9:05:07"), ("2025-04-03T09:05:07", "09:05:07"), ("03.04.2025", "09:05:07"), ("2025-04-03", "")],
)
def test_a_date_that_is_not_zero_padded_stays_empty_and_the_order_is_never_reported(date: str, time: str) -> None:
    one = base()
    loaded = one.load(orders(order(Дата=date, Время=time)))
    assert (loaded.confirmed, one.order("1001").date, len(loaded.notes)) == (True, "", 1)
    one.begin()
    one.act("1001", "post")
    assert one.to_report() == []


def test_a_status_is_mapped_by_its_exact_text_and_by_its_id_in_unf() -> None:
    states = {"[N] Принят": "Готов к отгрузке", "N": "Завершен"}
    said = requisites(Статус_заказа="[N] Принят", Статуса_заказа_ИД="N")
    ut, unf = base(states=states), base("unf", states=states)
    for one in (ut, unf):
        one.load(orders(order("1", ЗначенияРеквизитов=said), order("2", ЗначенияРеквизитов=requisites(Статус_заказа="Принят"))))
    assert [o.state for o in ut.orders] == ["Готов к отгрузке", AWAITS]
    assert [o.state for o in unf.orders] == ["Завершен", AWAITS]


def test_ut_updates_an_order_only_while_it_awaits_agreement_and_has_live_lines() -> None:
    one = base()
    one.load(orders(order("1"), order("2"), order("3", ЗначенияРеквизитов=requisites(Отменен="true"))))
    one.act("2", "post")
    loaded = one.load(orders(order("1"), order("2"), order("3")))
    assert (loaded.updated, loaded.skipped, loaded.confirmed) == (["1"], ["2", "3"], True)


def test_goods_are_found_by_id_then_by_article_then_by_name_else_made() -> None:
    spec = Spec(products=20)
    card = Catalogue(spec).card(3)
    one = base()
    one.remember(spec)
    lines = [
        line(Ид=card.key, Артикул="-"),
        line(Ид=f"{card.key}#22222222-0000-4000-8000-000000000001", Артикул=card.article),
        line(Ид="77", Артикул=card.article, Наименование="Имя#Красный"),
        line(Ид="78", Артикул="-", Наименование="Новый"),
        line(Ид="79", Артикул="-", Наименование="Новый"),
        line(Ид="99999999-0000-4000-8000-000000000001", Артикул="Z"),
    ]
    loaded = one.load(orders(order(Товары="".join(lines))))
    keys = [x.key for x in one.order("1001").lines]
    assert keys[:3] == [card.key, f"{card.key}#22222222-0000-4000-8000-000000000001", f"{card.key}#Красный"]
    assert keys[3] == keys[4]
    assert keys[5] == "99999999-0000-4000-8000-000000000001"
    assert loaded.new_goods == ["Новый", "Имя"]


def test_ut_looks_a_variant_up_by_its_whole_id_and_so_needs_the_article() -> None:
    spec = Spec(products=20)
    card = Catalogue(spec).card(3)
    text = orders(order(Товары=line(Ид=f"{card.key}#char", Артикул="-")))
    for rules, new in (("ut", ["Имя"]), ("unf", [])):
        one = base(rules)
        one.remember(spec)
        assert one.load(text).new_goods == new


def test_a_pickup_point_that_is_not_complete_rolls_everything_back_in_ut() -> None:
    store = "<Склад><Ид>1</Ид><Наименование>Пункт</Наименование></Склад>"
    ut, unf = base(), base("unf")
    text = orders(order("1"), order("2", Склады=store))
    loaded = ut.load(text)
    assert (loaded.confirmed, loaded.created, numbers(ut), loaded.documents) == (False, [], [], 2)
    assert "Адрес, Контакты" in str(loaded.error)
    assert unf.load(text).created == ["1", "2"]


def test_a_control_character_breaks_ut_and_is_stripped_by_unf() -> None:
    text = orders(order(Комментарий="a\x0bb"))
    ut, unf = base(), base("unf")
    assert (ut.load(text).confirmed, numbers(ut)) == (False, [])
    assert unf.load(text).confirmed
    assert unf.order("1001").comment == "ab"


def test_a_namespace_is_remarked_upon() -> None:
    loaded = base().load(orders(order(), root=' xmlns="urn:1C.ru:commerceml_2"'))
    assert (loaded.created, len(loaded.notes)) == (["1001"], 1)


def test_an_entity_is_not_read_from_the_disk(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("секрет")
    text = (
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]>'
        + orders(order(Комментарий="&e;")).partition("?>")[2]
    )
    one = base()
    one.load(text)
    assert "секрет" not in str([o.comment for o in one.orders])


def test_the_state_survives_in_its_folder(tmp_path: Path) -> None:
    one = Base(tmp_path, now=lambda: NOW)
    one.remember(Spec(products=5))
    one.load(orders(order()))
    one.act("1001", "pay")
    again = Base(tmp_path)
    assert (again.orders, again.spec, again.parties) == (one.orders, one.spec, one.parties)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base.json"]


# --- results ---------------------------------------------------------------------------------------------------------


def told(one: Base, key: str = "ut11") -> tuple[etree._Element, dict[str, str]]:
    """(the only Документ without namespaces, its requisites)."""
    data = b"".join(one.document([one.orders[0]], dialect(key)))
    root = etree.parse(io.BytesIO(data)).getroot()
    for x in root.iter(etree.Element):
        x.tag = etree.QName(x).localname
    d = root.find(".//Документ")
    assert d is not None
    pairs = {r.findtext("Наименование"): r.findtext("Значение") for r in d.findall("ЗначенияРеквизитов/ЗначениеРеквизита")}
    return d, pairs  # type: ignore[return-value]


def test_what_is_done_in_1c_is_told_by_requisites_of_ut() -> None:
    one = base()
    one.load(orders(order()))
    assert told(one)[1] == {"Номер по 1С": "00ЦБ-000001", "Дата по 1С": "2025-04-04T8:01:02"}
    one.act("1001", "pay")
    one.act("1001", "ship")
    d, pairs = told(one)
    assert (d.findtext("Номер"), d.findtext("Дата"), d.findtext("Время")) == ("1001", "2025-04-03", "09:05:07")
    assert pairs["Проведен"] == "true"
    assert pairs["Дата оплаты по 1С"] == pairs["Дата отгрузки по 1С"] == "2025-04-04T8:01:02"
    assert pairs["Номер оплаты по 1С"]
    assert "Отменен" not in pairs


def test_no_two_documents_of_1c_share_a_number() -> None:
    one = base()
    one.load(orders(order("1"), order("2")))
    for number in ("1", "2"):
        one.act(number, "pay")
        one.act(number, "ship")
    assert len({pair[0] for o in one.orders for pair in (o.payment, o.shipment) if pair}) == 4


def test_a_cancelled_and_a_deleted_order_say_so() -> None:
    one = base()
    one.load(orders(order()))
    one.act("1001", "cancel")
    assert told(one)[1]["Отменен"] == "true"
    one.act("1001", "delete")
    assert told(one)[1]["ПометкаУдаления"] == "true"


def test_changed_lines_are_the_current_table_of_goods() -> None:
    one = base()
    one.load(orders(order(Товары=line() + line(Артикул="B", Наименование="Второй"))))
    one.change_line("1001", 1, quantity="3", price="7.5")
    one.change_line("1001", 2, quantity="0")
    d, _pairs = told(one)
    assert [(x.findtext("Количество"), x.findtext("ЦенаЗаЕдиницу"), x.findtext("Сумма")) for x in d.findall("Товары/Товар")] == [
        ("3", "7.5", "22.5")
    ]
    assert d.findtext("Сумма") == "22.5"


def test_unf_says_paid_and_shipped_also_when_they_are_not() -> None:
    one = base("unf")
    one.load(orders(order()))
    assert {k: v for k, v in told(one, "unf")[1].items() if k in ("Оплачен", "Отгружен")} == {
        "Оплачен": "false",
        "Отгружен": "false",
    }
    one.act("1001", "pay")
    assert told(one, "unf")[1]["Оплачен"] == "true"


def test_the_bitrix_module_wraps_an_order_in_a_container_with_its_own_words() -> None:
    one = base("unf")
    one.load(orders(order()))
    d, _pairs = told(one, "bitrix-module-7")
    assert d.getparent().tag == "Контейнер"  # type: ignore[union-attr]
    assert (d.findtext("Номер1С"), d.findtext("ПометкаУдаления")) == ("НФИМ-001001", "false")
    assert d.findtext("Товары/Товар/Цена") == "100"


def test_an_order_loaded_in_this_exchange_waits_for_the_next_one() -> None:
    one = base()
    one.begin()
    one.load(orders(order()))
    assert one.to_report() == []
    one.begin()
    assert [o.number for o in one.to_report()] == ["1001"]
    one.reported(one.to_report())
    assert one.to_report() == []
    one.act("1001", "post")
    assert [o.number for o in one.to_report()] == ["1001"]


def test_an_unknown_order_action_or_line_is_refused() -> None:
    one = base()
    one.load(orders(order()))
    with pytest.raises(NeedsOwner, match="There is no order 5"):
        one.act("5", "post")
    with pytest.raises(NeedsOwner, match="1C cannot burn an order; it can post, pay"):
        one.act("1001", "burn")
    with pytest.raises(NeedsOwner, match="Order 1001 has 1 lines"):
        one.change_line("1001", 2, quantity="1")
    assert one.orders[0].revision == 1


# --- payments that the site tells ---

CARD = (
    "<Номер>55</Номер><ХозОперация>Эквайринговая операция</ХозОперация><Дата>2025-04-03</Дата><Время>10:00:00</Время>"
    "<Сумма>200</Сумма><Основание>1001</Основание>"
)
PAID = f"<ЗначенияРеквизитов>{requisites(Метод_оплаты='Карта', Оплачено='true')}</ЗначенияРеквизитов>"


def receipts(one: Base, text: str) -> list[tuple[str, str, str]]:
    assert one.load(text).error is None
    return [(r.number, r.amount, r.method) for r in one.order("1001").receipts]


def below(payment: str) -> str:
    return orders(order(ПодчиненныеДокументы=f"<ПодчиненныйДокумент>{payment}</ПодчиненныйДокумент>"))


def test_unf_makes_a_card_payment_of_each_document_that_is_not_said_to_be_unpaid() -> None:
    assert receipts(base("unf"), below(CARD + PAID)) == [("55", "200", "Карта")]
    assert receipts(base("unf"), below(CARD + PAID.replace("true", "false"))) == []
    assert receipts(base("unf"), below(CARD.replace("Эквайринговая операция", "Выплата безналичных денег") + PAID)) == []


def test_unf_makes_a_card_payment_of_date_method_and_number_in_the_head() -> None:
    told = requisites(Метод_оплаты="Карта", Дата_оплаты="2025-04-03T10:00:00", Номер_платежного_документа="55")
    assert receipts(base("unf"), orders(order(ЗначенияРеквизитов=told))) == [("55", "200", "Карта")]
    assert receipts(base("unf"), orders(order(ЗначенияРеквизитов=requisites(Метод_оплаты="Карта")))) == []


def test_a_payment_in_the_container_of_its_order_is_no_order() -> None:
    one = base("unf")
    text = orders(f"<Контейнер>{order()}<Документ>{CARD}{PAID}</Документ></Контейнер>")
    assert receipts(one, text) == [("55", "200", "Карта")]
    assert numbers(one) == ["1001"]


def test_ut_makes_a_card_payment_of_an_order_that_is_said_to_be_paid() -> None:
    told = requisites(Заказ_оплачен="true", Метод_оплаты="Карта")
    assert receipts(base(), orders(order(ЗначенияРеквизитов=told))) == [("", "200", "Карта")]
    assert receipts(base(), orders(order())) == []


def test_payments_survive_in_the_folder_of_the_infobase(tmp_path: Path) -> None:
    Base(tmp_path, rules="unf").load(below(CARD + PAID))
    assert [r.method for r in Base(tmp_path, rules="unf").order("1001").receipts] == ["Карта"]
