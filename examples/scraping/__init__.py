"""Scraping, triggered and shown by a React component, through nginx."""
