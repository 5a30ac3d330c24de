"""Rate and distortion over a folder of images: this codec, other codecs, other quantizers."""
