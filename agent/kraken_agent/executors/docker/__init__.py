"""The executor `docker`: the engine, its images and containers."""
