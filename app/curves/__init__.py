"""The tab "Rate-distortion": layout, events, drawings and words."""
