"""Entropy coders: quantized latents (integers) to bytes and back.

``registry`` finds a coder by its name or by the number in a file. ``brotli_coder`` and
``prior_coder`` are the coders; both predict and code the first band with ``prediction`` and
``contexts``.
"""
