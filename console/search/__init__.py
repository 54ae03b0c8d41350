"""Search over everything that a person may see: words in, links out."""
