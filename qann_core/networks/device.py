"""Where the networks run: the CPU, or a GPU through CUDA."""

import torch

from ..common.errors import ParameterError


def device_by_name(name: str) -> torch.device:
    """The device of this name, "cpu", "cuda", or "auto": CUDA where there is one, else the CPU.

    On CUDA, convolutions are set to compute in float32 and not in TF32, whose 10-bit mantissas
    show in the picture and would make the learned prior's integers wrong. This is a setting of the
    whole process.

    Raises:
        ParameterError: for another name, or when this machine has no CUDA device.
    """
    if name not in ("cpu", "cuda", "auto"):
        raise ParameterError(f"The device is {name!r}; it must be cpu, cuda or auto.")
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ParameterError("There is no CUDA device on this machine; use the device cpu or auto.")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device("cuda")
