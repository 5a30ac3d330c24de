"""Colour of any kind to sRGB: by its ICC profile here, by numbers in ``cicp``."""

import io

import numpy as np
from PIL import Image, ImageCms

from .cicp import ColourCoding, coded_to_srgb

_SRGB_TOLERANCE = 2
"""A profile that moves no probed colour by more than this (of 255) is sRGB under another name."""


def to_srgb(
    image: Image.Image,
    profile_data: bytes | None,
    notices: list[str],
    coding: ColourCoding | None = None,
) -> Image.Image:
    """Colour without alpha (L, RGB, CMYK, LAB, YCbCr, ...) to RGB in sRGB.

    Args:
        profile_data: an ICC profile that the image came with.
        notices: gets a sentence on what was done.
        coding: what describes the colour where there is no usable profile.
    """
    if image.mode == "LAB":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        return _apply_profile(image, profile, notices)
    if profile_data:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(profile_data))
            return _apply_profile(image, profile, notices)
        except Exception:  # littleCMS reports a damaged or mismatched profile in many ways
            notices.append("The embedded colour profile is not usable and was ignored.")
    if image.mode == "CMYK":
        notices.append("CMYK without a colour profile was converted approximately.")
        coding = None
    rgb = image.convert("RGB")
    return rgb if coding is None else coded_to_srgb(rgb, coding, notices)


def _apply_profile(
    image: Image.Image, profile: ImageCms.ImageCmsProfile, notices: list[str]
) -> Image.Image:
    space = profile.profile.xcolor_space.strip()
    if space == "RGB" and image.mode not in ("CMYK", "LAB"):
        image = image.convert("RGB")  # a grey image may carry the profile of its editor
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        image.mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if image.mode == "RGB" and _is_identity(transform):
        return image  # not converted: the 8-bit transform would change some values by one
    notices.append("Colours were converted to sRGB from the image's own colour space.")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # it is None only for a transform in place
    return converted


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform from RGB to RGB leaves a grid of 9 x 9 x 9 colours where they are."""
    ramp = np.linspace(0, 255, 9).astype(np.uint8)
    probe = np.stack(np.meshgrid(ramp, ramp, ramp), -1).reshape(9, 81, 3)
    moved = np.asarray(ImageCms.applyTransform(Image.fromarray(probe), transform))
    return bool(np.abs(moved.astype(int) - probe).max() <= _SRGB_TOLERANCE)
