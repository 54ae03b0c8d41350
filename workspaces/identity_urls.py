"""The console as a provider of identities: under the names by which django-allauth knows them."""

from django.urls import include, path

from workspaces.pages import devices, identity

app_name = "idp"
_api = "identity/o/api"
_patterns = [
    path(".well-known/openid-configuration", identity.configuration, name="configuration"),
    path(".well-known/jwks.json", identity.jwks, name="jwks"),
    path("identity/o/authorize", identity.authorization, name="authorization"),
    path("identity/o/logout", identity.logout, name="logout"),
    path(f"{_api}/userinfo", identity.user_info, name="userinfo"),
    path(f"{_api}/revoke", identity.revoke, name="revoke"),
    path(f"{_api}/token", devices.token, name="token"),
    path(f"{_api}/device/code", devices.device_code, name="device_code"),
    path("device/", devices.device, name="device_authorization"),
]
urlpatterns = [path("", include((_patterns, "oidc")))]
