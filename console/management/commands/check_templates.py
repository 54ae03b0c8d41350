"""`manage.py check_templates`: every template of ours compiles."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.autoreload import get_template_directories
from django.template.loader import get_template


class Command(BaseCommand):
    """Part of `make check`. Changes nothing."""

    help = "Compile every template of this project and name those that do not compile."

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError with one line per broken template."""
        ours = [
            folder
            for folder in get_template_directories()
            if folder.is_relative_to(settings.BASE_DIR) and ".venv" not in folder.parts
        ]
        names = sorted({str(file.relative_to(folder)) for folder in ours for file in folder.rglob("*.*")})
        problems = []
        for name in names:
            try:
                get_template(name)
            except (TemplateDoesNotExist, TemplateSyntaxError, UnicodeDecodeError) as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise CommandError("\n".join(problems))
        self.stdout.write(f"{len(names)} templates compile.")
