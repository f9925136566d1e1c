"""What FastAPI is given: the routes, the streams, the page."""
