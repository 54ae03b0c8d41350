"""The JSON API, put together: every endpoint under one address, its errors, and the document that describes it."""
