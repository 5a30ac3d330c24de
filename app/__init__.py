"""Everything a visitor sees: the Gradio page around the codec. It holds no codec mathematics."""
