"""Everything that converges, for operators."""

from deployments.admin import catalogue, clusters, deployments  # noqa: F401 - registers
