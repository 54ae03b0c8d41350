"""Images of a Deployment's own, and which deploy is the active one, also where no code was deployed."""

from django.db import migrations, models


def number_the_active_deploy(apps, schema_editor):
    """Until now the name of the active version said it: a deploy's number, a hyphen, and a digest."""
    Deployment = apps.get_model("deployments", "Deployment")
    for pk, version in Deployment.objects.exclude(code_version="").values_list("pk", "code_version"):
        Deployment.objects.filter(pk=pk).update(deploy_number=int(version.partition("-")[0]))


class Migration(migrations.Migration):

    dependencies = [
        ('deployments', '0016_alerts'),
    ]

    operations = [
        migrations.AddField(
            model_name='deploy',
            name='changes_image',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='deploy',
            name='image',
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.AddField(
            model_name='deploy',
            name='image_pinned',
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.AddField(
            model_name='deploy',
            name='rollout_until',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='deployment',
            name='deploy_number',
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='deployment',
            name='image',
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.AddField(
            model_name='deployment',
            name='registry_host',
            field=models.CharField(blank=True, max_length=255),
        ),
        migrations.AddField(
            model_name='deployment',
            name='registry_mark',
            field=models.CharField(blank=True, max_length=32),
        ),
        migrations.AddField(
            model_name='deployment',
            name='registry_user',
            field=models.CharField(blank=True, max_length=255),
        ),
        migrations.AlterField(
            model_name='deploy',
            name='digest',
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AlterField(
            model_name='deploy',
            name='source',
            field=models.CharField(choices=[('upload', 'Upload'), ('folder', 'Folder'), ('rollback', 'Rollback'), ('example', 'Example'), ('git', 'Git'), ('image', 'Image')], max_length=10),
        ),
        migrations.AlterField(
            model_name='deploy',
            name='version',
            field=models.CharField(blank=True, max_length=40),
        ),
        migrations.RunPython(number_the_active_deploy, migrations.RunPython.noop),
    ]
