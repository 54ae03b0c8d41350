"""Everything that converges, for operators."""

from deployments.admin import clusters, deployments  # noqa: F401 - registers
