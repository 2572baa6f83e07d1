"""The page “Exchange formats”: installed format packages, their licences, and the publishers who are trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as now_
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from obmen.core.contract import ExchangeError
from obmen.licence import licences, packages, signing
from obmen.licence.package import MAX_FILE
from obmen.store import models
from obmen.web.asking import who
from obmen.web.lists import ListAdmin
from obmen.web.site import site
from obmen.web.words import say

LONGEST_KEY = 10_000  # bytes of a file with a public key


class FormatAdmin(ListAdmin):
    """One page with everything: whoever may open it may do all of it."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("store.manage_formats")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        def page(address: str, view: Any, name: str) -> URLPattern:
            return path(address, self.admin_site.admin_view(view), name=f"store_formatpackage_{name}")

        return [
            page("", self.changelist_view, "changelist"),
            page("upload/", require_POST(self.upload), "upload"),
            page("trust/", require_POST(self.trust), "trust"),
            page("publisher/<int:pk>/", self.distrust, "distrust"),
            page("<int:pk>/licence/", require_POST(never_cache(self.licence)), "licence"),
            page("<int:pk>/remove/", self.remove, "remove"),
        ]

    def _allowed(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _row(self, request: HttpRequest, pk: int) -> models.FormatPackage:
        self._allowed(request)
        row = models.FormatPackage.objects.filter(pk=pk).first()
        if row is None:
            raise Http404
        return row

    def _back(self) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:store_formatpackage_changelist"))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        self._allowed(request)
        packages.follow_disk()
        troubles = packages.troubles()
        trusted = {p.fingerprint: p for p in models.Publisher.objects.all()}
        rows = []
        for row in models.FormatPackage.objects.defer("body"):
            trouble, standing = troubles.get(row.key), licences.standing(row)
            rows.append(
                {
                    "row": row,
                    "signer": trusted.get(row.fingerprint),
                    "fingerprint": signing.spaced(row.fingerprint),
                    "trouble": say(trouble.text, trouble.facts) if trouble else "",
                    "on_disk": say(row.text, row.facts),
                    "news": row.news.get(get_language() or "en") or row.news.get("en", ""),
                    "licence": standing,
                    "licence_said": say(standing.text, standing.facts) if standing else "",
                    "login": row.licence.get("login", ""),
                    "has_key": bool(row.licence.get("key")),
                    "connections": packages.connections_of(row),
                    "offers": [] if trouble else [f"{row.connector}:{name}" for name in row.profiles] or [row.connector],
                }
            )
        publishers = [{"row": p, "fingerprint": signing.spaced(p.fingerprint)} for p in trusted.values()]
        return self.page(
            request, "obmen/formats.html", {"title": now_("Exchange formats"), "formats": rows, "publishers": publishers}
        )

    def upload(self, request: HttpRequest) -> HttpResponse:
        """Kept in the database, or only its path on this server."""
        self._allowed(request)
        file, place = request.FILES.get("file"), request.POST.get("path", "").strip()
        if file is None and not place:
            messages.error(request, now_("Choose a file, or enter its path on the server."))
            return self._back()
        try:
            if file is not None:
                row, changed = packages.add(file.read(MAX_FILE + 1), who(request))
            else:
                row, changed = packages.add_from(Path(place), who(request), follow=True)
        except ExchangeError as error:
            messages.error(request, f"{now_('The format was not installed.')} {say(error.text, error.facts)}")
            return self._back()
        said = {"title": row.title, "version": row.version}
        if changed:
            messages.success(request, now_("The format “%(title)s”, version %(version)s, is installed.") % said)
            if packages.needs_restart(row):
                messages.warning(
                    request, now_("Restart the hub's servers, so that they answer at this format's usual addresses too.")
                )
        else:
            messages.info(request, now_("The format “%(title)s”, version %(version)s, was installed already.") % said)
        return self._back()

    def trust(self, request: HttpRequest) -> HttpResponse:
        """First the fingerprint, then, confirmed, the trust."""
        self._allowed(request)
        file = request.FILES.get("file")
        line = file.read(LONGEST_KEY).decode("utf-8", "replace") if file else request.POST.get("line", "")
        try:
            public, name = signing.read_public(line)
            found = signing.fingerprint(public)
            if request.POST.get("confirmed"):
                packages.trust(line, who(request), found)
                messages.success(
                    request, now_("“%(name)s” is trusted: formats signed with this key may run here.") % {"name": name}
                )
                return self._back()
        except ExchangeError as error:
            messages.error(request, say(error.text, error.facts))
            return self._back()
        return self.page(
            request,
            "obmen/format_trust.html",
            {"title": now_("Trust a publisher"), "name": name, "fingerprint": signing.spaced(found), "line": line.strip()},
        )

    def distrust(self, request: HttpRequest, pk: int) -> HttpResponse:
        self._allowed(request)
        publisher = models.Publisher.objects.filter(pk=pk).first()
        if publisher is None:
            raise Http404
        if request.method == "POST":
            packages.distrust(publisher, who(request))
            messages.success(request, now_("“%(name)s” is no longer trusted.") % {"name": publisher})
            return self._back()
        return self._ask(
            request,
            now_("No longer trust “%(name)s”?") % {"name": publisher},
            now_("Formats that this publisher signed stop at once; they and their connections stay where they are."),
            now_("No longer trust"),
        )

    def licence(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Keep what was entered, then check it."""
        row = self._row(request, pk)
        if "login" in request.POST:
            licences.enter(row, request.POST["login"][:200], request.POST.get("key", ""), who(request))
        found, server = licences.check(row, who(request))
        if found is None:
            raise Http404
        for one in (server, found):
            if one is not None:
                tell = {"success": messages.success, "warning": messages.warning, "danger": messages.error}[one.tone]
                tell(request, f"{row.title}: {say(one.text, one.facts)}")
        return self._back()

    def remove(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self._row(request, pk)
        if request.method == "POST":
            packages.remove(row, who(request))
            messages.success(request, now_("The format “%(title)s” is removed.") % {"title": row.title})
            return self._back()
        names = ", ".join(c.name for c in packages.connections_of(row))
        consequence = now_("No connection uses it. Its licence is forgotten.")
        if names:
            consequence = now_(
                "These connections stop until it is installed again: %(names)s. They stay as they are; the licence is forgotten."
            ) % {"names": names}
        return self._ask(request, now_("Remove the format “%(title)s”?") % {"title": row.title}, consequence, now_("Remove"))

    def _ask(self, request: HttpRequest, question: str, consequence: str, button: str) -> HttpResponse:
        context = {
            "title": question,
            "question": question,
            "consequence": consequence,
            "button": button,
            "danger": True,
            "back": reverse("admin:store_formatpackage_changelist"),
        }
        return self.page(request, "obmen/ask.html", context)


site.register(models.FormatPackage, FormatAdmin)
