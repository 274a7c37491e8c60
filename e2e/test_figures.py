"""Every figure of random invoices, statements and ledgers is right to the last digit, in every locale."""

import json

import pytest

import figures
import random_documents
from printed import body
from typist import Refused, Typist

SEEDS = 100
MANY_SEEDS = 3334  # with three templates, more than 10,000 documents


def check(typist: Typist, template: str, seed: int) -> str | None:
    """What is wrong with one document, if anything is."""
    data = getattr(random_documents, template)(seed)
    try:
        figures.CHECKS[template](data, body(typist.make(template, data, tagged=seed % 4 == 0).pages))
    except (Refused, figures.Wrong) as wrong:
        return f"{template} of seed {seed}: {wrong}\n{json.dumps(data, ensure_ascii=False)}"
    return None


def check_all(typist: Typist, template: str, seeds: range) -> None:
    """All documents are right; says how many are not, and shows the shortest three."""
    wrong = [found for seed in seeds if (found := check(typist, template, seed)) is not None]
    wrong.sort(key=len)
    assert not wrong, f"{len(wrong)} of {len(seeds)} are wrong, such as\n" + "\n".join(wrong[:3])


@pytest.mark.parametrize("template", figures.CHECKS)
def test_figures_of_random_documents_are_right(typist, template):
    check_all(typist, template, range(SEEDS))


@pytest.mark.chaos
@pytest.mark.parametrize("template", figures.CHECKS)
def test_figures_of_very_many_random_documents_are_right(typist, template):
    check_all(typist, template, range(SEEDS, SEEDS + MANY_SEEDS))


def test_figures_of_very_large_products_are_right_or_refused(typist):
    wrong = []
    for seed in range(20):
        data = random_documents.large_products(seed)
        try:
            figures.check_invoice(data, body(typist.make("invoice", data).pages))
        except Refused as refused:
            if refused.error["name"] != "invalid-data":
                wrong.append(str(refused)[:300])
        except figures.Wrong as found:
            wrong.append(f"{found}\n{json.dumps(data['lines'])}")
    assert not wrong, f"{len(wrong)} of 20 are wrong, such as\n" + "\n".join(wrong[:3])
