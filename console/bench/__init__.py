"""`make bench`: each row of issue 2's table, measured on real processes. See docs/performance.md."""
