from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("deployments", "0013_sign_in")]

    operations = [
        migrations.AddField(
            model_name="deployment", name="wakes_on_open", field=models.BooleanField(default=False)
        )
    ]
