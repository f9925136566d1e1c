"""The soak: thousands of viewers for minutes, and what they leave behind."""
