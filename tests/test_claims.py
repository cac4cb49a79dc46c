"""Claims bind on the default profile and report on any other."""

import pytest

from sft_helpers import claims


@pytest.fixture(autouse=True)
def binding():
    yield
    claims.bind(True)


def test_a_true_claim_prints_its_sentence_with_its_numbers(capsys):
    claims.claim("The loss is {loss:.2f} of {n}.", loss=0.693, n=4, holds=lambda loss: loss < 1)
    assert capsys.readouterr().out == "✓ The loss is 0.69 of 4.\n"


def test_an_untrue_claim_stops_the_default_run():
    with pytest.raises(claims.ClaimError, match="does not hold here: The loss is 2"):
        claims.claim("The loss is {loss}.", loss=2, holds=lambda loss: loss < 1)


@pytest.mark.parametrize(("loss", "said"), [(0.5, "held here:"), (2, "not held here:")])
def test_elsewhere_a_claim_reports(loss, said, capsys):
    claims.bind(False)
    claims.claim("The loss is {loss}.", loss=loss, holds=lambda loss: loss < 1)
    assert capsys.readouterr().out.startswith(said)


def test_a_claim_that_does_not_apply_is_an_error_on_the_default_alone(capsys):
    with pytest.raises(claims.ClaimError, match="lacks"):
        claims.claim("Pairs: {n}.", n=0, applies=False, holds=lambda n: n > 0)
    claims.bind(False)
    claims.claim("Pairs: {n}.", n=0, applies=False, holds=lambda n: n > 0)
    assert "lacks" in capsys.readouterr().out


def test_a_claim_about_a_number_it_does_not_give_is_a_mistake():
    with pytest.raises(KeyError):
        claims.claim("The loss is {loss}.", loss=2, holds=lambda accuracy: accuracy < 1)


@pytest.mark.parametrize(("loss", "shown", "holds", "error"), [
    (0, "0", lambda loss: 1 / loss > 1, ZeroDivisionError), ("?", "?", lambda loss: loss < 1, TypeError),
    ([], "[]", lambda loss: max(loss) < 1, ValueError)])
def test_a_claim_that_cannot_be_checked_is_an_error_on_the_default_alone(loss, shown, holds, error, capsys):
    with pytest.raises(error):
        claims.claim("The loss is {loss}.", loss=loss, holds=holds)
    claims.bind(False)
    claims.claim("The loss is {loss}.", loss=loss, holds=holds)
    assert capsys.readouterr().out == f"not held here: The loss is {shown}.\n"


def test_a_number_that_other_data_leaves_out_is_a_gap_in_the_sentence(capsys):
    with pytest.raises(TypeError):
        claims.claim("The loss is {loss:.2f} of {n}.", loss=None, n=4, holds=lambda n: n > 3)
    claims.bind(False)
    claims.claim("The loss is {loss:.2f} of {n}.", loss=None, n=4, holds=lambda n: n > 3)
    assert capsys.readouterr().out == "not held here: The loss is … of ….\n"
