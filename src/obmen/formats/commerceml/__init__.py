"""CommerceML 2.03–3.1: read, written and checked as a stream, in constant memory, without Django.

Reading
    ``reader.read(file, name="") -> Iterator[Section | Raw | Unknown]``   sections, records as XML, and what is unknown
    ``reader.look(file, name="") -> Root``                                what the root says, from the first bytes alone
    ``reader.is_complete(file) -> bool``                                  whether the root is closed; ask before taking anything
    ``reader.offer_kind(children, section) -> Kind``                      what a Предложение is: OFFER, PRICES or STOCK
    ``records.parse(kind, raws, parents=None, encoding="utf-8")``         XML of records into core records and model.Document
    ``records.read_info(data) -> InfoDocument``                           a site's answer to mode=info
Checking
    ``validate.validate(file, name="") -> Iterator[Finding]``             every finding with file, line and element
Words
    ``model``    Root, Section, Raw, Unknown; Document, Line, Tax, Discount, Warehouse, DocumentPayment, Unit, InfoDocument
    ``values``   decimal, boolean, moment, date, time, utc, currency, vat, unit: texts into values, ValueError for rubbish

A document that cannot be read (further) raises ``core.contract.BadDocument``; a record that cannot is a ``BadRecord`` in its place.
"""
