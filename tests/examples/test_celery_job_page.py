"""The page of the example of a job on a Celery queue, in a real browser."""

import pytest
from playwright.sync_api import Page, expect

from tests.examples.test_celery_job import job
from tests.support.examples import Example

__all__ = ["job"]  # a fixture

pytestmark = pytest.mark.slow

HALFWAY = """() => {
    const { value } = document.getElementById("bar");
    return value > 0 && value < 100;
}"""


def test_the_page(job: Example, page: Page) -> None:
    """A button starts the job, the bar follows it, and the title says that it has succeeded."""
    page.goto(f"{job.url}/?steps=10&seconds=0.1")
    page.get_by_role("button", name="Start the job").click()
    expect(page.get_by_role("status")).to_have_text("The job runs")
    page.wait_for_function(HALFWAY)
    expect(page.get_by_role("status")).to_have_text("Job Succeeded")
    expect(page).to_have_title("Job Succeeded")
    assert page.locator("#bar").evaluate("bar => bar.value") == 100
