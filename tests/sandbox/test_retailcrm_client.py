"""The vendor's own Python client does its work against the stand-in: it is what shows that the shapes are right."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from obmen.sandbox.retailcrm import RetailCRM, serve

retailcrm = pytest.importorskip("retailcrm")


@pytest.fixture
def crm() -> RetailCRM:
    made = RetailCRM()
    made.add_offer("tea", "Tea", "100", xml_id="0001")
    return made


@pytest.fixture
def client(crm: RetailCRM) -> Iterator[Any]:
    with serve(crm) as server:
        yield retailcrm.v5(server.url, "sandbox-key")


def good(response: Any, status: int = 200) -> dict[str, Any]:
    assert (response.get_status_code(), response.is_successful()) == (status, True), response.get_response()
    answer: dict[str, Any] = response.get_response()
    assert answer["success"] is True
    return answer


def test_the_client_checks_its_key(client: Any) -> None:
    assert good(client.api_versions())["versions"] == ["3.0", "4.0", "5.0"]
    assert good(client.api_credentials())["sitesAvailable"] == ["shop"]
    assert good(client.system_info())["systemVersion"]
    assert good(client.settings())["settings"]["timezone"]["value"] == "Europe/Moscow"
    good(client.statistic_update())
    client.api_key = "wrong"
    refused = client.orders()
    assert (refused.get_status_code(), refused.get_error_msg()) == (403, 'Wrong "apiKey" value.')


def test_the_client_works_with_orders(client: Any) -> None:
    order = {
        "externalId": "5",
        "firstName": "Ann",
        "phone": "+79000000001",
        "items": [{"offer": {"xmlId": "0001"}, "quantity": 2}],
    }
    number = good(client.order_create(order, "shop"), 201)["id"]
    assert good(client.order("5"))["order"]["totalSumm"] == 200
    assert good(client.order(number, "id", "shop"))["order"]["externalId"] == "5"
    assert good(client.orders({"ids": [number]}, limit=50))["orders"][0]["id"] == number
    assert good(client.orders())["pagination"]["totalCount"] == 1
    assert good(client.order_edit({"externalId": "5", "status": "assembling"}))["order"]["status"] == "assembling"
    assert good(client.orders_statuses([number], ["5"]))["orders"] == [
        {"id": number, "externalId": "5", "status": "assembling", "group": "assembling"}
    ]
    rows = good(client.orders_history({"sinceId": 0}, limit=100))["history"]
    assert [row["field"] for row in rows] == ["status", "customer", "status"]
    assert good(client.orders_history({"sinceId": rows[-1]["id"]}))["history"] == []
    assert len(good(client.orders_upload([{"externalId": "6"}, {"externalId": "7"}], "shop"), 201)["uploadedOrders"]) == 2
    good(client.orders_fix_external_ids([{"id": number, "externalId": "55"}]))
    good(client.order_links_create({"comment": "x", "orders": [{"id": number}, {"externalId": "6"}]}), 201)
    six = good(client.order("6"))["order"]["id"]
    good(client.orders_combine({"id": six}, {"id": number}, "summ"))
    assert client.order("6").get_error_msg() == "Not found"
    failed = client.order_create({"externalId": "55"})
    assert (failed.get_status_code(), failed.get_error_msg()) == (400, "Order already exists.")


def test_the_client_works_with_payments_and_packs(client: Any) -> None:
    order = good(client.order_create({"externalId": "5", "items": [{"offer": {"xmlId": "0001"}}]}), 201)["order"]
    payment = {"order": {"externalId": "5"}, "type": "cash", "status": "not-paid", "amount": 100, "externalId": "p"}
    number = good(client.order_payment_create(payment), 201)["id"]
    good(client.order_payment_edit({"id": number, "status": "paid"}, "id"))
    assert good(client.order("5"))["order"]["prepaySum"] == 100
    good(client.order_payment_delete(number))
    pack = good(client.pack_create({"itemId": order["items"][0]["id"], "store": "main", "quantity": 1}), 201)["id"]
    good(client.pack_edit({"id": pack, "invoiceNumber": "7"}))
    assert good(client.pack(pack))["pack"]["invoiceNumber"] == "7"
    assert good(client.packs({"ids": [pack]}))["packs"][0]["id"] == pack
    good(client.pack_delete(pack))
    assert len(good(client.packs_history({"orderId": order["id"]}))["history"]) == 3


def test_the_client_works_with_customers(client: Any) -> None:
    number = good(client.customer_create({"externalId": "c", "firstName": "Ann", "phones": [{"number": "1"}]}), 201)["id"]
    assert good(client.customer("c"))["customer"]["id"] == number
    good(client.customer_edit({"externalId": "c", "lastName": "B"}))
    assert good(client.customers({"name": "B"}))["customers"][0]["lastName"] == "B"
    good(client.customers_upload([{"externalId": "d", "firstName": "Dan"}]))
    good(client.customers_fix_external_ids([{"id": number, "externalId": "e"}]))
    assert [r["field"] for r in good(client.customers_history())["history"]] == ["id", "last_name", "id", "external_id"]
    note = good(client.customer_note_create({"text": "hello", "customer": {"id": number}}), 201)["id"]
    assert good(client.customer_notes({"ids": [note]}))["notes"][0]["text"] == "hello"
    good(client.customer_note_delete(note))
    dan = good(client.customer("d"))["customer"]["id"]
    good(client.customers_combine([{"id": dan}], {"id": number}))
    assert client.customer("d").get_status_code() == 404


def test_the_client_works_with_companies(client: Any) -> None:
    person = good(client.customer_create({"firstName": "Ann"}), 201)["id"]
    good(client.customer_corporate_create({"externalId": "f", "nickName": "Firm"}), 201)
    part = {"externalId": "f"}
    company = good(client.customer_corporate_companies_create({**part, "name": "Firm Ltd"}), 201)["id"]
    good(client.customer_corporate_addresses_create({**part, "city": "Town"}), 201)
    good(client.customer_corporate_contacts_create({**part, "customer": {"id": person}}), 201)
    assert good(client.customer_corporate_companies("f"))["companies"][0]["id"] == company
    assert good(client.customer_corporate_addresses("f"))["addresses"][0]["city"] == "Town"
    assert good(client.customer_corporate_contacts("f"))["contacts"][0]["customer"]["id"] == person
    assert good(client.customer_corporate("f"))["customerCorporate"]["mainCompany"]["name"] == "Firm Ltd"
    good(client.customers_corporate_upload([{"externalId": "g", "nickName": "G"}]))
    assert good(client.customers_corporate({"externalIds": ["g"]}))["customersCorporate"][0]["nickName"] == "G"
    assert good(client.customers_corporate_history())["history"][0]["field"] == "id"


@pytest.mark.parametrize(
    "book",
    [
        *("statuses", "status_groups", "payment_types", "payment_statuses", "delivery_types", "delivery_services", "order_types"),
        *(
            "order_methods",
            "product_statuses",
            "sites",
            "units",
            "stores",
            "price_types",
            "couriers",
            "currencies",
            "legal_entities",
        ),
        *("cost_groups", "cost_items", "countries"),
    ],
)
def test_the_client_reads_every_book(client: Any, book: str) -> None:
    answer = good(getattr(client, book)())
    (rows,) = (value for name, value in answer.items() if name != "success")
    assert len(rows) > 0


def test_the_client_edits_books(client: Any) -> None:
    good(client.stores_edit({"code": "north", "name": "North"}), 201)
    good(client.statuses_edit({"code": "waiting", "name": "Waiting", "group": "approval"}), 201)
    good(client.payment_types_edit({"code": "cash", "description": "Coins"}))
    good(client.sites_edit({"code": "shop", "ymlUrl": "https://hub.example/icml.xml"}))
    assert good(client.sites())["sites"]["shop"]["ymlUrl"] == "https://hub.example/icml.xml"
    assert "waiting" in good(client.statuses())["statuses"]


def test_the_client_works_with_goods_and_users(client: Any) -> None:
    stock = [
        {"xmlId": "0001", "stores": [{"code": "main", "available": 4, "purchasePrice": 9.5}]},
        {"xmlId": "none", "stores": []},
    ]
    assert good(client.inventories_upload(stock, "shop"))["notFoundOffers"] == [{"xmlId": "none"}]
    rows = good(client.inventories({"details": 1, "offerXmlId": ["0001"]}, limit=250))["offers"]
    assert rows[0]["stores"] == [{"store": "main", "quantity": 4, "purchasePrice": 9.5}]
    prices = [{"xmlId": "0001", "prices": [{"code": "wholesale", "price": 80}]}]
    assert good(client.prices_upload(prices))["processedOffersCount"] == 1
    assert good(client.products({"active": 1}))["products"][0]["offers"][0]["xmlId"] == "0001"
    assert good(client.offers({"xmlIds": ["0001"]}))["offers"][0]["product"]["externalId"] == "tea"
    assert good(client.product_groups())["productGroup"] == []
    users = good(client.users({"isManager": 1}, limit=100))["users"]
    assert good(client.user(users[0]["id"]))["user"]["email"] == users[0]["email"]
    assert {g["code"] for g in good(client.user_groups())["groups"]} == {"director", "manager"}


def test_the_client_works_with_fields_and_modules(client: Any) -> None:
    good(client.custom_field_create({"entity": "order", "code": "n", "name": "N", "type": "string"}), 201)
    assert good(client.custom_field("n", "order"))["customField"]["type"] == "string"
    assert len(good(client.custom_fields({"entity": "order"}))["customFields"]) == 1
    dictionary = {"code": "d", "name": "D", "elements": [{"name": "A", "code": "a"}]}
    good(client.custom_dictionary_create(dictionary), 201)
    assert good(client.custom_dictionary("d"))["customDictionary"]["elements"][0]["code"] == "a"
    module = {
        "code": "1c",
        "integrationCode": "1c",
        "name": "1C",
        "active": True,
        "clientId": "x",
        "baseUrl": "https://hub.example",
    }
    good(client.integration_module_edit(module))
    assert good(client.integration_module("1c"))["integrationModule"]["clientId"] == "x"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of its own authority for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sandbox")])
    began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), began, began + datetime.timedelta(days=3)
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "sandbox.pem", folder / "sandbox.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return files


def test_the_client_is_led_here_over_https_by_a_certificate_that_it_trusts(
    crm: RetailCRM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, key = certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem, key)
    with serve(crm, tls=tls) as server:
        assert server.url.startswith("https://")
        client = retailcrm.v5(server.url, "sandbox-key")
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            client.orders()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
        assert good(client.orders())["orders"] == []
