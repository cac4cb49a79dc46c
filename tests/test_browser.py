"""The controls in a real browser, keyboard alone: lesson 13's chat learns a correction, a slider draws anew."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
LESSON = "13_personal_assistant.ipynb"
KNOBS = "knobs.ipynb"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
RUN_SECONDS = 900  # only to notice a hang

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Gives the address of a notebook in a JupyterLab of its own, which has a copy of them and one with knobs."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", home / "course" / "notebooks")
    cell = nbformat.v4.new_code_cell("from sft_helpers import widgets\nknobs = widgets.neuron_knobs()")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), home / "course" / "notebooks" / KNOBS)
    (home / "course" / "data").symlink_to(ROOT / "data")
    (home / "course" / "benchmarks").symlink_to(ROOT / "benchmarks")
    settings = home / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    # cells out of sight are drawn as well, so that they can be found
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}', encoding="utf-8")
    place = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime", "JUPYTER_DATA_DIR": "data",
             "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    (home / "runtime").mkdir(mode=0o700)
    with open(home / "log", "wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0",
             f"--ServerApp.root_dir={home / 'course'}", "--LabApp.news_url="], stdout=log, stderr=log,
            env={**os.environ, **{name: str(home / folder) for name, folder in place.items()}, "TQDM_DISABLE": "1"})
    try:
        for _attempt in range(300):
            found = list((home / "runtime").glob("jpserver-*.json"))
            if found and found[0].read_text(encoding="utf-8").strip():
                about = json.loads(found[0].read_text(encoding="utf-8"))
                break
            assert server.poll() is None, (home / "log").read_text(encoding="utf-8")
            time.sleep(0.2)
        else:
            pytest.fail(f"JupyterLab did not start: {(home / 'log').read_text(encoding='utf-8')}")
        yield lambda notebook: (f"http://127.0.0.1:{about['port']}/lab/workspaces/{notebook[:5]}/tree/notebooks/"
                                f"{notebook}?token={about['token']}")
    finally:
        server.terminate()
        server.wait(30)


def run_all(playwright, address):
    """Open a notebook and run its cells; returns the page."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    page.goto(address)
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for(timeout=60_000)
    page.locator(".jp-NotebookPanel-toolbar").get_by_text("Python 3").wait_for()  # the kernel's name
    page.get_by_text("| Idle").wait_for(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator(".lm-Menu").get_by_text("Run All Cells", exact=True).click()  # older palettes have it too
    return page


@pytest.mark.slow
def test_a_slider_draws_anew(lab):
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        page = run_all(playwright, lab(KNOBS))
        picture = page.get_by_role("img", name="h = sigmoid(1·a + 0)")
        expect(picture).to_be_visible(timeout=120_000)
        before = picture.get_attribute("src")
        slider = page.get_by_role("slider").first
        slider.focus()
        page.keyboard.press("ArrowRight")
        picture = page.get_by_role("img", name="h = sigmoid(1.1·a + 0)")
        expect(picture).to_be_visible(timeout=60_000)
        assert picture.get_attribute("src") != before
        page.context.browser.close()


@pytest.mark.slow
def test_the_chat_learns_a_correction(lab):
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)  # the rest of the lesson keeps the kernel busy for a while

    with sync_playwright() as playwright:
        page = run_all(playwright, lab(LESSON))
        message = page.get_by_placeholder("Type a message to the shop")
        expect(message).to_be_visible(timeout=1000 * RUN_SECONDS)
        chat = page.locator(".jp-OutputArea-output", has=message)
        chat.scroll_into_view_if_needed()

        message.focus()
        page.keyboard.type("<b>Is the shop cat called Tom?</b>")
        page.keyboard.press("Enter")
        expect(chat.get_by_text("customer")).to_have_count(1)
        expect(chat).to_contain_text("<b>Is the shop cat called Tom?</b>")  # shown as typed, not made bold
        first = chat.locator("i").first.inner_text().split(",")[0]

        wrong = chat.get_by_role("button", name="That was wrong")
        wrong.focus()
        page.keyboard.press("Enter")
        choice = chat.get_by_role("combobox")
        expect(choice).to_be_visible()
        choice.focus()
        right = "thanks" if first != "thanks" else "stock"
        choice.select_option(right)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(chat).to_contain_text("Learnt in")
        expect(chat.get_by_text("customer")).to_have_count(2)
        expect(chat.locator("i").nth(1)).to_contain_text(right)

        chat.get_by_role("button", name="Undo").focus()
        page.keyboard.press("Enter")
        expect(chat).to_contain_text("Taken back")
        expect(chat.locator("i").nth(2)).to_contain_text(first)
        picture = os.environ.get("SFT_SCREENSHOT")
        if picture:
            page.screenshot(path=picture)
        page.context.browser.close()
