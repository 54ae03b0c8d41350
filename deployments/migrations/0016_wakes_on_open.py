from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("deployments", "0010_deploys")]

    operations = [
        migrations.AddField(
            model_name="deployment", name="wakes_on_open", field=models.BooleanField(default=False)
        )
    ]
