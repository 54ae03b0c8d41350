"""Addresses in international domains are stored as mail servers write them (xn--…), which is one identity for both
spellings. What would meet another row then stays as it is."""

import idna
from django.db import IntegrityError, migrations, transaction


def spell_out(apps, schema_editor):
    for app, model in (("workspaces", "User"), ("workspaces", "Invitation"), ("account", "EmailAddress")):
        rows = apps.get_model(app, model).objects
        for row in rows.only("pk", "email").iterator():
            local, at, domain = row.email.rpartition("@")
            if domain.isascii():
                continue
            try:
                email = f"{local}{at}{idna.encode(domain, uts46=True).decode()}"
                with transaction.atomic():
                    rows.filter(pk=row.pk).update(email=email)
            except (idna.IDNAError, IntegrityError):
                continue


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0005_words"), ("account", "0009_emailaddress_unique_primary_email")]
    operations = [migrations.RunPython(spell_out, migrations.RunPython.noop)]
