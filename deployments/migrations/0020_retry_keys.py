"""A request that makes a secret may be sent again with its Idempotency-Key when its answer was lost."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("deployments", "0019_same_code")]

    operations = [
        migrations.AddField("alertchannel", "retry_key", models.UUIDField(null=True)),
        migrations.AddField("alertchannel", "retry_until", models.DateTimeField(null=True)),
        migrations.AddField("gitsource", "hook_key", models.UUIDField(null=True)),
        migrations.AddField("gitsource", "hook_key_until", models.DateTimeField(null=True)),
    ]
