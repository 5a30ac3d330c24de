"""The tab "Open a file": layout, events, drawings and words."""
