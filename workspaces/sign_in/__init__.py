"""What guards signing in: limits, known browsers, second factors, and what comes before a first page."""
