"""What the console keeps of sign-ins to Airflow."""

from django.db import models
from django.db.models.functions import Now

from workspaces.models import User


class AirflowSignOut(models.Model):
    """When a person last signed out of the console, in any browser: their sessions in Airflow from before that have
    ended, and begin again unseen where they are signed in."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="+")
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.user} at {self.at}"
