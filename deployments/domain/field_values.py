"""Values of a form, file or request by the name of their field."""

FieldValues = dict[str, str | int]
