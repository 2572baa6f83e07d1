"""How the 1C configurations and their like behave as clients: data that ``client`` and ``run`` obey.

Sources: 1C:UT 11.5.8 and 1C:UNF 3.0.8, common module ОбменССайтом; the code that 1C-Bitrix (sale 22.8, catalog 22.9) keeps
for its module 5/6/7 and its fixtures; for UT 10.3, MoySklad and Class365 the special cases in the servers made for them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _


@dataclass(frozen=True, slots=True)
class Profile:
    key: str
    title: str
    layout: str  # of generated catalogues (generate.LAYOUTS)
    dialect: str  # of order results (formats/commerceml/dialects)
    rules: str = "ut"  # ut | unf: by whose rules orders are loaded
    timeout: float = 180.0  # seconds for one call
    pause: float = 0.0  # seconds before every mode=import
    sessions: str = "portion"  # portion: one for each XML file · one: a single one for all files
    retry: str = "none"  # later: a failed portion goes again after the others, under a new name · at_once: its whole session
    tries: int = 1  # how often one portion may fail
    sessid: str = "off"  # off · last: &sessid= at the end · verbatim: line 4 as it came, before &mode=
    version: str = ""  # version= offered for type=catalog
    sale_version: str = ""  # version= offered for type=sale
    cml_version: str = ""  # cmlVersion=
    two_lines: bool = False  # init must be answered by exactly two lines
    sale_init: bool = False  # init comes before query
    sale_import: bool = True  # mode=import follows the files of type=sale
    query_again: bool = False  # query is repeated until it brings no documents
    confirm: str = "batch"  # batch: success after every loaded answer · end: one success after the last of them
    closing: bool = False  # deactivate (after a full upload) and complete end the catalogue
    first_extension: bool = False  # of a.b.jpg only a.b is posted
    orders_file: str = "orders-{id}_{number}.xml"


UT11 = Profile(
    "ut11",
    "1C:УТ 11.5",
    layout="ut11",
    dialect="ut11",
    retry="later",
    tries=3,
    two_lines=True,
    first_extension=True,
)
UNF = Profile(
    "unf",
    "1C:УНФ 3.0 / BAS Управління малим бізнесом",
    layout="unf",
    dialect="unf",
    rules="unf",
    timeout=1800.0,
    pause=5.0,
    retry="at_once",
    tries=3,
    sale_import=False,
    orders_file="orders-{id}_{index}.xml",
)
UNF_BITRIX = Profile(
    "unf-bitrix",
    "1C:УНФ 3.0, 1C-Bitrix, подчиненные документы",
    layout="unf",
    dialect="unf-subordinate",
    rules="unf",
    timeout=1800.0,
    pause=5.0,
    retry="at_once",
    tries=3,
    sessid="verbatim",
    version="2.09",
    sale_version="2.09",
    cml_version="2.10",
    sale_init=True,
    orders_file="orders-{id}_{index}.xml",
)
UT10 = Profile(
    "ut10",
    "1C:УТ 10.3 / УПП 1.2",
    layout="classic",
    dialect="ut10",
    sessions="one",
    sale_import=False,
    orders_file="orders.xml",
)
BITRIX_MODULE_7 = Profile(
    "bitrix-module-7",
    "1С-Битрикс: Управление сайтом, модуль обмена 7",
    layout="bitrix7",
    dialect="bitrix-module-7",
    rules="unf",
    timeout=1800.0,
    sessions="one",
    sessid="last",
    version="3.1",
    sale_version="2.09",
    cml_version="2.10",
    sale_init=True,
    query_again=True,
    closing=True,
    orders_file="documents_1_{number}_{id}.xml",
)
BITRIX_MODULE = replace(BITRIX_MODULE_7, key="bitrix-module")
BITRIX_MODULE_6 = replace(
    BITRIX_MODULE_7, key="bitrix-module-6", title="1С-Битрикс: Управление сайтом, модуль обмена 6", dialect="bitrix-module-6"
)
BITRIX_MODULE_5 = replace(
    BITRIX_MODULE_7,
    key="bitrix-module-5",
    title="1С-Битрикс: Управление сайтом, модуль обмена 5",
    layout="bitrix5",
    dialect="bitrix-module-5",
    version="2.09",
)
MOYSKLAD = Profile(
    "moysklad",
    "МойСклад",
    layout="moysklad",
    dialect="moysklad",
    rules="unf",
    sessions="one",
    sale_import=False,
    orders_file="orders.xml",
)
CLASS365 = Profile(
    "class365",
    "Класс365",
    layout="classic",
    dialect="class365",
    rules="unf",
    sessions="one",
    sale_import=False,
    orders_file="orders.xml",
)

PROFILES = {
    p.key: p
    for p in (
        UT11,
        UNF,
        UNF_BITRIX,
        UT10,
        BITRIX_MODULE,
        BITRIX_MODULE_5,
        BITRIX_MODULE_6,
        BITRIX_MODULE_7,
        MOYSKLAD,
        CLASS365,
    )
}


def profile(key: str) -> Profile:
    """Raises NeedsOwner that names the known ones."""
    try:
        return PROFILES[key]
    except KeyError:
        raise NeedsOwner(_("There is no profile {key}; choose one of {known}"), key=key, known=", ".join(PROFILES)) from None
