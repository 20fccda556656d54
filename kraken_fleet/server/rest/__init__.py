"""What every route of the REST API uses: who asks, request bodies, errors, and rows as JSON."""
