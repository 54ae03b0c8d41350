from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('deployments', '0006_upgrade_trouble'),
    ]

    operations = [
        migrations.AddField(
            model_name='step',
            name='generation',
            field=models.PositiveIntegerField(default=0),
        ),
    ]
