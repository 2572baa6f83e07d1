"""The page “Notices”: what needs a person now, who is told of it and how, what counts as trouble, and the log of what was sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.conf import settings as hub
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.validators import validate_email
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import get_language
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldAdminTimeWidget,
    UnfoldBooleanSwitchWidget,
)

from obmen.core.contract import ExchangeError
from obmen.net import mail
from obmen.store import journal, models, visibility
from obmen.store import notices as channels
from obmen.store.models import Notice, NoticeChannel, Trouble, TroubleKind
from obmen.web.asking import who
from obmen.web.lists import ListAdmin
from obmen.web.site import site
from obmen.web.words import say, without_facts
from obmen.work import notices
from obmen.work.channels import BOTS

RECENT = 10  # notices on the page; the log has all of them
WAYS = {
    "email": ("mail", _("A letter to one or more addresses.")),
    "telegram": ("send", _("A message from a bot of yours to a person, a group or a channel.")),
    "webhook": ("webhook", _("A signed call of your own program, with the notice as JSON.")),
}
OVER = ("over", _("that it is fine again"))
NEWS_TONES = {"trouble": "danger", "still": "warning", "over": "success", "test": "info"}
STATE_TONES = {"waiting": "info", "sent": "success", "failed": "danger", "dropped": "warning"}


class AddressField(forms.CharField):
    """An address of the web; also of a host inside a network, whose name has no dot."""

    widget = UnfoldAdminTextInputWidget

    def clean(self, value: Any) -> str:
        text = str(super().clean(value)).strip()
        if not text:
            return ""
        try:
            parts = urlsplit(text)
            good = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0 and " " not in text
        except ValueError:
            good = False
        if not good:
            raise forms.ValidationError(now_("An address begins with https://, for example https://example.com/in."))
        return text


ELSEWHERE = _("It would be sent to %(host)s from now on: enter it again.")


class ChannelForm(forms.Form):
    """What all ways have in common; each way adds where to."""

    where: tuple[str, ...] = ()
    secret: str = ""

    name = forms.CharField(label=_("name"), max_length=120, widget=UnfoldAdminTextInputWidget)
    enabled = forms.BooleanField(label=_("switched on"), required=False, widget=UnfoldBooleanSwitchWidget)
    wants = forms.MultipleChoiceField(
        label=_("tells of"), choices=[*TroubleKind.choices, OVER], widget=UnfoldAdminCheckboxSelectMultipleWidget
    )
    scope = forms.ChoiceField(
        label=_("connections"),
        required=False,
        choices=[("", _("all, new ones too")), ("chosen", _("only these"))],
        widget=UnfoldAdminSelectWidget,
    )
    connections = forms.ModelMultipleChoiceField(
        label=_("only these"),
        required=False,
        queryset=models.Connection.objects.none(),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    language = forms.ChoiceField(label=_("language"), choices=hub.LANGUAGES, widget=UnfoldAdminSelectWidget)
    time_zone = forms.ChoiceField(label=_("time zone"), widget=UnfoldAdminSelectWidget)
    quiet_from = forms.TimeField(
        label=_("quiet from"),
        required=False,
        widget=UnfoldAdminTimeWidget(format="%H:%M"),
        help_text=_("In the quiet hours notices are kept, and sent together when they end. For example from 22:00 to 8:00."),
    )
    quiet_to = forms.TimeField(label=_("quiet to"), required=False, widget=UnfoldAdminTimeWidget(format="%H:%M"))
    through = forms.BooleanField(
        label=_("wake me"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_("An exchange that failed or needs somebody is told in the quiet hours, too."),
    )
    address = AddressField(
        label=_("address of the hub"),
        required=False,
        max_length=300,
        help_text=_("Links in notices begin with it. Empty: what OBMEN_PUBLIC_URL says, and without that there are no links."),
    )

    def __init__(self, channel: NoticeChannel, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.channel = channel
        zone, chosen = self.fields["time_zone"], self.fields["connections"]
        zone.choices = [(z, z.replace("_", " ")) for z in sorted(available_timezones()) if "/" in z]  # type: ignore[attr-defined]
        chosen.queryset = models.Connection.objects.defer("secrets", "settings")  # type: ignore[attr-defined]
        if channel.pk and self.secret in self.fields:
            self.fields[self.secret].required = False
            self.fields[self.secret].help_text = now_("Empty: as it is.")

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"]).strip()
        if NoticeChannel.objects.filter(name=name).exclude(pk=self.channel.pk).exists():
            raise forms.ValidationError(now_("There is a channel with this name already: choose another one."))
        return name

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("scope") and not data.get("connections"):
            self.add_error("connections", now_("Choose at least one connection, or take all of them."))
        if (data.get("quiet_from") is None) != (data.get("quiet_to") is None):
            missing = "quiet_to" if data.get("quiet_to") is None else "quiet_from"
            if missing not in self.errors:
                self.add_error(missing, now_("Quiet hours need both a beginning and an end."))
        return data

    def values(self) -> dict[str, Any]:
        """As store/notices.py takes them."""
        data = self.cleaned_data
        same = ("name", "enabled", "wants", "language", "time_zone", "quiet_from", "quiet_to", "through", "address")
        return {**{name: data[name] for name in same}, "everywhere": not data["scope"], "settings": self.place()}

    def place(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in self.where if name in self.cleaned_data}

    def hidden(self) -> dict[str, str]:
        return {self.secret: self.cleaned_data.get(self.secret, "").strip()}

    @property
    def places(self) -> list[tuple[Any, str]]:
        """Fields of the way itself, each with what it is shown for."""
        return [(self[name], "host" if name in self.follows else "") for name in (*self.where, self.secret)]

    follows: tuple[str, ...] = ()  # shown only when “host” is filled in


class EmailForm(ChannelForm):
    where, secret = ("to", "host", "security", "port", "sender", "login"), "password"
    follows = ("security", "port", "sender", "login", "password")

    to = forms.CharField(
        label=_("to"), widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}), help_text=_("One address in each line.")
    )
    host = forms.CharField(label=_("mail server"), required=False, max_length=250, widget=UnfoldAdminTextInputWidget)
    security = forms.ChoiceField(
        label=_("encryption"),
        required=False,
        choices=[("starttls", "STARTTLS"), ("tls", "TLS"), ("none", _("none, for a server that takes no login"))],
        widget=UnfoldAdminSelectWidget,
        help_text=_("STARTTLS where the port is 587, TLS where it is 465."),
    )
    port = forms.IntegerField(
        label=_("port"),
        required=False,
        min_value=1,
        max_value=65535,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=_("Empty: the usual one."),
    )
    sender = forms.EmailField(
        label=_("from"),
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Whom letters are from; most servers want the address of the login."),
    )
    login = forms.CharField(label=_("login"), required=False, max_length=250, widget=UnfoldAdminTextInputWidget)
    password = forms.CharField(
        label=_("password"),
        required=False,
        max_length=500,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_("Many mail services want a password made for programs, not the one you sign in with."),
    )

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.fields["host"].help_text = now_("For example smtp.example.com.")
        if known := hub_server():
            self.fields["host"].help_text = now_("Empty: the hub's own, %(host)s.") % {"host": known}

    def clean_to(self) -> list[str]:
        found = [
            part.strip() for part in self.cleaned_data["to"].replace(",", "\n").replace(";", "\n").splitlines() if part.strip()
        ]
        for one in found:
            try:
                validate_email(one)
            except forms.ValidationError:
                raise forms.ValidationError(now_("“%(address)s” is no e-mail address.") % {"address": one}) from None
        if len(found) > 20:
            raise forms.ValidationError(now_("At most 20 addresses: make a list of them at your mail service."))
        return found

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if not data.get("host"):
            if not hub_server() and "host" not in self.errors:
                self.add_error("host", now_("Enter your mail server: the hub has none of its own (OBMEN_EMAIL_URL)."))
            return data
        if not data.get("sender") and "sender" not in self.errors:
            self.add_error("sender", now_("Say whom letters are from."))
        if data.get("login") and data.get("security") == "none":
            self.add_error("security", now_("A password is not sent without encryption: choose STARTTLS or TLS."))
        if data.get("login") and not data.get("password"):
            if not self.channel.secrets.get("password"):
                self.add_error("password", now_("Enter the password of the login."))
            elif not self.errors and channels.goes_elsewhere(self.channel, self.place()):
                self.add_error("password", ELSEWHERE % {"host": data["host"]})
        return data

    def place(self) -> dict[str, Any]:
        found = super().place()
        return found if found["host"] else {"to": found["to"]}


class TelegramForm(ChannelForm):
    where, secret = ("chat", "api"), "token"

    @property
    def places(self) -> list[tuple[Any, str]]:
        return [(self[name], "") for name in ("token", "chat", "api")]

    chat = forms.RegexField(
        label=_("chat"),
        regex=r"^(-?\d{1,20}|@\w{4,40})$",
        widget=UnfoldAdminTextInputWidget,
        error_messages={"invalid": _("A chat is a number such as 123456789 or -1001234567890, or @name of a public channel.")},
        help_text=_(
            "The id of a person or a group (a negative number), or @name of a public channel. Press Start in the chat with your bot, or "
            "add it to the group: before that it may not write there."
        ),
    )
    token = forms.RegexField(
        label=_("token of the bot"),
        regex=r"^\s*\d+:[\w-]{10,100}\s*$",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        error_messages={"invalid": _("A token looks like 123456:ABC-DEF…; take it whole, as @BotFather gives it.")},
        help_text=_("From @BotFather in Telegram: /newbot makes a bot and tells its token."),
    )
    api = AddressField(
        label=_("address of Telegram"),
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": BOTS}),
        help_text=_("Only for a Bot API server of your own. Empty: Telegram's."),
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        known = self.channel.pk and not data.get("token") and not self.errors
        if known and channels.goes_elsewhere(self.channel, self.place()):
            self.add_error("token", ELSEWHERE % {"host": data["api"] or BOTS})
        return data


class WebhookForm(ChannelForm):
    where, secret = (), "secret"

    target = AddressField(
        label=_("address to call"),
        max_length=2000,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text=_("Begins with https://. It may hold a secret, so it is kept like a password and not shown again."),
    )
    secret_value = forms.CharField(
        label=_("secret of the signature"),
        required=False,
        min_length=16,
        max_length=200,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 16 characters. Empty: the hub makes one and shows it once."),
    )

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.made = ""
        if self.channel.pk:
            self.fields["target"].required = False
            self.fields["target"].help_text = now_("Empty: as it is, at %(host)s.") % {
                "host": self.channel.settings.get("host", "")
            }
            self.fields["secret_value"].help_text = now_("Empty: as it is.")

    @property
    def places(self) -> list[tuple[Any, str]]:
        return [(self["target"], ""), (self["secret_value"], "")]

    def place(self) -> dict[str, Any]:
        target = self.cleaned_data["target"]
        return {"host": urlsplit(target).hostname} if target else dict(self.channel.settings)

    def hidden(self) -> dict[str, str]:
        secret = self.cleaned_data["secret_value"].strip()
        if not secret and not self.channel.secrets.get("secret"):
            secret = self.made = channels.new_secret()
        return {"address": self.cleaned_data["target"], "secret": secret}


FORMS: dict[str, type[ChannelForm]] = {"email": EmailForm, "telegram": TelegramForm, "webhook": WebhookForm}


class LimitsForm(forms.Form):
    """What counts as trouble for one connection."""

    silent_after = forms.IntegerField(
        required=False, min_value=0, max_value=8760, widget=UnfoldAdminIntegerFieldWidget(attrs={"placeholder": _("by itself")})
    )
    parked_limit = forms.IntegerField(min_value=0, max_value=1_000_000, widget=UnfoldAdminIntegerFieldWidget)


def hub_server() -> str:
    """The host of the mail server that the hub has for all channels; "" without one."""
    if not hub.OBMEN_EMAIL_URL:
        return ""
    try:
        return mail.read_url(hub.OBMEN_EMAIL_URL).host
    except ExchangeError:
        return ""


def urls() -> list[URLPattern]:
    def page(address: str, view: Any, name: str) -> URLPattern:
        return path(f"notices/{address}", site.admin_view(view), name=name)

    return [
        page("", show, "notices"),
        page("add/<slug:way>/", never_cache(add), "notices_add"),
        page("<int:pk>/", never_cache(change), "notices_change"),
        page("<int:pk>/test/", require_POST(test), "notices_test"),
        page("<int:pk>/remove/", remove, "notices_remove"),
        page("limits/", limits, "notices_limits"),
    ]


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    return site._registry[Notice].page(request, template, context)


def _allowed(request: HttpRequest, deed: str = "view") -> None:
    if not request.user.has_perm(f"store.{deed}_noticechannel"):
        raise PermissionDenied


def _one(request: HttpRequest, pk: int, deed: str) -> NoticeChannel:
    _allowed(request, deed)
    channel = NoticeChannel.objects.filter(pk=pk).first()
    if channel is None:
        raise Http404
    return channel


def _back() -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:notices"))


def _places(channel: NoticeChannel) -> list[str]:
    """Where it goes, without secrets."""
    said = channel.settings
    return list(said.get("to") or [str(said.get("chat") or said.get("host") or "–")])


def _kinds(channel: NoticeChannel) -> str:
    labels = {**dict(TroubleKind.choices), OVER[0]: OVER[1]}
    if set(channel.wants) >= set(labels):
        return now_("everything")
    return ", ".join(str(label) for key, label in labels.items() if key in channel.wants)


def veiled(rows: Iterable[Any]) -> None:
    """What a run said names records of every company: as state.py's veil."""
    for row in rows:
        if isinstance(detail := row.facts.get("detail"), dict):
            row.facts = {**row.facts, "detail": {"text": without_facts(detail["text"]), "facts": {}}}


def dressed(rows: list[Any]) -> list[Any]:
    """Troubles and notices with their sentences and where they lead."""
    zone = timezone.get_current_timezone()
    for row in rows:
        row.title, row.detail = notices.worded(row, zone if isinstance(zone, ZoneInfo) else ZoneInfo(hub.TIME_ZONE))
        row.url = notices.link(row)
        row.tone = NEWS_TONES.get(getattr(row, "news", "trouble"), "")
        row.state_tone = STATE_TONES.get(getattr(row, "state", ""), "")
        row.answered = say(getattr(row, "answer", ""), getattr(row, "answer_facts", None))
    return rows


def show(request: HttpRequest) -> HttpResponse:
    _allowed(request)
    rows = list(NoticeChannel.objects.defer("secrets").prefetch_related("connections"))
    waiting = dict(Notice.objects.filter(state=Notice.State.WAITING).order_by().values_list("channel").annotate(n=Count("pk")))
    listed = [
        {
            "row": row,
            "icon": WAYS[row.way][0],
            "places": _places(row),
            "kinds": _kinds(row),
            "waiting": waiting.get(row.pk, 0),
            "trouble": say(row.text, row.facts),
            "connections": [] if row.everywhere else [c.name for c in row.connections.all()],
        }
        for row in rows
    ]
    troubles = list(Trouble.objects.filter(over=None).select_related(None).order_by("-since", "-id")[:100])
    recent: list[Notice] = []
    if request.user.has_perm("store.view_notice"):
        recent = list(Notice.objects.select_related("channel").defer("channel__secrets").order_by("-id")[:RECENT])
    if visibility.is_limited(request.user):
        veiled([*troubles, *recent])
    may = {deed: request.user.has_perm(f"store.{deed}_noticechannel") for deed in ("add", "change", "delete")}
    context: dict[str, Any] = {
        "title": now_("Notices"),
        "channels": listed,
        "may": may,
        "ways": [(way, WAYS[way][0], capfirst(str(label)), WAYS[way][1]) for way, label in NoticeChannel.Way.choices],
        "troubles": dressed(troubles),
        "may_limit": request.user.has_perm("store.view_connection"),
    }
    if request.user.has_perm("store.view_notice"):
        context["recent"] = dressed(recent)
    return _page(request, "obmen/notices.html", context)


def add(request: HttpRequest, way: str) -> HttpResponse:
    _allowed(request, "add")
    if way not in FORMS:
        raise Http404
    return _form(request, NoticeChannel(way=way))


def change(request: HttpRequest, pk: int) -> HttpResponse:
    return _form(request, _one(request, pk, "change"))


def initial(request: HttpRequest, channel: NoticeChannel) -> dict[str, Any]:
    if not channel.pk:
        language = (get_language() or hub.LANGUAGE_CODE)[:2]
        own = "" if hub.OBMEN_PUBLIC_URL else request.build_absolute_uri("/")
        return {
            "enabled": True,
            "wants": [*TroubleKind.values, OVER[0]],
            "language": language,
            "time_zone": hub.TIME_ZONE,
            "address": own,
            "security": "starttls",
        }
    same = ("name", "enabled", "wants", "language", "time_zone", "quiet_from", "quiet_to", "through", "address")
    kept = {**channel.settings, "to": "\n".join(channel.settings.get("to", ()))}
    chosen = {} if channel.everywhere else {"scope": "chosen", "connections": list(channel.connections.all())}
    return {**kept, **{name: getattr(channel, name) for name in same}, **chosen}


def _form(request: HttpRequest, channel: NoticeChannel) -> HttpResponse:
    new = channel.pk is None
    form = FORMS[channel.way](channel, request.POST or None, initial=initial(request, channel))
    if request.method == "POST" and form.is_valid():
        channels.save(channel, form.values(), form.hidden(), form.cleaned_data["connections"], who(request))
        said = (
            now_("The channel “%(name)s” is added. Send a test to see it work.")
            if new
            else now_("The channel “%(name)s” is saved.")
        )
        messages.success(request, said % {"name": channel.name})
        if made := getattr(form, "made", ""):
            messages.warning(request, now_("Secret of the signature, shown this once: %(secret)s") % {"secret": made})
        return _back()
    way = NoticeChannel.Way(channel.way)
    context = {
        "title": now_("New channel: %(way)s") % {"way": way.label} if new else channel.name,
        "form": form,
        "channel": channel,
        "icon": WAYS[channel.way][0],
        "about": WAYS[channel.way][1],
        "dirty": form.is_bound,
    }
    return _page(request, "obmen/notice_channel.html", context)


def test(request: HttpRequest, pk: int) -> HttpResponse:
    """Send one now; the person waits for the answer, a minute at most."""
    channel = _one(request, pk, "change")
    try:
        sent = notices.test(channel)
    except ExchangeError as error:
        messages.error(request, say(error.text, error.facts))
        return _back()
    journal.note(None, "notices.tested", who(request), name=channel.name)
    said = say(sent.answer, sent.answer_facts)
    if sent.state == Notice.State.SENT:
        messages.success(request, now_("The test is sent by “%(name)s”: %(answer)s") % {"name": channel.name, "answer": said})
    else:
        messages.error(
            request, now_("The test could not be sent by “%(name)s”. %(answer)s") % {"name": channel.name, "answer": said}
        )
    return _back()


def remove(request: HttpRequest, pk: int) -> HttpResponse:
    channel = _one(request, pk, "delete")
    if request.method == "POST":
        channels.remove(channel, who(request))
        messages.success(request, now_("The channel “%(name)s” is removed.") % {"name": channel.name})
        return _back()
    question, consequence = removal(channel)
    context = {
        "title": question,
        "question": question,
        "consequence": consequence,
        "button": now_("Remove"),
        "danger": True,
        "back": reverse("admin:notices"),
    }
    return _page(request, "obmen/ask.html", context)


def removal(channel: NoticeChannel) -> tuple[str, str]:
    """What is asked before a channel is removed, and what follows from it."""
    consequence = now_(
        "Nobody is told by it any more. Its settings, what waits for it and the log of what it sent go, too. To stop it for a "
        "while, switch it off instead."
    )
    return now_("Remove the channel “%(name)s”?") % {"name": channel.name}, consequence


def limits(request: HttpRequest) -> HttpResponse:
    """What counts as trouble, for each connection."""
    if not request.user.has_perm("store.view_connection"):
        raise PermissionDenied
    may = request.user.has_perm("store.change_connection")
    if request.method == "POST" and not may:
        raise PermissionDenied
    rows = list(models.Connection.objects.defer("secrets", "settings"))
    listed = []
    for row in rows:
        initial = {"silent_after": row.silent_after, "parked_limit": row.parked_limit}
        form = LimitsForm(request.POST if request.method == "POST" else None, prefix=str(row.pk), initial=initial)
        for field in form.fields.values():
            field.disabled = not may
        listed.append({"row": row, "form": form})
    if request.method == "POST" and all(each["form"].is_valid() for each in listed):  # type: ignore[attr-defined]
        changed = 0
        for each in listed:
            data = each["form"].cleaned_data  # type: ignore[attr-defined]
            changed += channels.set_limits(each["row"], data["silent_after"], data["parked_limit"], who(request))  # type: ignore[arg-type]
        messages.success(request, now_("Saved.") if changed else now_("Nothing was changed."))
        return HttpResponseRedirect(reverse("admin:notices_limits"))
    context = {"title": now_("What counts as trouble"), "rows": listed, "may_change": may, "dirty": request.method == "POST"}
    return _page(request, "obmen/notice_limits.html", context)


class NoticeAdmin(ListAdmin):
    """The log: every notice with what came of it."""

    card_template = "obmen/notice.html"
    list_display = ("at", "channel", "news_label", "sentence", "state_label", "sent", "answered", "tries")
    list_filter = (
        ("channel", RelatedDropdownFilter),
        ("connection", RelatedDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("news", ChoicesDropdownFilter),
        ("at", RangeDateTimeFilter),
    )
    look_in = ("channel__name", "connection__name", "answer")
    list_select_related = ("channel",)
    sortable_by = ()
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("channel__secrets")

    def dress(self, rows: list[Any]) -> None:
        dressed(rows)

    def veil(self, rows: Sequence[Any]) -> None:
        veiled(rows)
        dressed(list(rows))

    @display(description=_("news"), label=NEWS_TONES)
    def news_label(self, n: Notice) -> tuple[str, str]:
        return n.news, n.get_news_display()

    @display(description=_("what"))
    def sentence(self, n: Any) -> str:
        return str(n.title)

    @display(description=_("state"), label=STATE_TONES)
    def state_label(self, n: Notice) -> tuple[str, str]:
        return n.state, n.get_state_display()

    @display(description=_("answer"))
    def answered(self, n: Any) -> str:
        text = str(n.answered)
        return text if len(text) <= 80 else text[:79] + "…"

    def get_urls(self) -> list[URLPattern]:
        again = path("<int:pk>/again/", self.admin_site.admin_view(require_POST(self.again)), name="store_notice_again")
        return [again, *super().get_urls()]

    def card(self, request: HttpRequest, record: Notice) -> dict[str, Any]:
        dressed([record])
        unsent = record.state in (Notice.State.FAILED, Notice.State.WAITING) and bool(record.kind)
        may = unsent and request.user.has_perm("store.change_noticechannel")
        return {"title": now_("Notice %(id)s") % {"id": record.pk}, "may_again": may}

    def again(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not request.user.has_perm("store.change_noticechannel"):
            raise PermissionDenied
        notice = self.one(request, str(pk))
        if notice is None or not notice.kind:
            raise Http404
        if channels.try_again(notice):
            messages.success(request, now_("It is tried again within a minute."))
        else:
            messages.info(request, now_("It was sent already, or is dropped."))
        return HttpResponseRedirect(reverse("admin:store_notice_change", args=[pk]))


site.register(Notice, NoticeAdmin)
