"""Faults of all kinds against servers, workers and Redis, and a checker of what everybody saw meanwhile."""
