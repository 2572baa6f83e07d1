"""The hub's own admin site: every page hangs on it, so that every page asks who is there."""

from __future__ import annotations

from django.urls import URLPattern, path
from unfold.sites import UnfoldAdminSite


class ObmenSite(UnfoldAdminSite):
    index_template = "obmen/overview.html"
    # At the root path Django's catch-all would answer every unknown address, also those that an accounting system calls,
    # by sending the caller to the sign-in page.
    final_catch_all_view = False

    def extra_urls(self) -> list[URLPattern]:
        from obmen.web import overview, pictures

        return [
            path("overview/running/", self.admin_view(overview.running), name="running"),
            path("pictures/<int:picture_id>/", self.admin_view(pictures.picture), name="picture"),
        ]


site = ObmenSite(name="admin")
