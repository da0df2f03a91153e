"""The page: whole in itself, safe whatever a song is called, and working in a real browser."""

import base64
import html
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import musex
from musex.cli import app as cli
from musex.cli.terminal import show_seams
from musex.files import extend_file
from musex.plans import Plan, Turn
from musex.seams.bounds import MEASURES, exceeded, seams_beyond
from musex.views.reports import count_hearings, describe_turns, report

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "waltz.mp3"
PAGE = Path(musex.__file__).parent / "views" / "page"
NAME = "a <script>alert(1)</script> & 'waltz'.mp3"
HOSTILE = (
    "</script><script>alert(1)</script>",
    "</style></title><img src=x onerror=alert(1)>",
    "\" onload='alert(1)' x=\"",
    "{{ 7*7 }} {% include 'report.css' %} ${7*7} $title",
    "line\u2028separator\u2029",
    "&lt;already&gt; &amp;",
)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A song with a name to be careful of, its plan and its page."""
    folder = tmp_path_factory.mktemp("report")
    song = folder / NAME.replace("/", "\N{DIVISION SLASH}")
    shutil.copy(EXAMPLE, song)
    extend_file(song, folder / "long.wav", seconds=100, plan_path=folder / "plan.json", arc=((0.0, "calm"),))
    (folder / "long.wav").unlink()
    assert cli.run(["report", str(folder / "plan.json"), "-o", str(folder / "page.html"), "--quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def plan(folder: Path) -> Plan:
    return Plan.from_json((folder / "plan.json").read_text())


class Links(HTMLParser):
    """Collects what a page would load, and the tags it has."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.shown = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "data", "action", "poster")]

    def handle_data(self, data: str) -> None:
        self.shown += data


def test_the_page_loads_nothing_from_elsewhere(folder: Path, plan: Plan) -> None:
    page = (folder / "page.html").read_text("utf-8")
    links = Links()
    links.feed(page)
    assert all(link.startswith(("data:", "#")) for link in links.loaded)
    assert "default-src 'none'" in page
    assert links.tags.count("script") == 3  # none from the song's name
    assert "<h1>a &lt;script&gt;" in page
    assert page.count("data-seam=") == len(plan.seams) > 0
    assert page.count('class="arc') == len(plan.seams)


@pytest.mark.parametrize("words", HOSTILE)
def test_what_others_wrote_is_shown_and_does_nothing(words: str, plan: Plan, tmp_path: Path) -> None:
    """A song's name and whatever a plan file may hold: its tags, its settings, its model."""
    song = Path(shutil.copy(EXAMPLE, tmp_path / words.replace("/", "\N{DIVISION SLASH}")))
    content = json.loads(plan.to_json())
    content["song"] |= {"path": words, "title": words}
    content["settings"] |= {words: words}
    content["model"]["name"] = words
    page = report(Plan.from_json(json.dumps(content)), song)
    links = Links()
    links.feed(page)
    assert links.tags.count("script") == 3
    assert links.tags.count("img") == 2
    assert links.tags.count("style") == links.tags.count("title") == 1
    assert not links.handlers
    assert links.shown.count(words) >= 3, "as it was written: as a setting's name and value, and as the model's name"
    assert links.shown.count(song.name) >= 2, "in the title and above the page"


def test_a_name_that_is_no_unicode_is_shown_as_far_as_it_is(plan: Plan, tmp_path: Path) -> None:
    song = shutil.copy(EXAMPLE, tmp_path / os.fsdecode(b"w\xff.mp3"))
    assert "<h1>w?.mp3</h1>" in report(plan, song)


def test_the_sound_inside_is_the_output(folder: Path, plan: Plan) -> None:
    page = (folder / "page.html").read_text("utf-8")
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert match
    data = json.loads(match[1])
    sound = folder / "sound.mp3"
    sound.write_bytes(base64.b64decode(data["audio"]))
    heard = musex.read_song(sound)
    assert heard.seconds == pytest.approx(plan.seconds, abs=0.05)
    rate = plan.song["sample_rate"]
    assert data["seams"] == [seam.at / rate for seam in plan.seams]
    loudest = np.abs(heard.samples).max(axis=1)[: len(heard.samples) // 100 * 100].reshape(100, -1).max(axis=1)
    peaks = np.array(data["peaks"]).reshape(100, -1).max(axis=1)
    assert np.corrcoef(loudest, peaks)[0, 1] > 0.9


def test_measures_are_called_the_same_everywhere(folder: Path, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    page = (folder / "page.html").read_text("utf-8")
    show_seams(plan)
    told = capsys.readouterr().out
    assert "Voice</th>" not in page  # of a song without one
    for name, measure in MEASURES.items():
        if name == "voice":
            continue
        assert f'<th scope="col">{measure.title.capitalize()}</th>' in page
        assert measure.meaning in html.unescape(page)
        assert f"{measure.title}{measure.unit}" in told.splitlines()[1]
        assert measure.bound in page
        assert measure.bound in told


def test_a_voice_is_told_of_where_somebody_sings(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    sung = replace(plan, seams=(replace(plan.seams[0], voice=0.9), *plan.seams[1:]))
    page = report(sung, EXAMPLE)
    assert '<th scope="col">Voice</th>' in page
    assert '<td class="beyond">0.90, beyond its bound</td>' in page
    show_seams(sung)
    assert "0.90!" in capsys.readouterr().out


def test_what_is_beyond_stands_beside_the_number(plan: Plan) -> None:
    seams = (replace(plan.seams[0], level_db=4.0, bar=0.1), *plan.seams[1:])
    page = report(replace(plan, seams=seams), EXAMPLE)
    assert '>1<span class="marks" aria-hidden="true"> level, bar</span></th>' in page
    assert '<td class="beyond">+4.00 dB, beyond its bound</td>' in page


def test_stems_are_drawn_where_they_are_heard_otherwise(plan: Plan) -> None:
    assert "level, dashed" not in report(plan, EXAMPLE)
    turn = Turn("drums", 441_000, 220_500, 882_000, -6.0, 1_000)
    page = report(replace(plan, turns=(turn,)), EXAMPLE)
    assert "Drums: level, dashed: how much of it is from elsewhere in the song" in page


def test_hearings_are_counted() -> None:
    np.testing.assert_array_equal(count_hearings(np.array([4, 5, 4, 5, 6, 4])), [0, 0, 1, 1, 0, 2])


def test_arcs_go_from_where_to_where(folder: Path, plan: Plan) -> None:
    page = (folder / "page.html").read_text("utf-8")
    drawn = re.findall(r'd="M ([\d.]+) 215 A .*? ([\d.]+) 215"', page)
    places = [(seam.leave, seam.enter) for seam in plan.seams]
    expected = 10 + 980 * np.array(places) / plan.song["frames"]
    np.testing.assert_allclose(np.array(drawn, float), expected, atol=0.06)


def test_a_notebook_shows_a_player() -> None:
    tone = 0.3 * np.sin(np.arange(30 * 8000) / 8000 * 2 * np.pi * np.linspace(200, 400, 30 * 8000)).astype(np.float32)
    cell = musex.extend(tone, seconds=12, sample_rate=8000)._repr_html_()
    assert "<audio controls" in cell
    assert "<svg" in cell
    assert "http" not in cell


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb" (WCAG 2)."""
    shares = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_a_notebook_is_readable_in_every_theme() -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", (PAGE / "cell.html").read_text("utf-8"), re.DOTALL)
    colours = re.findall(r"#[0-9a-f]{6}", style)
    assert len(colours) == 3
    for theme in ("#ffffff", "#111111"):
        for colour in colours:
            darker, lighter = sorted((luminance(colour), luminance(theme)))
            assert (lighter + 0.05) / (darker + 0.05) > 4.0
    assert re.search(r"text \{ fill: currentColor \}", style)
    assert all(line.startswith(".musex") for line in style.strip().splitlines()), "no other cell is changed"


def test_a_page_is_made_in_memory(wav_path: Path) -> None:
    stages: list[str] = []
    plan = musex.plan(wav_path, seconds=9)
    page = musex.report(plan, wav_path, on_progress=lambda stage, done: stages.append(stage))
    assert page.startswith("<!doctype html>")
    assert "song.wav" in page
    assert set(stages) == {"Reporting"}


def test_what_cannot_be_reported(folder: Path, plan: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["report", str(folder / "plan.json"), "-o", str(folder / "page.html")]) == 1
    assert "--force" in capsys.readouterr().err
    assert cli.run(["report", str(tmp_path / "none.json")]) == 1
    assert "no such plan" in capsys.readouterr().err
    content = json.loads(plan.to_json())
    content["seconds"] = 2 * plan.seconds
    song = musex.read_song(next(folder.glob("*.mp3")))
    with pytest.raises(musex.MusexError, match="no path to report on"):
        report(Plan.from_json(json.dumps(content)), song)


def test_extend_leaves_a_page_beside_the_output(tmp_path: Path, wav_path: Path) -> None:
    output = tmp_path / "long.wav"
    command = ["extend", str(wav_path), "--seconds", "9", "-o", str(output), "--report", "--quiet"]
    assert cli.run(command) == 0
    assert (tmp_path / "long-report.html").read_text("utf-8").startswith("<!doctype html>")
    output.unlink()
    assert cli.run(command) == 1  # the page exists
    assert not output.exists()


@pytest.fixture
def browser(folder: Path) -> Iterator[webdriver.Chrome]:
    """Headless Chromium with the page open."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("Chromium and its driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "no-first-run",
        "mute-audio",
        "autoplay-policy=no-user-gesture-required",
        "window-size=1280,1000",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as driver:
        driver.get((folder / "page.html").as_uri())
        WebDriverWait(driver, 20).until(lambda d: d.execute_script("return audio.readyState >= 1"))
        yield driver


def position(browser: webdriver.Chrome) -> float:
    return float(browser.execute_script("return audio.currentTime"))


def test_the_page_plays_seeks_and_stops(browser: webdriver.Chrome, plan: Plan) -> None:
    wait = WebDriverWait(browser, 20, poll_frequency=0.05)
    play = browser.find_element(By.ID, "play")
    play.click()
    wait.until(lambda d: position(d) > 0.3)
    wait.until(lambda _: play.text == "Pause")  # the browser tells the page so afterwards
    play.click()
    wait.until(lambda _: play.text == "Play")

    wave = browser.find_element(By.ID, "wave")
    webdriver.ActionChains(browser).move_to_element(wave).click().perform()  # its middle
    wait.until(lambda d: abs(position(d) - plan.seconds / 2) < 1.0)
    chart = browser.find_element(By.CSS_SELECTOR, ".charts svg")
    browser.execute_script("arguments[0].scrollIntoView()", chart)
    webdriver.ActionChains(browser).move_to_element(chart).click().perform()
    wait.until(lambda d: abs(position(d) - plan.seconds / 2) < 1.0)

    at = plan.seams[0].at / plan.song["sample_rate"]
    browser.find_element(By.CSS_SELECTOR, "[data-seam='0']").click()
    wait.until(lambda d: at - 5.1 <= position(d) <= at)
    assert "Seam 1 of" in browser.find_element(By.ID, "status").text
    assert not browser.execute_script("return audio.paused")
    browser.execute_script("audio.playbackRate = 4")
    wait.until(lambda d: d.execute_script("return audio.paused"))
    assert at + 5 <= position(browser) < at + 8

    logged = [entry["message"] for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]
    assert logged == []
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]  # type: ignore[no-untyped-call]
    urls = [entry["params"]["request"]["url"] for entry in asked if entry["method"] == "Network.requestWillBeSent"]
    assert urls
    assert all(url.startswith(("file:", "data:", "blob:")) for url in urls)


def test_marks_on_the_waveform_play_and_the_path_follows(browser: webdriver.Chrome, plan: Plan) -> None:
    wait = WebDriverWait(browser, 20, poll_frequency=0.05)
    last, rate = plan.seams[-1], plan.song["sample_rate"]
    mark = browser.execute_script(
        "return document.querySelector('#wave > div').shadowRoot.querySelector(arguments[0])",
        f"[part~='seam-{len(plan.seams) - 1}'] span",
    )
    assert mark.text == str(len(plan.seams))
    webdriver.ActionChains(browser).move_to_element(mark).click().perform()
    wait.until(lambda d: last.at / rate - 5.1 <= position(d) <= last.at / rate)
    assert f"Seam {len(plan.seams)} of" in browser.find_element(By.ID, "status").text
    browser.execute_script("audio.pause()")
    for before, place in ((True, last.leave), (False, last.enter)):
        browser.execute_script(f"audio.currentTime = {last.at / rate + (-1 if before else 1)}")
        across = 10 + 980 * (place / rate + (-1 if before else 1)) / (plan.song["frames"] / rate)
        moved = f"return Math.abs(dot.getAttribute('cx') - {across}) < 2"
        wait.until(lambda d, moved=moved: d.execute_script(moved))  # type: ignore[misc]
        assert browser.find_elements(By.CSS_SELECTOR, ".arc.now")[-1] == browser.find_elements(By.CLASS_NAME, "arc")[-1]


def test_a_screen_reader_is_told_what_is_there(browser: webdriver.Chrome, plan: Plan) -> None:
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named: dict[str, list[str]] = {}
    for node in nodes:
        if not node.get("ignored"):
            named.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
    assert named["slider"] == ["Position"]
    controls = ["Play", "Back 5 seconds", "Forward 5 seconds", "Previous seam", "Next seam", "Zoom in", "Zoom out"]
    controls += ["Only those beyond"] * (0 < len(seams_beyond(plan)) < len(plan.seams))
    assert named["button"] == [*controls, *(f"Listen to seam {n + 1}" for n in range(len(plan.seams)))]
    assert len(named["image"]) == 7
    assert all(named["image"])
    assert len(named["columnheader"]) == 11
    assert {"Player", "The path through the song", "Over time", "Seams", "Table of seams"} <= set(named["region"])
    browser.execute_script("audio.currentTime = 61")
    wave = browser.find_element(By.ID, "wave")
    WebDriverWait(browser, 20).until(lambda _: wave.get_attribute("aria-valuetext") == "1:01")


def test_next_comes_to_an_end(browser: webdriver.Chrome, folder: Path, plan: Plan) -> None:
    """Also where the last seam is nearer to the end than what is played after a seam."""
    page = (folder / "page.html").read_text("utf-8")
    last = f'{plan.seams[-1].at / plan.song["sample_rate"]}], "song"'
    assert page.count(last) == 1
    (folder / "late.html").write_text(page.replace(last, f'{plan.seconds - 2.0}], "song"'), "utf-8")
    browser.get((folder / "late.html").as_uri())
    WebDriverWait(browser, 20).until(lambda d: d.execute_script("return audio.readyState >= 1"))
    step, told = browser.find_element(By.ID, "next"), browser.find_element(By.ID, "status")
    for number in range(len(plan.seams)):
        step.click()
        assert told.text.startswith(f"Seam {number + 1} of")
    step.click()
    assert told.text == "There is no later seam."


def test_long_outputs_are_found_through(browser: webdriver.Chrome, plan: Plan) -> None:
    wait = WebDriverWait(browser, 20, poll_frequency=0.05)
    browser.execute_script("document.querySelectorAll('.touch')[0].dispatchEvent(new MouseEvent('click'))")
    assert browser.find_element(By.ID, "status").text.startswith("Seam 1 of")
    overview, shown = browser.find_element(By.ID, "overview"), browser.find_element(By.ID, "shown")
    assert not overview.is_displayed()
    for _ in range(2):
        browser.find_element(By.ID, "closer").click()
    wait.until(lambda _: 0 < shown.size["width"] < 0.3 * overview.size["width"])
    for _ in range(2):
        browser.find_element(By.ID, "wider").click()
    assert not overview.is_displayed()
    beyond = [bool(exceeded(seam)) for seam in plan.seams]
    only = browser.find_element(By.ID, "only")
    assert only.is_displayed() == (0 < sum(beyond) < len(beyond))
    browser.execute_script("only.click()")
    shown_rows = [row.is_displayed() for row in browser.find_elements(By.CSS_SELECTOR, "tbody tr")]
    assert shown_rows == beyond
    browser.execute_script("audio.pause(); audio.currentTime = 0; next.click()")
    first = f"Seam {beyond.index(True) + 1} of" if any(beyond) else "There is no later seam."
    wait.until(lambda d: d.find_element(By.ID, "status").text.startswith(first))


def test_the_page_works_by_keyboard_and_on_a_phone(browser: webdriver.Chrome, plan: Plan) -> None:
    wait = WebDriverWait(browser, 20, poll_frequency=0.05)
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.ARROW_RIGHT)
    assert position(browser) == pytest.approx(5.0, abs=0.1)
    body.send_keys("n")
    at = plan.seams[0].at / plan.song["sample_rate"]
    wait.until(lambda d: not d.execute_script("return audio.paused"))
    assert at - 5.1 <= position(browser) <= at + 5
    body.send_keys(" ")
    wait.until(lambda d: d.execute_script("return audio.paused"))
    wave = browser.find_element(By.ID, "wave")
    assert float(wave.get_attribute("aria-valuenow") or "nan") == pytest.approx(position(browser), abs=0.1)
    for key, expected in ((Keys.HOME, 0.0), (Keys.ARROW_UP, 5.0), (Keys.ARROW_DOWN, 0.0), (Keys.END, plan.seconds)):
        wave.send_keys(key)
        wait.until(lambda d, expected=expected: abs(position(d) - expected) <= 0.1)  # type: ignore[misc]
    browser.find_element(By.CSS_SELECTOR, "[data-seam='0']").send_keys(Keys.ENTER)
    wait.until(lambda d: at - 5.1 <= position(d) <= at)
    body.send_keys(" ")
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    width, shown = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert width <= shown == 360
    heights = "return [...document.querySelectorAll('button:not([hidden])')].map(b => b.getBoundingClientRect().height)"
    assert min(browser.execute_script(heights)) >= 44  # a finger's
    before = position(browser)
    for wide in browser.find_elements(By.CSS_SELECTOR, ".seams, .wide"):
        wide.send_keys(Keys.ARROW_RIGHT)
        wait.until(lambda d, wide=wide: d.execute_script("return arguments[0].scrollLeft", wide) > 0)  # type: ignore[misc]
    assert position(browser) == before, "what is wider than the window is moved, not the sound"


def test_what_is_too_long_for_a_page_is_refused_before_it_is_made(
    tmp_path: Path, wav_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["extend", str(wav_path), "--minutes", "90", "-o", str(tmp_path / "long.mp3"), "--report"]) == 2
    assert "too long for a page" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_page_shows_which_stem_is_heard_when(plan: Plan) -> None:
    assert describe_turns(plan) is None
    rate, half = plan.song.sample_rate, plan.frames // 2
    silent = Turn("drums", half, 10 * rate, None, None, 400)
    quiet = Turn("voice", 0, half, None, -6.0, 400)
    other = Turn("bass", half, 5 * rate, rate, 0.0, 400)
    shown = describe_turns(replace(plan, turns=(silent, quiet, other)))
    assert shown is not None
    rows = {row["name"]: row["stretches"] for row in shown["rows"]}
    scale = 980.0 / plan.frames
    assert [kind for kind, *_ in rows["drums"]] == ["own", "own"]
    first, second = rows["drums"]
    assert float(first[1]) == 10.0
    assert float(second[1]) - float(first[1]) - float(first[2]) == pytest.approx(10 * rate * scale, abs=0.2)
    assert [(kind, strength) for kind, _, _, strength in rows["voice"]] == [("own", "0.50"), ("own", "1.00")]
    assert [kind for kind, *_ in rows["bass"]] == ["own", "other", "own"]
    assert len(rows["rest"]) == 1
