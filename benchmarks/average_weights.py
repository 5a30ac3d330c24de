"""Weighted mean of two models' weights, written as a model folder.

    python benchmarks/average_weights.py MODEL OTHER FOLDER --vae 0.03 --qann 0.2

A mean of weights that were trained on from the same start can be better than both (Wortsman et al.
2022, "Model soups"). The model card of `default` says what it was used for. Where only MODEL has
companded bands, the gains of OTHER count as 1 and the exponents stay MODEL's.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from qann_core.models import load_wavelet_networks, resolve_folder
from qann_core.networks.vae import WaveletVAE
from qann_core.training.export import export_model


def mean(model: dict[str, Tensor], other: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """``(1 - share) model + share other``; the logarithm of a gain that ``other`` lacks is 0."""
    unit = {"bands.log_gain": torch.tensor(0.0)}
    partner = {**model, **unit, **other} if "bands.log_gain" in model else other
    return {key: value + (partner[key] - value) * share for key, value in model.items()}


def main() -> None:
    """Averages as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("other")
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--vae", type=float, required=True, help="share of OTHER in the VAE, 0 to 1"
    )
    parser.add_argument("--qann", type=float, required=True, help="share of OTHER in QANN, 0 to 1")
    parser.add_argument("--overload-slope", type=float, default=1.0, help="see BandCompanding")
    arguments = parser.parse_args()
    (vae, qann), (other_vae, other_qann) = (
        load_wavelet_networks(resolve_folder(name)) for name in (arguments.model, arguments.other)
    )
    sizes = {name: value for name, value in vae.config.items() if not name.startswith("_")}
    made = WaveletVAE(**{**sizes, "overload_slope": arguments.overload_slope})
    made.load_state_dict(mean(vae.state_dict(), other_vae.state_dict(), arguments.vae))
    qann.load_state_dict(mean(qann.state_dict(), other_qann.state_dict(), arguments.qann))
    with TemporaryDirectory() as folder:
        made.save_pretrained(Path(folder) / "vae")
        qann.save_pretrained(Path(folder) / "qann")
        info = export_model(
            Path(folder),
            arguments.folder,
            "Wavelet VAE and QANN U-Net, trained for how photos look.",
            aim="eye",
        )
    print(f"model {info.id} is in {arguments.folder}")


if __name__ == "__main__":
    main()
