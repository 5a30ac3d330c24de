"""The networks and how they run: wavelet, VAEs, restoration; tiles, arithmetic, devices.

Importing this package alone loads no torch.
"""

CONFIG = "config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
"""The two files of a network on disk, as diffusers saves one."""
