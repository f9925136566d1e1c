"""Tests of the HTTP contract, over every back end."""
