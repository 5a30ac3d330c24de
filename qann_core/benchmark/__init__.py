"""``qann benchmark``: every codec over a folder of images, each in a process of its own.

subjects.py   what is compared: this codec and its peers, as a list of ``Subject``
worker.py     the process of one subject: measures image after image, its time and memory
store.py      what was measured so far, a JSON line an image, so that a run can go on
runner.py     starts the workers, a few at once, and collects what they measured
results.py    all points -> means, Bjontegaard deltas, one JSON document and a CSV table
published.py  curves of codecs that cannot be run here, as others published them
tables.py     the JSON document -> the Markdown tables that README shows
"""
