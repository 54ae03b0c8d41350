"""Columns take the words of the glossary. The data stays."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('deployments', '0008_cluster_trial_at'),
    ]

    operations = [
        migrations.RemoveConstraint('deployment', 'one_deployment_per_form'),
        migrations.RenameField('cluster', 'trouble', 'unreachable_reason'),
        migrations.RenameField('cluster', 'trial_at', 'breaker_retry_at'),
        migrations.RenameField('deployment', 'notes', 'plane_details'),
        migrations.RenameField('deployment', 'form_key', 'idempotency_key'),
        migrations.RenameField('deployment', 'upgrade_trouble', 'upgrade_error'),
        migrations.RenameField('workerqueue', 'wanted_workers', 'desired_workers'),
        migrations.RenameField('workerqueue', 'fewer_since', 'scale_down_since'),
        migrations.RenameField('environmentvariable', 'mark', 'secret_digest'),
        migrations.RenameField('componentstatus', 'wanted', 'desired'),
        migrations.AddConstraint(
            'deployment',
            models.UniqueConstraint(fields=('workspace', 'idempotency_key'), name='one_deployment_per_form'),
        ),
    ]
