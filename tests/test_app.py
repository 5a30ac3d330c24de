"""The demo without a browser: what a visit keeps, and the endpoints through gradio_client."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from PIL import Image

gr = pytest.importorskip("gradio")

from diffusers import AutoencoderKL  # noqa: E402
from gradio_client import Client, handle_file  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from app import api, cards, compare, curves, figures, pictures, visit  # noqa: E402
from app import models as choices  # noqa: E402
from app.demo import build, launch_options  # noqa: E402
from app.examples import credits, example_photo  # noqa: E402
from app.open_file import bytes_by_part, decode_file  # noqa: E402
from qann_core import (  # noqa: E402
    BitstreamError,
    Codec,
    QannError,
    models,
    read_header,
    read_image,
)
from qann_core.metrics import psnr  # noqa: E402
from qann_core.rate_distortion import Point  # noqa: E402
from qann_core.restoration import QannUNet  # noqa: E402
from qann_core.training.export import export_model  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    whole = read_image(ROOT / "assets" / "examples" / "stream.jpg").pixels
    return np.ascontiguousarray(whole[100:292, 100:356])


@pytest.fixture(scope="module")
def photo_file(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "leaves.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    demo = build()
    _, url, _ = demo.launch(**launch_options(), prevent_thread_lock=True, quiet=True)
    yield Client(url, verbose=False, download_files=tmp_path_factory.mktemp("client"))
    demo.close()


def test_example_photos_have_credits_and_cover_the_subjects():
    subjects = {credit.subject for credit in credits()}
    assert subjects >= {"face", "text", "foliage", "architecture", "night", "drawing"}
    assert all(c.author and c.licence and c.source and c.path.is_file() for c in credits())
    assert {path.name for path in (ROOT / "assets" / "examples").glob("*.jpg")} == {
        credit.file for credit in credits()
    }


@pytest.fixture
def second_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A second bundled model, whose restoration network corrects nothing."""
    copytree(models.models_folder() / "psnr", tmp_path / "psnr")
    copytree(models.models_folder() / "psnr", tmp_path / "run" / "model")
    weights = tmp_path / "run" / "model" / "qann" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    save_file({k: v * ("heads" not in k) for k, v in tensors.items()}, weights)
    export_model(tmp_path / "run" / "model", tmp_path / "idle", "It repairs nothing.")
    monkeypatch.setattr(models, "models_folder", lambda: tmp_path)
    models.bundled_models.cache_clear()
    yield "idle"
    models.bundled_models.cache_clear()
    choices._codecs.pop("idle", None)


def test_model_is_chosen_by_name_and_only_among_the_bundled(pixels, second_model, tmp_path):
    assert choices.model_names() == ["psnr", "idle"]
    photo = visit.Photo("leaves", pixels)
    photo.points = [Point("restored", 40, 1, 1, 30, 0.9), Point("jpeg", 40, 1, 1, 30, 0.9)]
    first = visit.compress_photo(photo, 60)
    photo.use(choices.check_choice(second_model, "brotli"))
    second = visit.compress_photo(photo, 60)
    assert first.gain > 0 and second.gain == pytest.approx(0, abs=0.01)
    assert read_header(second.data).model_id == choices.codec_of(second_model).model_id
    assert np.array_equal(decode_file(second.data), second.restored)
    assert [point.codec for point in photo.points] == ["jpeg"]
    photo.use(choices.DEFAULT_CHOICE)
    assert [point.codec for point in photo.points] == ["restored", "jpeg"]
    with pytest.raises(QannError, match="choose from: psnr, idle"):
        choices.codec_of(str(tmp_path / "idle"))


def test_changing_the_model_keeps_n_and_coder_within_it(pixels, second_model, monkeypatch):
    monkeypatch.setattr(choices.codec_of(second_model), "max_levels", 50, raising=False)
    photo = visit.Photo("leaves", pixels)
    one = visit.Visit(photo, visit.compress_photo(photo, 120))
    *_, slider, coder, _ = compare.change_model(
        one, 120, second_model, "prior", False, "quantized", "restored", False
    )
    assert one.result.levels == slider["value"] == slider["maximum"] == 50
    assert one.result.choice == choices.Choice(second_model, "brotli")
    assert coder["value"] == "brotli" and coder["choices"] == [("Brotli", "brotli")]
    assert curves.settings_by_codec(curves.CODECS, one.result.choice)["restored"] == (24, 36)
    points = photo.points
    again = compare.slide(one, 50, second_model, "brotli", False, "quantized", "restored", False)
    assert photo.points is points and not isinstance(again, list)


@pytest.fixture
def model_with_prior(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The default model with a tiny learned prior, whatever is bundled."""
    copytree(models.models_folder() / "psnr", tmp_path / "psnr")
    tiny = ROOT / "tests" / "golden" / "tiny-quarters"
    copytree(tiny, tmp_path / "psnr" / "prior", dirs_exist_ok=True)
    monkeypatch.setattr(models, "models_folder", lambda: tmp_path)
    models.bundled_models.cache_clear()
    loaded = choices._codecs.pop("psnr", None)
    yield
    models.bundled_models.cache_clear()
    choices._codecs["psnr"] = loaded or Codec.load()


def test_chosen_coder_packs_the_file(pixels, model_with_prior):
    photo = visit.Photo("leaves", pixels[:64, :64])
    plain = visit.compress_photo(photo, 60)
    assert compare.coder_choices() == [("Brotli", "brotli"), ("Learned prior", "prior")]
    one = visit.Visit(photo, plain)
    compare.slide(one, 60, "psnr", "prior", False, "quantized", "restored", False)
    assert read_header(plain.data).coder == "brotli"
    assert read_header(one.result.data).coder == "prior"
    assert (one.result.restored == plain.restored).all()
    assert (decode_file(one.result.data) == plain.restored).all()


def test_optimised_integers_are_those_of_the_file(pixels):
    photo = visit.Photo("leaves", pixels[:64, :64])
    one = visit.Visit(photo, visit.compress_photo(photo, 60))
    plain = one.result
    compare.slide(one, 60, "psnr", "brotli", True, "quantized", "restored", False)
    assert one.result.choice.effort == choices.EFFORT and one.result.data != plain.data
    assert (decode_file(one.result.data) == one.result.restored).all()
    compare.slide(one, 60, "psnr", "brotli", False, "quantized", "restored", False)
    assert one.result.data == plain.data


@pytest.fixture
def tensor_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An untrained model of one latent tensor, bundled beside the default one."""
    vae = AutoencoderKL(block_out_channels=(8, 8), norm_num_groups=4, latent_channels=4,
                        down_block_types=("DownEncoderBlock2D",) * 2,
                        up_block_types=("UpDecoderBlock2D",) * 2)  # fmt: skip
    qann = QannUNet(band_channels=(4,), band_levels=(0,), widths=(8, 8))
    vae.save_pretrained(tmp_path / "run" / "model" / "vae")
    qann.save_pretrained(tmp_path / "run" / "model" / "qann")
    copytree(models.models_folder() / "psnr", tmp_path / "psnr")
    export_model(tmp_path / "run" / "model", tmp_path / "tensor", "One tensor.")
    monkeypatch.setattr(models, "models_folder", lambda: tmp_path)
    models.bundled_models.cache_clear()
    yield "tensor"
    models.bundled_models.cache_clear()
    choices._codecs.pop("tensor", None)


def test_model_of_one_latent_tensor(pixels, tensor_model):
    photo = visit.Photo("leaves", pixels[:64, :64])
    one = visit.Visit(photo, visit.compress_photo(photo, 300))
    *_, slider, coder, optimise = compare.change_model(
        one, 300, tensor_model, "brotli", True, "quantized", "restored", False
    )
    assert one.result.levels == slider["value"] == slider["maximum"] == 256
    assert coder["choices"] == [("Brotli", "brotli")]
    assert not optimise["value"] and not optimise["interactive"]
    with pytest.raises(QannError, match="no optimised quantization"):
        choices.check_choice(tensor_model, "brotli", optimise=True)
    assert (decode_file(one.result.data) == one.result.restored).all()
    parts = dict(bytes_by_part(one.result.data, read_header(one.result.data)))
    assert sum(parts.values()) == len(one.result.data)
    points = list(curves.sweep(photo, curves.QUANTIZERS))
    assert {point.codec for point in points} == {"quantized", "restored"}


def test_coder_that_the_model_lacks_is_refused():
    with pytest.raises(QannError, match="can use: brotli"):
        choices.check_choice("default", "huffman")


def test_result_is_that_of_the_library(pixels):
    result = visit.compress_photo(visit.Photo("leaves", pixels), 100)
    codec = Codec.load()
    quantized = codec.unpack(codec.pack(codec.encode(pixels), 100))
    assert result.data == codec.pack(codec.encode(pixels), 100)
    restored = codec.decode(quantized)
    assert np.abs(result.restored.astype(int) - restored).max() <= 1
    assert result.psnr_restored == pytest.approx(psnr(pixels, restored), abs=0.01)
    assert result.gain == result.psnr_restored - result.psnr_quantized
    assert result.bits_per_pixel == 8 * len(result.data) / (256 * 192)
    assert result.ratio == pytest.approx(24 / result.bits_per_pixel)


def test_sliding_encodes_only_once(pixels, monkeypatch):
    codec = visit.shared_codec()
    calls = []
    encode = codec.encode
    monkeypatch.setattr(codec, "encode", lambda p: calls.append(1) or encode(p))
    photo = visit.Photo("leaves", pixels)
    for levels in (40, 80, 120):
        visit.compress_photo(photo, levels)
    assert len(calls) == 1


def test_latents_pool_is_bounded_and_forgets(pixels):
    one = visit.shared_codec().encode(pixels)
    size = sum(band.numel() * 4 for band in one.pyramid)
    pool = visit.LatentsPool(2 * size)
    for key in "abc":
        pool.get(key, pixels)
    assert pool.n_bytes == 2 * size
    pool.drop("c")
    assert pool.n_bytes == size


def test_ended_visit_keeps_nothing(pixels):
    photo = visit.Photo("leaves", pixels)
    one = visit.Visit()
    one.take(photo, visit.compress_photo(photo, 40))
    before = visit.latents_pool.n_bytes
    one.forget()
    assert one.photo is None and one.result is None
    assert visit.latents_pool.n_bytes < before
    with pytest.raises(QannError, match="30 minutes"):
        one.present()


def test_large_photo_is_scaled_with_a_notice(tmp_path):
    path = tmp_path / "large.png"
    Image.new("RGB", (6000, 3000), "teal").save(path)
    photo = visit.read_photo(path, "large")
    assert photo.pixels.shape[0] * photo.pixels.shape[1] <= 12e6
    assert "6000 × 3000" in photo.notices[0]


def test_photo_on_the_page_is_smaller_than_at_an_endpoint(tmp_path):
    path = tmp_path / "large.png"
    Image.new("RGB", (2400, 1600), "teal").save(path)
    assert visit.read_photo(path, "large").pixels.shape == (1600, 2400, 3)
    scaled = visit.read_photo(path, "large", visit.PAGE_MEGAPIXELS)
    height, width, _ = scaled.pixels.shape
    assert 2.9e6 < height * width <= 3e6 and width / height == pytest.approx(1.5, abs=0.01)


def test_closer_look_finds_the_spot():
    original = np.full((200, 300, 3), 100, np.uint8)
    quantized = original.copy()
    quantized[120:140, 200:230] = 160
    rows, columns = pictures.closer_look(original, quantized, original, side=32)
    assert rows.start <= 120 + 6 and rows.stop >= 134
    assert columns.start <= 206 and columns.stop >= 224
    small = original[:20, :20]
    assert pictures.closer_look(small, small, small) == (slice(0, 20), slice(0, 20))


def test_pictures_travel_losslessly(pixels):
    data, extension = pictures.lossless_bytes(pixels)
    path = Path(pictures.cache_file(data, f"picture.{extension}"))
    assert (np.array(Image.open(path).convert("RGB")) == pixels).all()
    long = np.zeros((2, 16400, 3), np.uint8)
    assert pictures.lossless_bytes(long)[1] == "png"


def test_verdict_says_each_number_with_its_meaning(pixels):
    photo = visit.Photo("<b>leaves</b>", pixels)
    result = visit.compress_photo(photo, 120)
    html = cards.verdict(photo, result)
    assert html.count("class='card") - html.count("class='cards") == 8
    assert f"{result.gain:+.2f} dB" in html and f"data-levels='{120}'" in html
    assert "<b>leaves</b>" not in cards.source(photo, credits())
    result.jpeg_bytes = None
    assert "JPEG cannot reach" in cards.verdict(photo, result)


def test_figures_draw_from_plain_data(pixels):
    points = [
        Point(codec, n, n / 100, n, 20 + n / 10, 0.9, ms_ssim)
        for codec, ms_ssim in (("restored", 0.9), ("jpeg", None))
        for n in (10, 20, 30)
    ]
    for measure in figures.MEASURES:
        figure = figures.rate_distortion(points, measure, points[:1])
        assert figure.axes[0].get_ylabel().startswith(measure)
    assert figures.png(figures.rate_distortion([], "PSNR", []))[:4] == b"\x89PNG"
    assert len(figures.error_maps(pixels, pixels, pixels).axes) == 3


def test_sweep_stops_and_goes_on_where_it_was(pixels):
    photo = visit.Photo("leaves", pixels)
    one = visit.Visit(photo, visit.compress_photo(photo, 40))
    steps = curves.compute(one, "PSNR")
    next(steps)
    next(steps)
    curves.stop(one)
    *_, last = steps
    kept = len(photo.points)
    assert "Cancelled" in last[2] and 0 < kept < curves.n_points()
    settings = [(p.codec, p.setting) for p in photo.points]
    sweep = curves.sweep(photo)
    following = next(sweep)
    assert (following.codec, following.setting) not in settings


def test_quantizers_are_a_family_of_curves_that_shares_the_codecs_points(pixels):
    photo = visit.Photo("leaves", np.ascontiguousarray(pixels[:48, :64]))
    one = visit.Visit(photo, visit.compress_photo(photo, 40))
    *_, last = curves.compute(one, "PSNR", curves.QUANTIZERS)
    points = curves.points_of(photo, curves.QUANTIZERS)
    assert len(points) == len(photo.points) == curves.n_points(curves.QUANTIZERS)
    codecs = {point.codec for point in points}
    assert codecs == {"quantized", "restored", "daq", "rq", "told-half", "told-double"}
    assert "Done" in last[2] and figures.codec_label("daq") in last[1]
    labels = {line.get_label() for line in last[0].axes[0].get_lines()}
    assert {figures.codec_label(codec) for codec in codecs} <= labels
    shared = curves.points_of(photo, curves.CODECS)
    assert {point.codec for point in shared} == {"quantized", "restored"}
    following = next(curves.sweep(photo, curves.CODECS))
    assert following.codec == "jpeg"


def test_file_opened_and_its_bytes_by_part(pixels):
    codec = visit.shared_codec()
    data = codec.pack(codec.encode(pixels), 60)
    assert np.abs(decode_file(data).astype(int) - codec.decode(codec.unpack(data))).max() <= 1
    parts = bytes_by_part(data, read_header(data))
    assert sum(n_bytes for _, n_bytes in parts) == pytest.approx(len(data), abs=8)
    with pytest.raises(BitstreamError):
        decode_file(b"GIF89a" + bytes(40))


def test_opening_visits_do_not_share_what_changes():
    views = ("quantized", "restored", False)
    first, second = visit.Visit(), visit.Visit()
    for one in (first, second):
        compare.open_page(one, *views)
    assert first.photo is not second.photo
    assert first.result.peers is not second.result.peers
    assert first.photo.points is not second.photo.points
    assert not example_photo("astronaut").points


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
    assert len(facts["points"]) == curves.n_points()
    assert set(facts["bd_rate_per_cent"]) >= {"quantized", "jpeg", "webp", "avif"}


def test_client_chooses_model_and_coder_by_name(client, photo_file):
    named = client.predict(handle_file(photo_file), 90, "default", "brotli", api_name="/compress")
    assert named[1]["model"] == "psnr" and named[1]["coder"] == "brotli"
    for choice, words in ((("../default", "brotli"), "no model"), (("default", "zip"), "coder")):
        with pytest.raises(Exception, match=words):
            client.predict(handle_file(photo_file), 90, *choice, api_name="/compress")


def test_client_asks_for_optimised_integers(client, photo_file, tmp_path):
    choice = ("default", "brotli", True)
    _, plain = client.predict(handle_file(photo_file), 90, api_name="/compress")
    file, facts = client.predict(handle_file(photo_file), 90, *choice, api_name="/compress")
    assert (plain["effort"], facts["effort"]) == (0, choices.EFFORT)
    assert Path(file).stat().st_size == facts["bytes"]
    assert facts["psnr_restored"] > plain["psnr_restored"]
    large = tmp_path / "large.png"
    Image.new("RGB", (2100, 1500)).save(large)
    with pytest.raises(Exception, match="at most 3 megapixels"):
        client.predict(handle_file(large), 90, *choice, api_name="/compress")


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


def test_importing_app_py_launches_nothing():
    code = "import runpy; m = runpy.run_path('app.py', run_name='imported'); print(m['demo'].title)"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert answer.returncode == 0, answer.stderr
    assert "QANN" in answer.stdout and "http" not in answer.stdout
