"""How the lessons are shown: in a terminal, on the page of `python -m examples`, and to the tests."""
