from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('deployments', '0007_step_generation'),
    ]

    operations = [
        migrations.AddField(
            model_name='cluster',
            name='trial_at',
            field=models.DateTimeField(null=True),
        ),
    ]
