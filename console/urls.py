"""The site map."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from console import docs, views
from console.api import document, reference
from console.api.v1 import api
from console.search import views as search
from workspaces.pages import confirming

urlpatterns = [
    path("", views.home, name="home"),
    path("-/live/", views.live, name="health_live"),
    path("-/ready/", views.ready, name="health_ready"),
    path("search/", search.search, name="search"),
    path("search/keys/", search.keys, name="search_keys"),
    path("docs/", docs.index, name="docs"),
    path("docs/api-reference/", reference.reference, name="api_reference"),
    path("docs/<slug:name>/", docs.page, name="docs_page"),
    path("accounts/reauthenticate/", confirming.by_password, name="account_reauthenticate"),
    path("accounts/2fa/reauthenticate/", confirming.by_code, name="mfa_reauthenticate"),
    path("accounts/2fa/webauthn/reauthenticate/", confirming.by_key, name="mfa_reauthenticate_webauthn"),
    path("accounts/", include("allauth.account.urls")),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("accounts/sessions/", include("allauth.usersessions.urls")),
    path("api/v1/openapi.json", document.openapi, name="openapi"),
    path("api/v1/", api.urls),
    path("admin/", admin.site.urls),
    path("", include("workspaces.identity_urls")),
    path("", include("workspaces.urls")),
    path("", include("deployments.urls")),
]

if settings.OIDC_URL:
    from workspaces import company_account

    urlpatterns += [
        path("accounts/oidc/<str:provider_id>/login/", company_account.login, name="openid_connect_login"),
        path(
            "accounts/oidc/<str:provider_id>/login/callback/",
            company_account.callback,
            name="openid_connect_callback",
        ),
    ]

if settings.DEBUG or settings.EMBEDDED:
    urlpatterns += [path("", include("console.urls_dev"))]

handler400 = "console.views.bad_request"
handler403 = "console.views.permission_denied"
handler429 = "console.views.too_many_requests"  # allauth calls it
handler404 = "console.views.not_found"
handler500 = "console.views.server_error"
