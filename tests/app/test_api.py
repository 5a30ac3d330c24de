"""The endpoints, through gradio_client and as MCP tools."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio")

from gradio_client import handle_file

from app import api, choice
from app.curves import sweeps
from qann_core import read_header
from qann_core.metrics import psnr


def test_only_the_four_endpoints_are_public(client):
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == {
        "/compress", "/decompress", "/compare", "/rate_distortion",
    }  # fmt: skip


def test_compress_and_decompress(client, photo_file, pixels):
    file, measures = client.predict(handle_file(photo_file), 90, api_name="/compress")
    data = Path(file).read_bytes()
    assert measures["bytes"] == len(data) and measures["levels"] == 90
    assert read_header(data).levels == 90
    picture, header = client.predict(handle_file(file), True, api_name="/decompress")
    decoded = np.array(Image.open(picture))
    assert psnr(pixels, decoded) == pytest.approx(measures["psnr_restored"], abs=0.02)
    assert (header["width"], header["height"]) == (256, 192)
    plain, _ = client.predict(handle_file(file), False, api_name="/decompress")
    quantized = psnr(pixels, np.array(Image.open(plain)))
    assert quantized == pytest.approx(measures["psnr_quantized"], abs=0.02)


def test_compare(client, photo_file):
    facts = client.predict(handle_file(photo_file), 150, api_name="/compare")
    assert set(facts["same_bytes"]) >= {"jpeg", "webp", "avif"}
    for peer in facts["same_bytes"].values():
        assert peer["bytes"] <= facts["bytes"] or not peer["fits"]


def test_rate_distortion(client, photo_file):
    facts = client.predict(handle_file(photo_file), api_name="/rate_distortion")
    assert len(facts["points"]) == sweeps.n_points()
    assert set(facts["bd_rate_per_cent"]) >= {"quantized", "jpeg", "webp", "avif"}


def test_client_chooses_model_and_coder_by_name(client, photo_file):
    named = client.predict(handle_file(photo_file), 90, "default", "brotli", api_name="/compress")
    assert named[1]["model"] == "default" and named[1]["coder"] == "brotli"
    for names, words in ((("../default", "brotli"), "no model"), (("default", "zip"), "coder")):
        with pytest.raises(Exception, match=words):
            client.predict(handle_file(photo_file), 90, *names, api_name="/compress")


def test_client_asks_for_optimised_integers(client, photo_file, tmp_path):
    names = ("default", "brotli", True)
    _, plain = client.predict(handle_file(photo_file), 90, api_name="/compress")
    file, facts = client.predict(handle_file(photo_file), 90, *names, api_name="/compress")
    assert (plain["effort"], facts["effort"]) == (0, choice.EFFORT)
    assert Path(file).stat().st_size == facts["bytes"]
    assert facts["psnr_restored"] != plain["psnr_restored"]
    large = tmp_path / "large.png"
    Image.new("RGB", (2100, 1500)).save(large)
    with pytest.raises(Exception, match="at most 3 megapixels"):
        client.predict(handle_file(large), 90, *names, api_name="/compress")


@pytest.mark.parametrize("levels", [15, 513, 40.5])
def test_client_gets_the_sentence_of_an_error(client, photo_file, levels):
    with pytest.raises(Exception, match="whole number from 16 to 512"):
        client.predict(handle_file(photo_file), levels, api_name="/compress")


def test_client_sending_no_image_is_told(client, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no picture", encoding="utf-8")
    with pytest.raises(Exception, match="not an image"):
        client.predict(handle_file(path), 90, api_name="/compress")


def test_endpoints_are_tools_with_documented_parameters(client):
    with urllib.request.urlopen(f"{client.src}gradio_api/mcp/schema") as answer:
        tools = {tool["name"]: tool for tool in json.load(answer)}
    for name in ("compress", "decompress", "compare", "rate_distortion"):
        tool = next(tool for key, tool in tools.items() if key.endswith(name))
        assert getattr(api, name).__doc__.split(".")[0].split()[0] in tool["description"]
        parameters = tool["inputSchema"]["properties"].values()
        assert all(parameter.get("description") for parameter in parameters)
