"""The tab "Open a .qann file": layout, events, drawings and words."""
