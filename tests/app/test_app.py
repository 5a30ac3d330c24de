"""The demo without a browser: what a visit keeps, and the endpoints through gradio_client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from PIL import Image

gr = pytest.importorskip("gradio")

from diffusers import AutoencoderKL  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from app import choice, compress, cores, page, photos, pictures, session  # noqa: E402
from app.compare import cards, events  # noqa: E402
from app.curves import sweeps  # noqa: E402
from app.examples import credits  # noqa: E402
from app.open_file.cards import bytes_by_part  # noqa: E402
from app.open_file.events import decode_file  # noqa: E402
from qann_core import (  # noqa: E402
    BitstreamError,
    Codec,
    QannError,
    models,
    read_header,
)
from qann_core.bitstream import Kept, attach  # noqa: E402
from qann_core.evaluation.points import Point, curve_of  # noqa: E402
from qann_core.metrics import psnr  # noqa: E402
from qann_core.networks.restoration import QannUNet  # noqa: E402
from qann_core.training.export import export_model  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def test_example_photos_have_credits_and_cover_the_subjects():
    subjects = {credit.subject for credit in credits()}
    assert subjects >= {"face", "text", "foliage", "architecture", "night", "drawing"}
    assert all(c.author and c.licence and c.source and c.path.is_file() for c in credits())
    assert {path.name for path in (ROOT / "assets" / "examples").glob("*.jpg")} == {
        credit.file for credit in credits()
    }


def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[str]:
    """The networks in ``run/model`` as a bundled model, beside the default one."""
    copytree(models.models_folder() / "default", tmp_path / "default")
    export_model(tmp_path / "run" / "model", tmp_path / name, "Made in a test.")
    monkeypatch.setattr(models, "models_folder", lambda: tmp_path)
    models.bundled_models.cache_clear()
    yield name
    models.bundled_models.cache_clear()
    choice._codecs.pop(name, None)


@pytest.fixture
def second_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A second bundled model, whose restoration network corrects nothing."""
    copytree(models.models_folder() / "default", tmp_path / "run" / "model")
    weights = tmp_path / "run" / "model" / "qann" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    save_file({k: v * ("heads" not in k) for k, v in tensors.items()}, weights)
    yield from bundled(tmp_path, monkeypatch, "idle")


def test_model_is_chosen_by_name_and_only_among_the_bundled(pixels, second_model, tmp_path):
    assert choice.model_names() == ["default", "idle"]
    photo = photos.Photo("leaves", pixels)
    photo.points = [
        Point(curve_of(kind), 40, 1.0, 1, {"psnr": 30.0}) for kind in ("restored", "jpeg")
    ]
    first = compress.compress_photo(photo, 60)
    photo.use(choice.check_choice(second_model, "brotli"))
    second = compress.compress_photo(photo, 60)
    assert first.gain > 0 and second.gain == pytest.approx(0, abs=0.01)
    assert read_header(second.data).model_id == choice.codec_of(second_model).model_id
    assert np.array_equal(decode_file(second.data), second.restored)
    assert [point.kind for point in photo.points] == ["jpeg"]
    photo.use(choice.DEFAULT_CHOICE)
    assert [point.kind for point in photo.points] == ["restored", "jpeg"]
    with pytest.raises(QannError, match="choose from: default, idle"):
        choice.codec_of(str(tmp_path / "idle"))


def visit_with(photo: photos.Photo) -> session.Visit:
    """A visit whose own photo this is."""
    one = session.Visit()
    one.bring(photo)
    return one


def wish(levels: int, photo: str = choice.OWN, **more: object) -> str:
    """What the page sends for N."""
    return json.dumps({"photo": photo, "n": levels, "serial": 7, **more})


def answers(steps: Iterator[str]) -> list[dict]:
    return [json.loads(step) for step in steps]


def test_changing_the_model_keeps_n_and_coder_within_it(pixels, second_model, monkeypatch):
    monkeypatch.setattr(choice.codec_of(second_model), "max_levels", 50, raising=False)
    photo = photos.Photo("leaves", pixels)
    one = visit_with(photo)
    (_, coder, _), *_, (last, *_) = events.change_choice(
        one, wish(120), second_model, "prior", False
    )
    assert one.result.levels == json.loads(last)["n"] == 50
    assert one.result.choice == choice.Choice(second_model, "brotli")
    assert coder["value"] == "brotli" and coder["choices"] == [("Brotli", "brotli")]
    assert sweeps.settings_by_codec(sweeps.CODECS, one.result.choice)["restored"] == (24, 36)
    points, result = photo.points, one.result
    answers(events.answer(one, wish(50), second_model, "brotli", False))
    assert photo.points is points and one.result is result


def test_answer_comes_in_parts_the_bytes_first(pixels):
    tall = np.concatenate([pixels, pixels[::-1]])
    one = visit_with(photos.Photo("leaves", tall))
    parts = answers(
        events.answer(one, wish(60, peers=["webp", "huffman"]), "default", "brotli", False)
    )
    assert [part["complete"] for part in parts] == [False, True, True, True]
    assert {part["bytes"] for part in parts} == {len(one.result.data)}
    assert {part["serial"] for part in parts} == {7}
    draft, whole, judged, with_peers = parts
    assert "restored" not in draft["sides"] and "restored" in whole["sides"]
    assert whole["ssimulacra2"] is None and judged["ssimulacra2"] is not None
    assert set(with_peers["sides"]) == {"original", "quantized", "restored", "webp"}
    assert with_peers["sides"]["webp"]["bytes"] <= with_peers["bytes"]


def test_a_target_in_bytes_gives_the_largest_n_that_keeps_to_it(pixels):
    one = visit_with(photos.Photo("leaves", pixels))
    *_, found = answers(events.answer(one, wish(60, bytes=4000), "default", "brotli", False))
    assert found["bytes"] <= 4000 and found["message"] == ""
    *_, more = answers(events.answer(one, wish(found["n"] + 1), "default", "brotli", False))
    assert more["bytes"] > 4000
    *_, least = answers(events.answer(one, wish(60, bytes=10), "default", "brotli", False))
    assert "cannot become that small" in least["message"]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (wish(60), "no longer here"),
        (wish(60, photo="../secret"), "no photo called"),
        ("[]", "no wish"),
    ],
)
def test_what_cannot_be_answered_is_a_sentence(sent, said):
    visit = session.Visit()
    try:
        (answer,) = answers(events.answer(visit, sent, "default", "brotli", False))
    except QannError as error:
        assert said in str(error)
    else:
        assert answer["failed"] and said in answer["message"]


def test_a_photo_can_be_brought_before_anything_else_was_touched(photo_file):
    parts = page.build().config["components"]
    (first,) = (part["props"]["value"] for part in parts if part["props"].get("elem_id") == "wish")
    one = session.Visit()
    events.take_upload(str(photo_file), one)
    *_, part = events.bring(one, first, "default", "brotli", False)
    shown = json.loads(part)
    assert (shown["name"], shown["n"]) == ("leaves", choice.OPENING.levels)
    assert one.own is not None and one.own.pixels.shape == (192, 256, 3)


def test_of_two_files_that_come_at_once_the_last_one_stays(photo_file, tmp_path):
    other = tmp_path / "roots.png"
    Image.open(photo_file).rotate(90).save(other)
    one = session.Visit()
    settings = (one, wish(40), "default", "brotli", False)
    events.take_upload(str(photo_file), one)
    events.take_upload(str(other), one)
    *_, part = events.bring(*settings)
    assert json.loads(part)["name"] == "roots"
    (part,) = events.bring(*settings)
    assert part == gr.skip(), "its file has been taken"


def test_a_file_that_cannot_be_read_is_answered(tmp_path):
    (tmp_path / "none.png").write_bytes(b"no picture")
    one = session.Visit()
    events.take_upload(str(tmp_path / "none.png"), one)
    with pytest.warns(UserWarning, match="not an image"):
        (part,) = events.bring(one, wish(40), "default", "brotli", False)
    assert json.loads(part)["failed"] and one.own is None


def test_an_answer_ends_where_a_newer_wish_is_told(pixels):
    one = visit_with(photos.Photo("leaves", pixels))
    parts = events.answer(one, wish(60), "default", "brotli", False)
    assert not json.loads(next(parts))["complete"]
    events.hear(one, wish(70, serial=8))
    assert answers(parts) == []
    assert one.present()[1].levels == 60, "what was begun can be asked for"
    *_, last = answers(events.answer(one, wish(70, serial=8), "default", "brotli", False))
    assert last["n"] == 70 and last["serial"] == 8


def test_that_others_wait_is_said_first(pixels, monkeypatch):
    one = visit_with(photos.Photo("leaves", pixels))
    monkeypatch.setattr(cores, "crowded", lambda: True)
    first, *parts = answers(events.answer(one, wish(60), "default", "brotli", False))
    assert first["crowded"] and first["serial"] == 7
    assert parts[-1]["complete"] and not any("crowded" in part for part in parts)


def test_another_tab_sees_what_the_browser_shows():
    one = session.Visit()
    photo, result = one.present()
    assert (photo.name, result.levels) == (choice.OPENING.photo, choice.OPENING.levels)
    seen = events.setting_shown(wish(24, photo="facade"), "default", "brotli", False)
    photo, result = one.present(seen)
    assert (photo.name, result.levels) == ("facade", 24)
    assert one.present() == (photo, result)


@pytest.fixture
def model_with_prior(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The default model with a tiny learned prior, whatever is bundled."""
    copytree(models.models_folder() / "default", tmp_path / "default")
    tiny = ROOT / "tests" / "golden" / "tiny-quarters"
    copytree(tiny, tmp_path / "default" / "prior", dirs_exist_ok=True)
    monkeypatch.setattr(models, "models_folder", lambda: tmp_path)
    models.bundled_models.cache_clear()
    loaded = choice._codecs.pop("default", None)
    yield
    models.bundled_models.cache_clear()
    choice._codecs["default"] = loaded or Codec.load()


def test_chosen_coder_packs_the_file(pixels, model_with_prior):
    photo = photos.Photo("leaves", np.ascontiguousarray(pixels[:64, :64]))
    plain = compress.compress_photo(photo, 60)
    assert choice.coder_choices() == [("Brotli", "brotli"), ("Learned prior", "prior")]
    one = visit_with(photo)
    answers(events.answer(one, wish(60), "default", "prior", False))
    assert read_header(plain.data).coder == "brotli"
    assert read_header(one.result.data).coder == "prior"
    assert (one.result.restored == plain.restored).all()
    assert (decode_file(one.result.data) == plain.restored).all()


def test_optimised_integers_are_those_of_the_file(pixels):
    photo = photos.Photo("leaves", pixels[:64, :64])
    one = visit_with(photo)
    answers(events.answer(one, wish(60), "default", "brotli", False))
    plain = one.result
    answers(events.answer(one, wish(60), "default", "brotli", True))
    assert one.result.choice.effort == choice.EFFORT and one.result.data != plain.data
    assert (decode_file(one.result.data) == one.result.restored).all()
    answers(events.answer(one, wish(60), "default", "brotli", False))
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
    yield from bundled(tmp_path, monkeypatch, "tensor")


def test_model_of_one_latent_tensor(pixels, tensor_model):
    photo = photos.Photo("leaves", pixels[:64, :64])
    one = visit_with(photo)
    (_, coder, optimise), *_ = events.change_choice(one, wish(300), tensor_model, "brotli", True)
    answers(events.answer(one, wish(300), tensor_model, "brotli", False))
    assert one.result.levels == 300
    assert coder["choices"] == [("Brotli", "brotli")]
    assert not optimise["value"] and not optimise["interactive"]
    with pytest.raises(QannError, match="no optimised quantization"):
        choice.check_choice(tensor_model, "brotli", optimise=True)
    assert (decode_file(one.result.data) == one.result.restored).all()
    parts = dict(bytes_by_part(one.result.data, read_header(one.result.data)))
    assert sum(parts.values()) == pytest.approx(len(one.result.data))
    points = list(sweeps.sweep(photo, sweeps.QUANTIZERS))
    assert {point.kind for point in points} == {"quantized", "restored"}


def test_coder_that_the_model_lacks_is_refused():
    with pytest.raises(QannError, match="can use: brotli"):
        choice.check_choice("default", "huffman")


def test_result_is_that_of_the_library(pixels):
    result = compress.compress_photo(photos.Photo("leaves", pixels), 100)
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
    codec = choice.codec_of()
    calls = []
    encode = codec.encode
    monkeypatch.setattr(codec, "encode", lambda p: calls.append(1) or encode(p))
    photo = photos.Photo("leaves", pixels)
    for levels in (40, 80, 120):
        compress.compress_photo(photo, levels)
    assert len(calls) == 1


def test_ended_visit_keeps_nothing(pixels):
    one = visit_with(photos.Photo("leaves", pixels))
    answers(events.answer(one, wish(40), "default", "brotli", False))
    before = photos.latents_pool.n_bytes
    one.forget()
    assert one.photo is None and one.result is None and one.own is None
    assert photos.latents_pool.n_bytes < before
    with pytest.raises(QannError, match="30 minutes"):
        one.photo_of(choice.Setting(choice.OWN, 40))


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


def test_files_for_visitors_are_deleted_when_they_are_old():
    path = Path(pictures.cache_file(b"old", "old.webp"))
    assert path.is_file()
    pictures.delete_files(3600)
    assert path.is_file()
    pictures.delete_files(0)
    assert not path.parent.exists()


def test_verdict_says_each_number_with_its_meaning(pixels):
    photo = photos.Photo("leaves", pixels)
    draft, result = compress.compress_in_steps(photo, 120)
    html = cards.verdict(photo, result)
    assert html.count("class='card") - html.count("class='cards") == 8
    assert f"{result.gain:+.2f} dB" in html and "SSIMULACRA 2" in html
    result.jpeg_bytes = None
    assert "JPEG cannot reach" in cards.verdict(photo, result)
    early = cards.verdict(photo, draft)
    assert early.count("class='card") == html.count("class='card") and "dB" not in early


def test_file_opened_and_its_bytes_by_part(pixels):
    codec = choice.codec_of()
    plain = codec.pack(codec.encode(pixels), 60)
    for data in (plain, attach(plain, Kept(xmp=b"<x:xmpmeta/>"))):
        assert np.abs(decode_file(data).astype(int) - codec.decode(codec.unpack(data))).max() <= 1
        parts = bytes_by_part(data, read_header(data))
        assert sum(n_bytes for _, n_bytes in parts) == pytest.approx(len(data), abs=8)
    with pytest.raises(BitstreamError):
        decode_file(b"GIF89a" + bytes(40))


def test_opening_visits_do_not_share_what_changes():
    (first, _), (second, _) = session.Visit().present(), session.Visit().present()
    assert first is not second
    assert first.points is not second.points


def test_importing_app_py_launches_nothing():
    code = "import runpy; m = runpy.run_path('app.py', run_name='imported'); print(m['demo'].title)"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert answer.returncode == 0, answer.stderr
    assert "QANN" in answer.stdout and "http" not in answer.stdout
