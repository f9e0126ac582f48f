"""The queries that the code of a row sends itself, on whole tables as of a moment."""
