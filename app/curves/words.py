"""What the tab "Rate-distortion" says."""

INTRO = """
How many bits does which quality cost, **for this photo**? Each point is one real file. Up and to
the left is better. The ring marks where the slider stands on the Compare tab. *Quantizers* are
other ways to reduce the same latents, and the network told half or twice the true N.
"""
