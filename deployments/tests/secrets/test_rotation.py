"""Key rotation over everything that is stored encrypted."""

import pytest
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import models

from console.kit.crypto import DecryptionError
from deployments.clusters import connections
from deployments.models import AlertChannel, Cluster, DeploymentSecret
from deployments.secrets import alert_channels, vault
from deployments.secrets.rotation import rotate_all
from deployments.tests.one_of_everything import furnish_alerts

pytestmark = pytest.mark.django_db


def test_after_a_rotation_the_old_key_can_be_dropped(deployment, cluster, settings, capsys):
    before = vault.read(deployment)
    url = connections.config(cluster).database_url
    new = Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new, *settings.ENCRYPTION_KEYS]
    call_command("rotate_keys")
    assert "8 secrets are under the first key" in capsys.readouterr().out
    settings.ENCRYPTION_KEYS = [new]
    assert vault.read(deployment) == before
    assert connections.config(Cluster.objects.get()).database_url == url


def test_a_key_that_is_missing_is_told_in_a_sentence_and_the_rotation_goes_on_once_it_is_back(
    deployment, settings
):
    before, old, new = vault.read(deployment), settings.ENCRYPTION_KEYS, Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new]
    with pytest.raises(CommandError, match=r"Put that key back .* drop no key before\."):
        call_command("rotate_keys")
    settings.ENCRYPTION_KEYS = [new, *old]
    call_command("rotate_keys")
    settings.ENCRYPTION_KEYS = [new]
    assert vault.read(deployment) == before


def test_second_factors_survive_a_rotation(alice, settings):
    totp = TOTP.activate(alice, "JBSWY3DPEHPK3PXP")
    codes = RecoveryCodes.activate(alice).get_unused_codes()
    sealed = dict(Authenticator.objects.values_list("type", "data"))
    new = Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new, *settings.ENCRYPTION_KEYS]
    assert rotate_all() == 2
    settings.ENCRYPTION_KEYS = [new]
    again = {factor.type: factor for factor in Authenticator.objects.all()}
    assert get_mfa_adapter().decrypt(again["totp"].data["secret"]) == "JBSWY3DPEHPK3PXP"
    assert RecoveryCodes(again["recovery_codes"]).get_unused_codes() == codes
    assert again["totp"].data != sealed["totp"]
    assert totp.instance.pk == again["totp"].pk


def test_the_address_and_the_secret_of_a_webhook_survive_a_rotation(workspace, settings):
    furnish_alerts(workspace, path="kept")
    secret = alert_channels.secret_of(AlertChannel.objects.get())
    new = Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new, *settings.ENCRYPTION_KEYS]
    assert rotate_all() == 2
    settings.ENCRYPTION_KEYS = [new]
    channel = AlertChannel.objects.get()
    assert alert_channels.url_of(channel) == "https://hooks.example/kept"
    assert alert_channels.secret_of(channel) == secret


def test_a_rotation_cut_short_is_completed_by_the_next(deployment, settings, monkeypatch):
    before = vault.read(deployment)
    new = Fernet.generate_key().decode()
    old = list(settings.ENCRYPTION_KEYS)
    settings.ENCRYPTION_KEYS = [new, *old]
    from console.kit import crypto

    done = []

    def die_after_three(token):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(token)
        return rotate(token)

    rotate = crypto.rotate
    monkeypatch.setattr(crypto, "rotate", die_after_three)
    with pytest.raises(KeyboardInterrupt):
        rotate_all()
    settings.ENCRYPTION_KEYS = [new]
    with pytest.raises(DecryptionError):
        vault.read(deployment)
    settings.ENCRYPTION_KEYS = [new, *old]
    monkeypatch.setattr(crypto, "rotate", rotate)
    rotate_all()
    settings.ENCRYPTION_KEYS = [new]
    assert vault.read(deployment) == before


def test_every_encrypted_column_is_rotated():
    """A new encrypted column must be added to the rotation, or this fails."""
    from django.apps import apps

    encrypted = {
        f"{model.__name__}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.BinaryField)
    }
    # Compressed, and no secret: the names of the files of a version, those of its packages.
    encrypted -= {"CodeManifest.packed", "PackageSet.packed"}
    assert encrypted == {
        "DeploymentSecret.sealed",
        "EnvironmentVariable.sealed",
        "VariableRevision.sealed",
        "Cluster.sealed_config",
        "AlertChannel.sealed_url",
        "AlertChannel.sealed_secret",
    }
    assert DeploymentSecret
