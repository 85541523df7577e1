# Copyright (c) monai_lamps contributors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import Dataset, list_data_collate
from PIL import Image
from scipy.ndimage import distance_transform_edt

from monai_lamps.data.phantom import (
    LANDMARKS,
    STRUCTURES,
    ThoraxPhantom,
    draw_annotated_thorax,
    draw_thorax,
    write_phantoms,
)
from monai_lamps.data.phantom.anatomy import Anatomy
from monai_lamps.data.phantom.canvas import Canvas, smooth_noise
from monai_lamps.data.phantom.film import Film
from monai_lamps.data.phantom.frame import Frame

ROOT = Path(__file__).resolve().parents[2]
SIZE = 128
INDEXES = tuple(range(24))


@pytest.fixture(scope="module")
def drawings():
    """Annotated drawings of a varied two dozen patients, half of them with opacities."""
    return [draw_annotated_thorax(i, SIZE, seed=3, opacities=float(i % 2)) for i in INDEXES]


def mask(drawing, name):
    return drawing.masks[STRUCTURES.index(name)]


def centre(region):
    return np.argwhere(region).mean(0)


def test_image_is_a_pure_function_of_seed_and_index():
    forward = [draw_thorax(i, 48, seed=7) for i in range(4)]
    np.random.seed(0)
    torch.manual_seed(0)
    backward = [draw_thorax(i, 48, seed=7) for i in reversed(range(4))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forward, backward))


def test_drawing_leaves_the_global_generators_alone():
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    draw_annotated_thorax(0, 48, opacities=1.0)
    assert np.array_equal(before[0], np.random.get_state()[1])
    assert torch.equal(before[1], torch.get_rng_state())


def test_image_does_not_depend_on_process_or_number_of_threads():
    program = (
        "import hashlib; from monai_lamps.data.phantom import draw_thorax;"
        "print(hashlib.sha1(b''.join(draw_thorax(i, 256, 1).tobytes() for i in range(3))).hexdigest())"
    )
    env = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}  # one thread here, see conftest
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, cwd=ROOT, capture_output=True, text=True, check=True
    )
    here = hashlib.sha1(b"".join(draw_thorax(i, 256, 1).tobytes() for i in range(3))).hexdigest()
    assert done.stdout.split()[-1] == here


def test_other_indexes_and_other_seeds_give_other_patients():
    images = [draw_thorax(i, 48, seed=s) for s in (0, 1) for i in range(6)]
    masks = [draw_annotated_thorax(i, 48, seed=s).masks for s in (0, 1) for i in range(6)]
    for a in range(len(images)):
        for b in range(a):
            assert np.abs(images[a] - images[b]).mean() > 0.01
            assert (masks[a] != masks[b]).any()


@settings(max_examples=25, deadline=None)
@given(index=st.integers(0, 2**31), size=st.integers(32, 90), seed=st.integers(0, 2**31))
def test_image_has_shape_type_range_and_contrast_at_every_size(index, size, seed):
    image = draw_thorax(index, size, seed, opacities=0.5)
    assert image.shape == (1, size, size)
    assert image.dtype == np.float32
    assert np.isfinite(image).all()
    assert image.min() >= 0.0
    assert image.max() <= 1.0
    assert image.std() > 0.08


@pytest.mark.parametrize("index", [0, 5, 9])
def test_same_patient_is_seen_at_every_size(index):
    small, large = draw_annotated_thorax(index, 64), draw_annotated_thorax(index, 128)
    reduced = large.image.reshape(64, 2, 64, 2).mean((1, 3))
    same = np.corrcoef(small.image.ravel(), reduced.ravel())[0, 1]
    other = np.corrcoef(draw_thorax(index + 1, 64).ravel(), reduced.ravel())[0, 1]
    assert same > 0.97
    assert same > other
    for name in LANDMARKS:
        np.testing.assert_allclose(small.landmarks[name] + 0.5, (large.landmarks[name] + 0.5) / 2, atol=1e-3)
    np.testing.assert_allclose(small.masks.mean((1, 2)), large.masks.mean((1, 2)), atol=0.006)


def test_masks_lie_in_the_body_and_none_is_empty(drawings):
    for drawing in drawings:
        assert drawing.masks.shape == (len(STRUCTURES), SIZE, SIZE)
        assert drawing.masks.dtype == bool
        assert drawing.masks.any((1, 2)).all()
        assert not (drawing.masks & ~mask(drawing, "body")).any()


def test_lungs_take_the_share_of_the_image_that_they_take_in_radiographs(drawings):
    right = np.mean([mask(d, "right_lung").mean() for d in drawings])
    left = np.mean([mask(d, "left_lung").mean() for d in drawings])
    heart = np.mean([mask(d, "heart").mean() for d in drawings])
    assert 0.11 < left < right < 0.23  # JSRT (SCR masks): 0.135, 0.170 and 0.089
    assert 0.06 < heart < 0.12


def test_lung_is_darker_than_heart_and_spine(drawings):
    for drawing in drawings:
        image, lungs = drawing.image[0], mask(drawing, "right_lung") | mask(drawing, "left_lung")
        assert image[lungs].mean() < image[mask(drawing, "heart") & ~lungs].mean() - 0.08
        assert image[mask(drawing, "spine")].mean() > image[lungs].mean()


def test_air_outside_the_body_is_dark(drawings):
    outside = [d.image[0][~mask(d, "body")] for d in drawings if (~mask(d, "body")).mean() > 0.05]
    assert len(outside) > 5
    assert all(part.mean() < 0.35 for part in outside)


def test_left_and_right_are_the_patients(drawings):
    for drawing in drawings:
        assert centre(mask(drawing, "right_lung"))[1] < centre(mask(drawing, "spine"))[1]
        assert centre(mask(drawing, "spine"))[1] < centre(mask(drawing, "left_lung"))[1]
        assert centre(mask(drawing, "heart"))[1] > centre(mask(drawing, "spine"))[1]
        assert centre(mask(drawing, "right_clavicle"))[1] < centre(mask(drawing, "left_clavicle"))[1]
        assert drawing.landmarks["heart"][0, 1] == pytest.approx(drawing.landmarks["heart"][:, 1].max(), abs=8)


def test_structures_are_stacked_as_in_a_patient(drawings):
    for drawing in drawings:
        rows = {name: centre(mask(drawing, name))[0] for name in STRUCTURES}
        assert rows["trachea"] < rows["heart"]
        assert max(rows["left_clavicle"], rows["right_clavicle"]) < min(rows["left_lung"], rows["right_lung"])
        assert rows["right_lung"] < rows["heart"]
        assert not (mask(drawing, "right_lung") & mask(drawing, "left_lung")).any()


def test_left_and_right_lung_look_different():
    sums = np.mean([draw_thorax(i, 64)[0] for i in range(24)], axis=0)
    assert np.abs(sums - sums[:, ::-1])[24:52].max() > 0.15


def test_ribs_and_vessels_leave_texture_in_every_lung():
    for index in range(6):
        drawing = draw_annotated_thorax(index, 192)
        image = drawing.image[0]
        for side in ("left_lung", "right_lung"):
            rows, columns = np.nonzero(distance_transform_edt(mask(drawing, side)) > 12)
            spread = [image[r - 6 : r + 7, c - 6 : c + 7].std() for r, c in zip(rows[::97], columns[::97])]
            assert np.median(spread) > 0.012


@pytest.mark.parametrize("name", ["right_lung", "left_lung", "heart", "right_clavicle", "left_clavicle"])
def test_landmarks_lie_on_the_border_of_their_mask(drawings, name):
    for index in INDEXES[:12]:
        drawing = draw_annotated_thorax(index, 256, seed=3)
        region, body = mask(drawing, name), mask(drawing, "body")
        distance = np.maximum(distance_transform_edt(region), distance_transform_edt(~region))
        points = np.rint(drawing.landmarks[name]).astype(int)
        seen = ((points >= 3) & (points < 253)).all(1)
        points = points[seen]
        points = points[distance_transform_edt(body)[points[:, 0], points[:, 1]] > 3]
        assert len(points) >= 3
        assert distance[points[:, 0], points[:, 1]].max() <= 3.0


def test_landmark_names_and_numbers_are_constant(drawings):
    for drawing in drawings:
        assert {name: len(points) for name, points in drawing.landmarks.items()} == LANDMARKS
        assert all(points.shape[1] == 2 and points.dtype == np.float32 for points in drawing.landmarks.values())
        assert (np.diff(drawing.landmarks["vertebrae"][:, 0]) > 0).all()


def test_carina_is_the_lower_end_of_the_trachea(drawings):
    for drawing in drawings:
        rows = np.nonzero(mask(drawing, "trachea"))[0]
        assert drawing.landmarks["carina"][0, 0] == pytest.approx(rows.max(), abs=3)


def test_opacities_lie_in_the_lungs_and_brighten_them(drawings):
    for index, drawing in zip(INDEXES, drawings):
        lungs, region = mask(drawing, "right_lung") | mask(drawing, "left_lung"), drawing.opacity_mask[0]
        assert region.any() == (index % 2 == 1)
        assert not (region & ~lungs).any()
        if region.any():
            clean = draw_thorax(index, SIZE, seed=3)[0]
            assert (drawing.image[0] - clean)[region].mean() > 0.02
            far = distance_transform_edt(~lungs) > 3  # the focus spreads the edge by a pixel or two
            assert np.array_equal(drawing.image[0][far], clean[far])


def test_opacity_boxes_enclose_the_mask_and_absent_ones_are_zero(drawings):
    for drawing in drawings:
        region, covered = drawing.opacity_mask[0], np.zeros((SIZE, SIZE), dtype=bool)
        for r0, c0, r1, c1 in drawing.opacity_boxes.astype(int):
            if r1 > 0:
                covered[r0 : r1 + 1, c0 : c1 + 1] = True
                assert region[r0, c0 : c1 + 1].any()
                assert region[r0 : r1 + 1, c1].any()
        assert not (region & ~covered).any()
        assert drawing.opacity_boxes.any() == region.any()


def test_share_of_images_with_opacities_follows_the_probability():
    share = np.mean([draw_annotated_thorax(i, 32, opacities=0.3).opacity_boxes.any() for i in range(150)])
    assert 0.18 < share < 0.42


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(32, 400))
def test_pose_maps_pixels_to_anatomy_and_back(seed, size):
    frame = Frame.draw(np.random.default_rng(seed))
    x, y = frame.grid(size)
    rows, columns = np.meshgrid(np.linspace(0, size - 1, 5).astype(int), np.linspace(0, size - 1, 5).astype(int))
    rows, columns = rows.ravel(), columns.ravel()
    back = frame.to_image(np.stack([x[rows, columns], y[rows, columns]], 1), size)
    np.testing.assert_allclose(back, np.stack([rows, columns], 1), atol=2e-3 * size)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_every_patient_has_wide_lungs_above_the_diaphragm(seed):
    anatomy = Anatomy.draw(np.random.default_rng(seed))
    for side in (0, 1):
        for y in (0.2, 0.4, 0.6):
            width = anatomy.lookup(anatomy.cage_table, y) - anatomy.lookup(anatomy.medial_table[side], y)
            assert 0.08 < width < 0.4
        assert anatomy.lookup(anatomy.diaphragm_table[side], 0.2) > 0.64


def test_smooth_noise_is_standard_and_the_same_at_every_size():
    small, large = (smooth_noise(np.random.default_rng(1), 20, n) for n in (64, 128))
    assert abs(float(large.std()) - 1.0) < 0.2
    assert np.corrcoef(small.ravel(), large.reshape(64, 2, 64, 2).mean((1, 3)).ravel())[0, 1] > 0.99


def test_box_holds_the_rectangle_it_was_asked_for():
    canvas = Canvas(Frame.draw(np.random.default_rng(5)), 128)
    rows, columns = canvas.box((-0.1, 0.15), (0.3, 0.5))
    inside = (canvas.x > -0.1) & (canvas.x < 0.15) & (canvas.y > 0.3) & (canvas.y < 0.5)
    inside[rows, columns] = False
    assert not inside.any()


def test_film_darkens_the_collimated_margin_and_stamps_the_mark():
    film = Film(0.5, 4.0, 1.0, 0.0, 0.0, 0.0, (0.1, 0.0, 0.0, 0.05), 0.0, "R", (0.3, 0.2))
    rng = np.random.default_rng(0)
    image = film.develop(np.full((100, 100), 0.5, dtype=np.float32), rng, rng)
    assert image[:10].max() < 1e-5
    assert image[:, 95:].max() < 1e-5
    assert image[60, 60] == pytest.approx(0.5)
    assert image[30:35, 20:24].max() == pytest.approx(0.97)


def test_dataset_items_are_tensors_and_annotations_come_on_request():
    plain = ThoraxPhantom(length=3, size=40, seed=2)[1]
    assert set(plain) == {"image", "index"}
    assert plain["index"] == 1
    assert torch.equal(plain["image"], torch.from_numpy(draw_thorax(1, 40, seed=2)))
    item = ThoraxPhantom(length=3, size=40, seed=2, opacities=1.0, annotations=True)[1]
    assert set(item) == {"image", "index", "masks", "landmarks", "opacity_mask", "opacity_boxes"}
    assert item["masks"].shape == (len(ThoraxPhantom.structures), 40, 40)
    assert item["masks"].dtype == item["opacity_mask"].dtype == torch.uint8
    assert item["landmarks"]["heart"].shape == (12, 2)


def test_dataset_is_a_monai_dataset_with_length_slices_and_ends():
    data = ThoraxPhantom(length=5, size=32)
    assert isinstance(data, Dataset)
    assert len(data) == 5
    assert data[-1]["index"] == 4
    assert [item["index"] for item in data[1:3]] == [1, 2]
    with pytest.raises(IndexError):
        data[5]


def test_dataset_applies_the_transform_to_the_dictionary():
    data = ThoraxPhantom(length=2, size=32, transform=lambda item: {**item, "image": item["image"] * 0})
    assert data[1]["index"] == 1
    assert data[1]["image"].abs().sum() == 0


def test_annotated_items_collate_and_the_dataset_travels_to_workers():
    data = pickle.loads(pickle.dumps(ThoraxPhantom(length=4, size=32, opacities=0.5, annotations=True)))
    batch = next(iter(torch.utils.data.DataLoader(data, batch_size=4, collate_fn=list_data_collate)))
    assert batch["image"].shape == (4, 1, 32, 32)
    assert batch["landmarks"]["left_lung"].shape == (4, 11, 2)
    assert batch["opacity_boxes"].shape == (4, 3, 4)


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"length": 0}, ValueError, "length must be at least 1 image, got 0"),
        ({"length": 2.0}, TypeError, "length must be an integer, got 2.0 of type float"),
        ({"size": 31}, ValueError, "size must be at least 32 pixels, got 31"),
        ({"size": 64.0}, TypeError, "size must be an integer, got 64.0"),
        ({"seed": -1}, ValueError, "seed must not be negative, got -1"),
        ({"seed": True}, TypeError, "seed must be an integer, got True"),
        ({"opacities": 1.5}, ValueError, r"opacities is a probability and must lie in \[0, 1\], got 1.5"),
        ({"opacities": float("nan")}, ValueError, "opacities is a probability"),
        ({"transform": 3}, TypeError, r"transform must be callable or None, got 3 \(int\)"),
    ],
)
def test_dataset_refuses_bad_arguments(kwargs, error, message):
    with pytest.raises(error, match=message):
        ThoraxPhantom(**kwargs)


def test_drawing_refuses_a_negative_index():
    with pytest.raises(ValueError, match="index must not be negative, got -2"):
        draw_thorax(-2, 32)
    with pytest.raises(ValueError, match="index must not be negative, got -1"):
        ThoraxPhantom(length=2, size=32).draw(-1)


def test_written_files_hold_the_images_in_eight_bits(tmp_path):
    paths = write_phantoms(tmp_path / "new" / "folder", 3, size=40, seed=5)
    assert [p.name for p in paths] == ["thorax_00000.png", "thorax_00001.png", "thorax_00002.png"]
    for index, path in enumerate(paths):
        with Image.open(path) as picture:
            assert picture.mode == "L"
            grey = np.asarray(picture, dtype=np.float32) / 255
        assert np.abs(grey - draw_thorax(index, 40, seed=5)[0]).max() <= 0.5 / 255 + 1e-6


def test_writing_again_touches_nothing_and_completes_what_is_missing(tmp_path):
    paths = write_phantoms(tmp_path, 3, size=32)
    content = [p.read_bytes() for p in paths]
    times = [p.stat().st_mtime_ns for p in paths]
    assert write_phantoms(tmp_path, 3, size=32) == paths
    assert [p.stat().st_mtime_ns for p in paths] == times
    paths[1].unlink()
    more = write_phantoms(tmp_path, 4, size=32)
    assert [p.read_bytes() for p in more[:3]] == content
    assert [more[k].stat().st_mtime_ns for k in (0, 2)] == [times[0], times[2]]
    assert sorted(p.name for p in tmp_path.iterdir()) == [".phantoms.json", *(p.name for p in more)]


def test_writing_refuses_a_folder_of_other_phantoms(tmp_path):
    write_phantoms(tmp_path, 2, size=32, seed=1)
    with pytest.raises(ValueError, match=r"holds phantoms of .*'seed': 1.*expected .*'seed': 2.*give an empty folder"):
        write_phantoms(tmp_path, 2, size=32, seed=2)
    with pytest.raises(ValueError, match=r"holds 1 phantoms beyond the 1 asked for, such as thorax_00001.png"):
        write_phantoms(tmp_path, 1, size=32, seed=1)
    (tmp_path / ".phantoms.json").write_text("{ half")
    with pytest.raises(ValueError, match="holds phantoms of unknown arguments"):
        write_phantoms(tmp_path, 2, size=32, seed=1)


def test_writing_refuses_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="n must be at least 1 image, got 0"):
        write_phantoms(tmp_path, 0)
    with pytest.raises(TypeError, match="n must be an integer, got '3' of type str"):
        write_phantoms(tmp_path, "3")
    with pytest.raises(ValueError, match="size must be at least 32"):
        write_phantoms(tmp_path, 1, size=8)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file, expected a folder"):
        write_phantoms(tmp_path / "file", 1, size=32)


def test_trachea_is_a_dark_column_before_the_spine(drawings):
    darker = 0
    for drawing in drawings:
        image, airway = drawing.image[0], mask(drawing, "trachea")
        beside = mask(drawing, "spine") & ~airway & (distance_transform_edt(~airway) < 3)
        rows = np.nonzero(airway)[0]
        beside[rows.max() + 1 :] = False
        darker += image[airway].mean() < image[beside].mean()
    assert darker >= 0.9 * len(drawings)
