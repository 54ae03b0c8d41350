"""How dates are written where nothing else says so: in the admin. ISO 8601, with the zone."""
