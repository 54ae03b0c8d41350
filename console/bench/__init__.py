"""`make bench`: each row of the table in docs/performance.md, measured on real processes."""
