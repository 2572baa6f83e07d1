"""ICML, the catalogue that a CRM fetches by an address: written, read and checked as a stream, without Django.

Writing
    ``writer.write(stream, header, categories, offers, refused=None) -> Written``     one whole file, the same bytes for the same input
Reading
    ``reader.read(file, name="") -> Iterator[Header | Category | OfferEntry | BadRecord]``   in the order of the file
Checking
    ``validate.validate(file, name="", previous=None, may_vanish=10) -> Iterator[Finding]``   the rules E01 … E18
    ``validate.vanished(previous, current) -> Vanished``                              what publishing a file would switch off
Words
    ``model``    Header, Category, OfferEntry, Param, Unit

ICML is YML with offers grouped into products by ``productId``; there is no public schema, the rules come from the vendor's page
on ICML for developers, its modules for Bitrix, WooCommerce and PrestaShop, and the module of 1C:UNF 1.0.10.
A document that cannot be read (further) raises ``core.contract.BadDocument``.
"""
