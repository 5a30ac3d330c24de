"""Entry point of the demo: ``python app.py``, Gradio's reload, or a Hugging Face Space."""

import atexit
import os
import signal
import sys

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Cores may be shared: threads that wait for each other soon sleep; only the networks use several.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Tensors lie in huge pages where Linux has them, so that getting memory for them costs little.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

from app.filler import filler
from app.memory import give_freed_memory_back
from app.page import build, launch_options

give_freed_memory_back()
demo = build()

if __name__ == "__main__":
    # Visitors' files are deleted at the end, however it comes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    atexit.register(demo.close)
    filler.start()
    demo.launch(**launch_options())
