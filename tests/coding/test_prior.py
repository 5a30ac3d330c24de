"""The prior coder: exact everywhere, round trips of anything, clear refusals."""

import json
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import constriction
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from qann_core import Codec, bitstream
from qann_core.bitstream import HEADER_BYTES
from qann_core.coding import weights as prior_weights
from qann_core.coding.likelihood import code_length
from qann_core.coding.network import PriorNetwork, dyadic
from qann_core.coding.passes import LEVEL_PASSES, band_by_band, colour_by_colour, seen_before
from qann_core.coding.prior_coder import TILE, PriorCoder, predicted_scales
from qann_core.coding.range_coder import CLASSES, ESCAPE, REACH, SYMBOLS, TOTAL, Tables
from qann_core.coding.registry import coder_by_name, coder_name
from qann_core.coding.weights import Prior, exact_network, load_prior, trainable
from qann_core.common.errors import BitstreamError, ModelError, ParameterError
from qann_core.common.shapes import integer_range, pyramid_shapes

TINY = Path(__file__).resolve().parents[1] / "golden" / "tiny-quarters"
FILES = sorted(TINY.glob("*.qann"))
"""The golden files, all coded with the tiny prior."""

each_golden_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)

Bands = tuple[np.ndarray, ...]


@pytest.fixture(scope="module")
def prior() -> Prior:
    return load_prior(TINY)


def random_bands(height: int, width: int, levels: int, seed: int, density: float) -> Bands:
    random = np.random.default_rng(seed)
    low, high = integer_range(levels)
    bands = []
    for shape in pyramid_shapes(height, width):
        values = random.integers(low, high + 1, shape, dtype=np.int32)
        bands.append(np.where(random.random(shape) < density, values, 0).astype(np.int32))
    return tuple(bands)


def round_trip(prior: Prior, bands: Bands, levels: int) -> bytes:
    coder = PriorCoder(prior)
    payload = coder.encode(bands, levels)
    decoded = coder.decode(payload, [band.shape for band in bands], levels)
    assert all(
        a.dtype == np.int32 and np.array_equal(a, b) for a, b in zip(decoded, bands, strict=True)
    )
    return payload


@contextmanager
def machine(threads: int, onednn: bool) -> Iterator[None]:
    """Convolutions with so many threads, with or without oneDNN."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.backends.mkldnn.flags(enabled=onednn):
            yield
    finally:
        torch.set_num_threads(before)


def test_there_are_golden_files() -> None:
    assert len(FILES) == 6
    assert {bitstream.read_header(file.read_bytes()).coder for file in FILES} == {"prior"}


@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize("threads", [1, 2])
@each_golden_file
def test_golden_files_are_exact(file: Path, threads: int, onednn: bool) -> None:
    with machine(threads, onednn), np.load(file.with_suffix(".npz")) as stored:
        quantized = bitstream.unpack(file.read_bytes(), load_prior(TINY))
        for index, band in enumerate(quantized.bands):
            assert np.array_equal(band, stored[f"band{index}"])
        again = bitstream.pack(quantized, "prior", load_prior(TINY))
    assert again == file.read_bytes()


@each_golden_file
def test_golden_files_are_exact_in_double_precision_and_under_autocast(file: Path) -> None:
    double = load_prior(TINY)
    double.network.double()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        bands = bitstream.unpack(file.read_bytes(), double).bands
        single = bitstream.unpack(file.read_bytes(), load_prior(TINY)).bands
    with np.load(file.with_suffix(".npz")) as stored:
        for index, pair in enumerate(zip(bands, single, strict=True)):
            assert all(np.array_equal(band, stored[f"band{index}"]) for band in pair)


def test_a_full_size_network_gives_the_same_integers_in_single_and_double_precision() -> None:
    torch.manual_seed(0)
    network = PriorNetwork()
    for level in network.levels:
        for head in level.heads:
            torch.nn.init.normal_(head.weight, std=0.2)
    exact = exact_network(network)
    answers = set()
    for threads, onednn in ((1, True), (2, True), (1, False)):
        with machine(threads, onednn):
            answers.add(prior_weights.known_answer(exact))
    question = prior_weights._known_question(40)
    levels = torch.tensor([40.0])
    with torch.inference_mode():
        single = exact(question, levels)
        double = exact.double()(tuple(band.double() for band in question), levels)
    assert len(answers) == 1
    for a, b in zip(chain(*single), chain(*double), strict=True):
        assert torch.equal(a.scale.double(), b.scale)
        assert torch.equal(a.centre.double(), b.centre)


def test_training_and_inference_compute_the_same_integers() -> None:
    torch.manual_seed(0)
    network = PriorNetwork((8, 8, 8, 8), (1, 1, 1, 1))
    question, levels = prior_weights._known_question(64), torch.tensor([64.0])
    exact = exact_network(network)
    with torch.no_grad():
        outputs = [net(question, levels) for net in (network, exact, trainable(exact))]
    for parts in zip(*(chain(*output) for output in outputs), strict=True):
        assert torch.equal(parts[0].scale, parts[1].scale)
        assert torch.equal(parts[0].scale, parts[2].scale)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 8), (7, 3)])
@torch.inference_mode()
def test_what_a_pass_codes_is_expected_as_in_the_whole_plane(
    prior: Prior, size: tuple[int, int]
) -> None:
    torch.manual_seed(4)
    level = prior.network.levels[0]
    h = torch.randint(-127, 128, (1, prior.network.channels[0], *size)).float()
    values = torch.randint(-40, 41, (1, 9, *size)).float()
    for number, step in enumerate(LEVEL_PASSES):
        places = torch.from_numpy(step.places(*size))
        if not places.numel():
            continue
        seen = seen_before(number, values)
        whole, coded = level.expect(h, number, seen), level.expect_coded(h, number, seen)
        for part, alone in zip(whole, coded, strict=True):
            assert torch.equal(part.flatten(2)[..., places], alone)


@pytest.mark.parametrize("levels", [16, 96, 512])
def test_round_trip_of_adversarial_latents(prior: Prior, levels: int) -> None:
    low, high = integer_range(levels)
    shapes = pyramid_shapes(200, 230)
    checkers = tuple(np.where(np.indices(s).sum(0) % 2, low, high).astype(np.int32) for s in shapes)
    sparse = tuple(np.zeros(s, np.int32) for s in shapes)
    for band in sparse:
        band[:, ::7, ::5] = low
    edge = REACH if high > REACH else high
    limits = tuple(np.full(s, edge, np.int32) for s in shapes)
    for band in limits:
        band[0] = -edge
        band[-1, ::2] = min(edge + 1, high)
    for bands in (checkers, sparse, limits):
        round_trip(prior, bands, levels)


@pytest.mark.parametrize("value", [-256, -1, 0, 1, 255])
def test_constant_latents(prior: Prior, value: int) -> None:
    bands = tuple(np.full(s, value, np.int32) for s in pyramid_shapes(64, 64))
    payload = round_trip(prior, bands, 512)
    if value == 0:
        assert len(payload) < 40


def test_images_of_several_tiles(prior: Prior) -> None:
    bands = random_bands(TILE + 40, 40, 64, 3, 0.02)
    shapes = [band.shape for band in bands]
    payload = round_trip(prior, bands, 64)
    assert sum(PriorCoder(prior).bytes_by_band(payload, shapes, 64)) == pytest.approx(len(payload))


def test_tables_reach_the_range_coder_as_the_integers_that_they_are() -> None:
    random = np.random.default_rng(0)
    row = random.integers(1, 1000, SYMBOLS)
    row[5] += TOTAL - row.sum()
    frequencies = np.tile(row, (CLASSES, 1))
    tables = Tables(frequencies)
    starts = np.concatenate(([0], np.cumsum(row)))
    unit = (2**64 - 1) >> 24
    for symbol in (0, 4, 5, 6, ESCAPE):
        coder = constriction.stream.queue.RangeEncoder()
        coder.encode(symbol, tables.models[0])
        assert coder.pos()[1] == (unit * int(starts[symbol]), unit * int(row[symbol]))


def test_tables_that_do_not_add_up_are_refused(prior: Prior) -> None:
    frequencies = np.ones((3, SYMBOLS), np.int32)
    with pytest.raises(ModelError, match="add up"):
        Tables(frequencies)


def golden(name: str = "photo-medium") -> bytes:
    return (TINY / f"{name}.qann").read_bytes()


def with_checksum(data: bytearray) -> bytes:
    """A file with its checksum made right again, as someone who means harm would."""
    data[20:24] = zlib.crc32(data[HEADER_BYTES:], zlib.crc32(data[:20])).to_bytes(4, "little")
    return bytes(data)


@given(st.integers(HEADER_BYTES + 4, len(golden()) - 1), st.integers(1, 255))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_mutated_payload_is_an_error_or_changes_nothing(position: int, change: int) -> None:
    prior = prior_weights.cached_prior(TINY)
    data = bytearray(golden())
    data[position] ^= change
    try:
        bands = bitstream.unpack(with_checksum(data), prior).bands
    except BitstreamError:
        return
    # The last word has bits that no symbol depends on.
    assert position >= len(data) - 4
    assert all(map(np.array_equal, bands, bitstream.unpack(golden(), prior).bands))


@given(st.integers(0, len(golden()) - HEADER_BYTES - 1))
@settings(max_examples=30, deadline=None)
def test_a_payload_cut_short_is_an_error(length: int) -> None:
    data = bytearray(golden()[: HEADER_BYTES + length])
    data[16:20] = length.to_bytes(4, "little")
    with pytest.raises(BitstreamError):
        bitstream.unpack(with_checksum(data), prior_weights.cached_prior(TINY))


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_latents_or_an_error(tail: bytes) -> None:
    prior = prior_weights.cached_prior(TINY)
    with pytest.raises(BitstreamError):
        PriorCoder(prior).decode(prior.id + tail, pyramid_shapes(40, 30), 96)


def test_another_prior_is_named_and_none_is_refused(codec: Codec) -> None:
    with pytest.raises(ModelError, match=load_prior(TINY).id.hex()):
        bitstream.unpack(golden(), codec.prior)
    with pytest.raises(ModelError, match="needs a model's prior"):
        bitstream.unpack(golden())


def test_integers_that_n_does_not_allow_are_refused(prior: Prior) -> None:
    bands = random_bands(32, 32, 200, 1, 0.5)
    with pytest.raises(ParameterError, match="allows"):
        PriorCoder(prior).encode(bands, 32)
    payload = PriorCoder(prior).encode(bands, 200)
    with pytest.raises(BitstreamError, match="larger than N allows"):
        PriorCoder(prior).decode(payload, [band.shape for band in bands], 32)


def test_a_machine_that_disagrees_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    convolution = torch.nn.functional.conv2d

    def inexact(*arguments: torch.Tensor, **options: object) -> torch.Tensor:
        return convolution(*arguments, **options) * 1.01  # type: ignore[arg-type]

    monkeypatch.setattr(torch.nn.functional, "conv2d", inexact)
    with pytest.raises(ModelError, match="This machine cannot use the prior coder"):
        load_prior(TINY)


def test_weights_whose_sums_could_overflow_are_refused(tmp_path: Path) -> None:
    shutil.copy(TINY / "config.json", tmp_path)
    tensors = load_file(TINY / prior_weights.WEIGHTS)
    tensors["stem.bias"][0] = 2**24
    save_file(tensors, tmp_path / prior_weights.WEIGHTS)
    with pytest.raises(ModelError, match=r"stem could reach 2\^24"):
        load_prior(tmp_path)


def test_an_unknown_order_of_passes_is_refused(tmp_path: Path) -> None:
    shutil.copy(TINY / prior_weights.WEIGHTS, tmp_path)
    config = json.loads((TINY / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(
        json.dumps(config | {"order": "random"}), encoding="utf-8"
    )
    with pytest.raises(ModelError, match="no order of passes named 'random'"):
        load_prior(tmp_path)


@pytest.mark.parametrize("missing", ["tables", "stem.weight", "level_biases.2", "magnitudes"])
def test_incomplete_weights_are_refused(tmp_path: Path, missing: str) -> None:
    shutil.copy(TINY / "config.json", tmp_path)
    tensors = load_file(TINY / prior_weights.WEIGHTS)
    del tensors[missing]
    save_file(tensors, tmp_path / prior_weights.WEIGHTS)
    with pytest.raises(ModelError, match=missing):
        load_prior(tmp_path)


def test_a_network_out_of_all_proportion_is_refused(tmp_path: Path) -> None:
    shutil.copy(TINY / prior_weights.WEIGHTS, tmp_path)
    config = json.loads((TINY / "config.json").read_text(encoding="utf-8"))
    config["channels"] = [10**6] * 4
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="out of range"):
        load_prior(tmp_path)


@given(st.integers(0, 10**6), st.floats(1e-4, 30.0))
@settings(max_examples=30, deadline=None)
def test_rounded_weights_never_overflow(seed: int, size: float) -> None:
    random = np.random.default_rng(seed)
    weight = torch.tensor(random.normal(0, size, (4, 130, 3, 3)), dtype=torch.float32)
    bias = torch.tensor(random.normal(0, 100 * size, 4), dtype=torch.float32)
    integers, offsets, shift = dyadic(weight, bias)
    unit = 2.0**shift
    assert integers.abs().max() <= 127 and shift.min() >= 0
    assert (127 * (integers.abs().sum((1, 2, 3)) + unit) + offsets.abs() + unit).max() < 2**24


def test_the_likelihood_is_differentiable_and_adds_up() -> None:
    network = PriorNetwork((8, 8, 8, 8), (1, 1, 1, 1))
    question, levels = prior_weights._known_question(40), torch.tensor([40.0])
    noisy = tuple((band + 0.3).requires_grad_() for band in question)
    bits = network.bits(question, noisy, levels)
    bits.sum().backward()
    assert bits.shape == (1,) and bits > 0
    assert all(band.grad is not None and band.grad.any() for band in noisy[1:])
    with torch.no_grad():
        expected = network(question, levels)[0][0]
        values = torch.arange(-400, 401).float()[:, None, None, None]
        total = torch.exp2(-code_length(expected, values)).sum(0)
    assert torch.allclose(total, torch.ones_like(total), atol=0.01)


def test_passes_code_each_coefficient_once_and_know_only_what_came_before() -> None:
    values = torch.arange(1, 9 * 35 + 1).reshape(1, 9, 5, 7)
    coded = torch.zeros_like(values)
    for number, step in enumerate(LEVEL_PASSES):
        seen = seen_before(number, values)
        assert torch.equal(seen != 0, coded.bool() & (seen != 0)), "only what is coded"
        own = slice(3 * step.colour, 3 * step.colour + 3)
        assert torch.equal(seen[:, : own.stop], (values * coded)[:, : own.stop]), "all of it"
        assert not seen[:, step.known_planes :].any()
        coded[:, own] += step.mask_like(values)
    assert (coded == 1).all()
    assert torch.equal(band_by_band(colour_by_colour(values)), values)


def test_predicted_scales_are_those_of_the_passes(prior: Prior) -> None:
    bands = random_bands(70, 40, 96, 0, 0.3)
    scales = predicted_scales(prior, bands, 96)
    assert [s.shape for s in scales] == [band.shape for band in bands[1:]]
    assert all(s.min() > 0 and np.isfinite(s).all() for s in scales)


def test_coders_by_name_and_id() -> None:
    assert coder_by_name("prior", load_prior(TINY)).id == 2 and coder_name(2) == "prior"
    with pytest.raises(ModelError, match="needs a model's prior"):
        coder_by_name("prior")
    with pytest.raises(ParameterError, match="prior"):
        coder_by_name("zip")


def test_a_model_without_a_prior_says_so(codec: Codec, photo: np.ndarray) -> None:
    bare = Codec(codec.vae, codec.qann, codec.model_id)
    assert not bare.has_prior
    with pytest.raises(ModelError, match="no prior"):
        bare.pack(bare.encode(photo), 96, "prior")
