from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('deployments', '0005_deregistered_clusters'),
    ]

    operations = [
        migrations.AddField(
            model_name='deployment',
            name='upgrade_trouble',
            field=models.CharField(blank=True, default='', max_length=1000),
            preserve_default=False,
        ),
    ]
