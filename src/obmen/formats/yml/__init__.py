"""YML, the feed of goods that marketplaces fetch by an address: written, read and checked as a stream, without Django.

Writing
    ``writer.write(stream, dialect, header, categories, offers, refused=None, currencies=…) -> Written``   one whole file
Reading
    ``reader.read(file, dialect=None, name="") -> Iterator[Header | Currency | Category | OfferEntry | BadRecord]``   in its order
Checking
    ``validate.validate(file, dialect=None, name="", previous=None, may_vanish=10) -> Iterator[Finding]``   the rules Y01 … Y24
    ``validate.vanished(previous, current) -> Vanished``                      which offers publishing a file would lose
Dialects
    ``dialect.built_in()``, ``dialect.load(key, text)``, ``dialect.guess(file)``   what each marketplace spells and takes, as data
Words
    ``model``    Header, Currency, Category, OfferEntry, Param, PriceFrom

``stream``, ``pieces`` and ``checks`` are what YML shares with ICML. A document that cannot be read (further) raises
``core.contract.BadDocument``.
"""
