"""The tab "Inside the codec": layout, events, drawings and words."""
