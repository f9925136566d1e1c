"""Tests of the clients and of the EventSource algorithm."""
