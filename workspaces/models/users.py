"""People who may sign in."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models

from workspaces.audited import Subject
from workspaces.email_addresses import normalize_email


class UserManager(BaseUserManager["User"]):
    """Makes users by email address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A user with a usable password, or none."""
        user = self.model(email=normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """An operator: `manage.py createsuperuser`."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """By address, however it was typed."""
        return self.get(email=normalize_email(username or ""))


class Theme(models.TextChoices):
    """Which colours a user wants."""

    SYSTEM = "system", "Match system"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class User(AbstractBaseUser, PermissionsMixin):
    """A person. Identified by email address, stored normalised."""

    email = models.EmailField("email", unique=True)
    name = models.CharField(max_length=100, blank=True)
    theme = models.CharField(max_length=6, choices=Theme, default=Theme.SYSTEM)
    time_zone = models.CharField(max_length=64, default="UTC")
    is_staff = models.BooleanField("site administrator", default=False)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.label

    @property
    def audit_subject(self) -> Subject:
        """How audit events name it."""
        return Subject("user", self.pk, self.email)

    @property
    def label(self) -> str:
        """How pages call this person."""
        return self.name or self.email

    def get_full_name(self) -> str:
        """For Django admin."""
        return self.label
