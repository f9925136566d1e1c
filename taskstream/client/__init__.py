"""The EventSource algorithm, and what the three clients share."""
