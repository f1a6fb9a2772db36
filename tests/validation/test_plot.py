"""The picture of predicted against measured: valid SVG, every row on it, every device told apart."""

from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.validation.plot import COLOURS, LEFT, SIDE, TOP, scatter
from estimator.validation.score import Result

SVG = "{http://www.w3.org/2000/svg}"
energies = st.floats(1e-9, 1e15)


def result(measured=10.0, predicted=20.0, hardware="h", why_not="", row_id="r"):
    return Result(row_id, "f", "kernels", hardware, "dev", why_not, {}, measured, predicted, None, None, None)


def marks(text, shape="circle"):
    return [one for one in ElementTree.fromstring(text).iter(f"{SVG}{shape}") if one.find(f"{SVG}title") is not None]


def rows_of(text):
    return [one for one in marks(text) if float(one.get("cx")) <= LEFT + SIDE + 1]


@given(st.lists(st.tuples(energies, energies), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_every_row_lies_inside_the_frame(pairs):
    found = rows_of(scatter([result(measured, predicted) for measured, predicted in pairs]))
    assert len(found) == len(pairs)
    for one in found:
        assert LEFT - 1 <= float(one.get("cx")) <= LEFT + SIDE + 1
        assert TOP - 1 <= float(one.get("cy")) <= TOP + SIDE + 1


def test_a_perfect_prediction_lies_on_the_diagonal_and_one_too_high_above_it():
    perfect, high = rows_of(scatter([result(10.0, 10.0), result(10.0, 50.0)]))
    assert abs((float(perfect.get("cx")) - LEFT) - (TOP + SIDE - float(perfect.get("cy")))) < 0.2
    assert float(high.get("cy")) < float(perfect.get("cy"))


def test_rows_that_do_not_count_are_hollow_and_say_why():
    scored, apart = rows_of(scatter([result(), result(why_not="stalled", row_id="a<b")]))
    assert (scored.get("fill") != "none", apart.get("fill")) == (True, "none")
    assert apart.find(f"{SVG}title").text == "a<b, h, stalled"
    assert "2 rows, 1 scored" in scatter([result(), result(why_not="stalled")])


def test_devices_beyond_the_colours_are_squares_so_that_no_two_look_alike():
    text = scatter([result(hardware=f"part {index:02d}") for index in range(len(COLOURS) + 3)])
    assert len(marks(text, "rect")) == 2 * 3  # each in the picture and in its key
    looks = {(one.tag, one.get("fill")) for shape in ("circle", "rect") for one in marks(text, shape)}
    assert len(looks) == len(COLOURS) + 3
    assert "part 14 (1)" in text


def test_a_picture_of_nothing_is_an_empty_frame():
    assert rows_of(scatter([])) == []
