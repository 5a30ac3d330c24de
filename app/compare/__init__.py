"""The tab "Compare": layout, events, drawings and words."""
