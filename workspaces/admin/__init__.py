"""Django admin of people and Workspaces; each module registers its own."""

from workspaces.admin import people

__all__ = ["people"]
