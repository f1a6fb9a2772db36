"""The flame graph: widths that add up exactly, at every level, to the joules they stand for; safe text; two suffixes."""

import re
import xml.etree.ElementTree as ElementTree
from decimal import Decimal
from math import fsum

import pytest
from hypothesis import given

from estimator import Inference, estimate
from estimator.errors import InvalidSetting
from estimator.report.flame import place, span, tree
from estimator.report.flame_svg import FINE, KINDS, WIDTH, boxes, svg
from tests.report.made import entry, estimate_of, estimates

SVG = "{http://www.w3.org/2000/svg}"


def drawn(text: str) -> list[tuple[str, str, Decimal, Decimal]]:
    """(level, first line of the title, x, width) of every box."""
    found = []
    for group in ElementTree.fromstring(text).iter(f"{SVG}g"):
        if group.get("class") in KINDS:
            rectangle = group.find(f"{SVG}rect")
            name = group.find(f"{SVG}title").text.splitlines()[0]
            found.append((group.get("class"), name, Decimal(rectangle.get("x")), Decimal(rectangle.get("width"))))
    return found


@given(estimates)
def test_the_joules_of_a_box_are_those_of_what_is_inside(answer):
    def check(node):
        if node.inner:
            assert node.energy == pytest.approx(fsum(child.energy for child in node.inner.values()), rel=1e-12, abs=0)
        for child in node.inner.values():
            check(child)

    root = tree(answer)
    assert root.energy == answer.energy  # both are exactly rounded sums of the same joules
    check(root)


@given(estimates)
def test_the_written_widths_add_up_exactly_in_every_row_of_every_box(answer):
    found = drawn(svg(answer))
    for level in KINDS:
        assert sum(width for kind, _, _, width in found if kind == level) == WIDTH
    for index, inner in enumerate(KINDS[1:]):
        for kind, name, x, width in found:
            if kind == KINDS[index]:
                inside = [each for each in found if each[0] == inner and (kind == "total" or each[1].startswith(f"{name} · "))]
                inside = [each for each in inside if x <= each[2] < x + width]
                assert sum(each[3] for each in inside) == width


@given(estimates)
def test_a_box_is_as_wide_as_its_share_to_the_grid_of_each_level(answer):
    root = tree(answer)
    for box in boxes(root, 0, WIDTH * FINE):
        # edges are rounded once a level, each by half a step at most, and rescaled to the box around them
        assert abs((box.right - box.left) - WIDTH * FINE * box.node.energy / root.energy) <= 2 * len(KINDS)


def test_two_phases_of_one_and_three_joules_take_a_quarter_and_three_quarters():
    # entry() puts half of its joules into tensor units and half into leakage: 1200 px / 4 / 2 = 150 px and 1200 px · ¾ / 2 = 450 px
    text = svg(estimate_of(("prefill", [entry(1.0, "model.layers.*.mlp", layers=(0, 1))]), ("decode", [entry(3.0, "lm_head")])))
    widths = {name: width for kind, name, _, width in drawn(text) if kind == "component"}
    assert widths == {
        "decode · lm_head · mm · tensor units": 450, "decode · lm_head · mm · leakage": 450,
        "prefill · model.layers.0–1 · mlp: mm · tensor units": 150, "prefill · model.layers.0–1 · mlp: mm · leakage": 150,
    }  # fmt: skip
    assert "prefill · model.layers.0–1 · mlp: mm · leakage\n500 mJ, 12.50% of all" in text


def test_layers_that_run_the_same_kernel_stand_together_with_their_gaps_named():
    assert span((0, 1, 2, 5, 7, 8)) == "0–2,5,7–8"
    assert place(entry(1.0, "model.layers.*.mlp.experts.3", layers=(3, 4, 9))) == ("model.layers.3–4,9", "mlp.experts.3: mm")
    assert place(entry(1.0, "layer1.0.conv1")) == ("layer1.0", "conv1: mm")
    assert place(entry(1.0, "")) == ("(model)", "mm")


def test_a_name_is_text_and_not_markup():
    text = svg(estimate_of(("forward", [entry(1.0, "<script>alert(1)</script>", "a&b")])))
    assert "<script" not in text
    assert any("<script>alert(1)</script>" in name for _, name, _, _ in drawn(text))


def test_the_suffix_says_what_is_written(tmp_path):
    answer = estimate_of(("decode", [entry(1.0)]))
    answer.save_flame(tmp_path / "flame.svg")
    answer.save_flame(str(tmp_path / "flame.HTML"))
    picture = (tmp_path / "flame.svg").read_text(encoding="utf-8")
    page = (tmp_path / "flame.HTML").read_text(encoding="utf-8")
    assert picture.startswith("<svg") and page.startswith("<!doctype html>") and picture.strip() in page
    with pytest.raises(InvalidSetting, match=r"flame\.png.*written as \.svg or \.html; name the file flame\.svg or flame\.html"):
        answer.save_flame("flame.png")


def test_a_whole_model_fits_one_small_picture_that_fetches_nothing():
    text = svg(estimate("llama-3.1-8b", "h100-sxm", Inference(batch=4)))
    assert len(text) < 200_000
    assert not re.search(r"(href|src|url\(|@import)", text)
    assert {"prefill", "decode"} <= {name for kind, name, _, _ in drawn(text) if kind == "phase"}
