"""How `python app.py` serves."""
