"""Everything that speaks to a cluster's primary Postgres."""
