"""The REST API, one module for each kind of thing. Paths, statuses and words are those of the real server 1.7.36."""
