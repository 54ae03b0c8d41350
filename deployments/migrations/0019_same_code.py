"""Whether the Deployment had the code of a commit already is a column, no longer read from the end of a sentence."""

from django.db import migrations, models


def from_the_notes(apps, schema_editor):
    sources = apps.get_model("deployments", "GitSource").objects
    sources.filter(handled_note__endswith="There is nothing to do.").update(same_code=True)


class Migration(migrations.Migration):
    dependencies = [("deployments", "0018_scheduler_heartbeat_at")]

    operations = [
        migrations.AddField("gitsource", "same_code", models.BooleanField(db_default=False, default=False)),
        migrations.RunPython(from_the_notes, migrations.RunPython.noop),
    ]
