"""format new, build, key, sign, verify, issue: for publishers. trust, add, list, licence, remove: for a hub."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obmen.cli.common import on_terminal, say, say_json, sentence, start, tell
from obmen.core.contract import NeedsOwner
from obmen.core.words import gettext_noop as _

if TYPE_CHECKING:
    from obmen.store.models import FormatPackage, Publisher

app = typer.Typer(help="Format packages: connectors and profiles as signed files.", no_args_is_help=True)
PackageFile = Annotated[Path, typer.Argument(help="The package, a file .obmen.", exists=True, dir_okay=False, readable=True)]
KeyFile = Annotated[Path, typer.Option("--key", help="File with the private key.", exists=True, dir_okay=False, readable=True)]
Key = Annotated[str, typer.Argument(help="Key of the format.")]

DECLARATION = """key = "{key}"
kind = "{kind}"
{connector}version = "0.1"
title = "{title}"
publisher = "{publisher}"
needs = "{needs}"
# licence = true
# licence_server = "https://licences.example.com/check"

[news]
uk = "Перша версія."
ru = "Первая версия."
en = "The first version."
"""

PROFILE = """title = "{title}"
note = "What the page says of it when a connection is added."
# streams = []

[settings]
"""

INIT = '''"""{title}: what it is."""

from __future__ import annotations

from dataclasses import dataclass

from obmen.core.contract import Connector, NeedsOwner
from obmen.core.settings import setting


@dataclass(frozen=True)
class Settings:
    address: str = setting("", "Address", "As it stands in the browser, https:// first.", identifies=True, place=True)
    token: str = setting("", "Token", "From the shop's own pages.", kind="secret")


class {name}(Connector):
    key, title = "{key}", "{title}"
    settings = Settings
    streams = ()
    calls_out = True

    def check(self) -> str:
        if not self.s.address:
            raise NeedsOwner("Enter the address")
        return self.s.address
'''


def _write(file: Path, content: bytes, mode: int = 0o644) -> None:
    """Whole or not at all."""
    draft = file.with_name(f".{file.name}.new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as out:
        out.write(content)
    os.replace(draft, file)


# --- for publishers --------------------------------------------------------------------------------------------------------


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(help="A folder that is not there yet; its name is the key.")],
    title: Annotated[str, typer.Option(help="How people call it.")] = "",
    publisher: Annotated[str, typer.Option(help="Who makes it.")] = "Me",
    profile_of: Annotated[str, typer.Option(help="Profiles for this connector instead of a connector.")] = "",
) -> None:
    """Begin a format: a folder that can be built as it is."""
    from obmen import __version__
    from obmen.licence.package import KEY

    key = folder.name.lower().replace("-", "_")
    if not KEY.fullmatch(key):
        raise typer.BadParameter("the folder's name becomes the key: small letters, digits and _", param_hint="FOLDER")
    if folder.exists():
        raise NeedsOwner(_("{folder} is there already"), folder=str(folder))
    title = title or key.replace("_", " ").capitalize()
    if any(c in text for text in (title, publisher) for c in '"\\\n'):
        raise typer.BadParameter("no quotation marks and backslashes", param_hint="--title, --publisher")
    words = {
        "key": key,
        "kind": "profile" if profile_of else "connector",
        "connector": f'connector = "{profile_of}"\n' if profile_of else "",
        "title": title,
        "publisher": publisher,
        "needs": __version__,
        "name": "".join(part.capitalize() for part in key.split("_")),
    }
    files = {"format.toml": DECLARATION.format(**words)}
    if profile_of:
        files["profiles/" + key + ".toml"] = PROFILE.format(**words)
    else:
        files["__init__.py"] = INIT.format(**words)
        files |= {f"help/{language}.md": f"# {title}\n" for language in ("uk", "ru", "en")}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
        say(str(folder / name))


@app.command()
def build(
    folder: Annotated[Path, typer.Argument(help="The publisher's folder, with format.toml.", exists=True, file_okay=False)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The package; KEY-VERSION.obmen without it.")] = None,
) -> None:
    """Make the package, still unsigned. The same folder gives the same bytes."""
    from obmen.licence import package

    data = package.build(folder)
    said = package.read(data).manifest
    file = output or Path(f"{said.key}-{said.version}{package.SUFFIX}")
    _write(file, data)
    say(str(file))


@app.command()
def key(
    file: Annotated[Path, typer.Argument(help="Where the private key goes; the public one gets .pub behind.")],
    publisher: Annotated[str, typer.Option(help="Who will sign with it; part of the public key.")] = "",
) -> None:
    """Make a publisher's key. Whoever has the private file can sign in your name: keep it off servers and out of backups of hubs."""
    from obmen.licence import signing

    public_file = file.with_name(file.name + ".pub")
    for one in (file, public_file):
        if one.exists():
            raise NeedsOwner(_("{file} is there already; a key is never written over"), file=str(one))
    pem = signing.new_private()
    public = signing.public_of(signing.read_private(pem))
    _write(file, pem, 0o600)
    _write(public_file, (signing.public_line(public, " ".join(publisher.split())) + "\n").encode())
    say(signing.spaced(signing.fingerprint(public)))


@app.command()
def sign(package: PackageFile, key: KeyFile) -> None:
    """Sign a package, in its place; a signature that it has is replaced."""
    from obmen.licence import package as packages
    from obmen.licence import signing

    private = signing.read_private(key.read_bytes())
    _write(package, packages.sign(package.read_bytes(), private))
    say(signing.spaced(signing.fingerprint(signing.public_of(private))))


@app.command()
def verify(
    package: PackageFile,
    by: Annotated[
        Path | None, typer.Option(help="The public key that has to have signed it.", exists=True, dir_okay=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a package without a hub, running nothing of it: form, every file, signature."""
    from obmen.licence import package as packages
    from obmen.licence import signing

    found = packages.read(package.read_bytes())
    names = sorted(found.files())
    if found.signer is None:
        raise packages.BadPackage(_("The package is right, but not signed"))
    if by is not None and signing.read_public(by.read_text("utf-8"))[0] != found.signer:
        raise packages.BadPackage(
            _("The package is signed by another key: {fingerprint}"), fingerprint=signing.spaced(found.fingerprint)
        )
    said = found.manifest
    if as_json:
        shape = {"key": said.key, "kind": said.kind, "version": said.version, "title": said.title, "publisher": said.publisher}
        say_json(shape | {"fingerprint": found.fingerprint, "licence": said.licence, "files": names})
    else:
        say(f"{said.key} {said.version}  {said.title}  ({said.publisher}; {len(names)} files)")
        say(signing.spaced(found.fingerprint))


@app.command()
def issue(
    format: Annotated[str, typer.Argument(help="Key of the format.")],
    key: KeyFile,
    login: Annotated[str, typer.Option(help="To whom.")],
    until: Annotated[str, typer.Option(help="Its last day, 2027-12-31.")],
    connections: Annotated[int, typer.Option(help="For how many connections; 0 = any number.", min=0)] = 0,
    only: Annotated[list[str] | None, typer.Option(help="Name of a connection that it is for. May be repeated.")] = None,
) -> None:
    """Issue a licence for a format of yours: prints the key for the customer."""
    from obmen.licence import signing, statement

    try:
        day = date.fromisoformat(until)
    except ValueError:
        raise typer.BadParameter(f"“{until}” is no day; write 2027-12-31", param_hint="--until") from None
    terms = statement.Terms(format, login.strip(), day, connections, tuple(only or ()))
    say(statement.issue(signing.read_private(key.read_bytes()), terms))


# --- for a hub -------------------------------------------------------------------------------------------------------------


def _found(key: str) -> FormatPackage:
    from obmen.store.models import FormatPackage

    row = FormatPackage.objects.filter(key=key).first()
    if row is None:
        known = ", ".join(FormatPackage.objects.values_list("key", flat=True)) or "–"
        raise NeedsOwner(_("There is no format “{key}”; there are: {known}"), key=key, known=known)
    return row


@app.command()
def trust(
    key: Annotated[Path | None, typer.Argument(help="File with the publisher's public key.", exists=True, dir_okay=False)] = None,
    fingerprint: Annotated[str, typer.Option(help="As the publisher told it to you, by another way than the file.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    remove: Annotated[str, typer.Option(help="Trust the publisher with this fingerprint no longer.")] = "",
) -> None:
    """Let a publisher's formats run here; without a file lists who is trusted. Their code can do what the hub can do."""
    start()
    from obmen.licence import packages, signing
    from obmen.store.models import Publisher

    if remove:
        _distrust(remove)
        return
    if key is None:
        for row in Publisher.objects.all():
            say(f"{signing.spaced(row.fingerprint)}  {row.name}")
        return
    line = key.read_text("utf-8")
    public, name = signing.read_public(line)
    if not fingerprint and not yes:
        found = signing.spaced(signing.fingerprint(public))
        if not on_terminal():
            raise NeedsOwner(
                _("The key of “{name}” has the fingerprint {fingerprint}: compare it, then say --fingerprint or --yes"),
                name=name,
                fingerprint=found,
            )
        typer.confirm(f"{name}\n{found}\nIs this the fingerprint that the publisher told you?", abort=True, err=True)
    publisher, made = packages.trust(line, "cli", fingerprint)
    say(f"{signing.spaced(publisher.fingerprint)}  {publisher.name}")
    if not made:
        tell("was trusted already")


def _distrust(fingerprint: str) -> None:
    from obmen.licence import packages
    from obmen.store.models import Publisher

    wanted = "".join(fingerprint.split()).lower()
    rows: list[Publisher] = list(Publisher.objects.filter(fingerprint__startswith=wanted)) if wanted else []
    if len(rows) != 1:
        raise NeedsOwner(_("There is no one publisher with the fingerprint {fingerprint}"), fingerprint=fingerprint)
    packages.distrust(rows[0], "cli")
    say(f"no longer trusted: {rows[0]}")


@app.command()
def add(
    package: PackageFile,
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep to this file: newer versions of it are taken by themselves.")
    ] = False,
) -> None:
    """Install a format or its new version. Refused with the reason, and the old one stays, unless a trusted publisher signed it."""
    start()
    from obmen.licence import packages

    row, changed = packages.add_from(package, "cli", follow=follow)
    say(f"{row.key}  {row.version}  {row.title}")
    if not changed:
        tell("was installed already")
    elif packages.needs_restart(row):
        tell("restart the hub's servers, so that they answer at this format's usual addresses too")


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Installed formats, whether they run, and how their licences stand."""
    start()
    from obmen.licence import licences, packages
    from obmen.store.models import FormatPackage

    packages.follow_disk()
    troubles = packages.troubles()
    for row in FormatPackage.objects.defer("body"):
        licence = licences.standing(row)
        trouble = troubles.get(row.key)
        shape = {
            "key": row.key,
            "kind": row.kind,
            "connector": row.connector,
            "version": row.version,
            "title": row.title,
            "publisher": row.publisher,
            "fingerprint": row.fingerprint,
            "path": row.path or None,
            "runs": trouble is None,
            "why": str(trouble) if trouble else sentence(row.text, row.facts) or None,
            "licence": sentence(licence.text, licence.facts) if licence else None,
        }
        if as_json:
            say_json(shape)
        else:
            said = [row.key, row.version, row.title, row.publisher, shape["why"], shape["licence"]]
            say("  ".join(str(s) for s in said if s))


@app.command()
def licence(
    key: Key,
    login: Annotated[str, typer.Option(help="The login that came with the format.")] = "",
    key_env: Annotated[str, typer.Option(help="Variable that holds the licence key.")] = "",
) -> int:
    """Check a format's licence, by its signature and with the publisher's server where there is one; with --login enter it first."""
    start()
    from obmen.licence import licences

    row = _found(key)
    if login:
        if key_env and not os.environ.get(key_env):
            raise typer.BadParameter(f"the variable {key_env} is empty")
        typed = os.environ[key_env] if key_env else str(typer.prompt("Key", err=True)) if on_terminal() else ""
        licences.enter(row, login, typed, "cli")
    found, server = licences.check(row, "cli")
    if found is None:
        say("This format needs no licence")
        return 0
    if server is not None:
        tell(sentence(server.text, server.facts))
    say(sentence(found.text, found.facts))
    return 3 if found.tone == "danger" else 0


@app.command()
def remove(key: Key, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove a format. Its connections stay, and do nothing until it is there again."""
    start()
    from obmen.licence import packages

    row = _found(key)
    its = packages.connections_of(row)
    if not yes:
        if not on_terminal():
            raise NeedsOwner(_("{count} connections need “{key}”: say --yes to remove it"), count=len(its), key=key)
        typer.confirm(f"{len(its)} connections need “{key}”. Remove it?", abort=True, err=True)
    packages.remove(row, "cli")
    say(f"removed {key}")
