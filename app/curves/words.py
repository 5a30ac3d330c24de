"""What the tab "Rate-distortion" says."""

INTRO = """
How many bits does which quality cost, **for this photo**? Every point is one real file. Up and to
the left is better. Choose a point to set N to it.
"""

FAMILY_INFO = "Quantizers: other ways to round the same latents, and the network given a wrong N."

BD_RATE = (
    "BD-rate: how many per cent more (+) or fewer (−) bits the restored picture needs for the same "
    "{measure} as that codec's, averaged over what both curves share. – stands where a codec has "
    "no file of this size, or two curves share too little."
)

TOO_SMALL = "This photo is too small for {measure}; choose another measure."
