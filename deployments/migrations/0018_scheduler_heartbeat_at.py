"""The moment of a scheduler's newest heartbeat is called that. The column keeps its name, so that processes of the
version before go on."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('deployments', '0017_images'),
    ]

    operations = [
        migrations.AlterField('latestreading', 'scheduler_heard_at', models.DateTimeField(db_column='scheduler_heard_at', null=True)),
        migrations.RenameField('latestreading', 'scheduler_heard_at', 'scheduler_heartbeat_at'),
    ]
