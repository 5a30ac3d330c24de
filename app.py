"""Entry point of the demo: ``python app.py``, Gradio's reload, or a Hugging Face Space."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Cores may be shared: threads that wait for each other sleep, and only the networks use several.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from app.filler import filler
from app.memory import keep_freed_memory
from app.page import build, launch_options

keep_freed_memory()
demo = build()

if __name__ == "__main__":
    filler.start()
    demo.launch(**launch_options())
