"""The page in real headless Chromium: dropped, dragged, heard, changed, taken away."""

import base64
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

import musex
from musex.plans import Plan
from musex.rendering.stitch import render
from musex.studio.session import Session
from tests.studio.conftest import EXAMPLES, Studio, settle

Browser = webdriver.Chrome
NAME = "a <script>document.title = 'run'</script> & <img src=x onerror=alert(1)>.mp3"


# What is touched and is smaller than a fingertip, 44 pixels.
SMALL = """
    return [...document.querySelectorAll("button, select, input:not([type=file]), .choice, main a, summary, #handle")]
      .map((each) => [each.closest("label") ?? each, each.outerHTML.slice(0, 80)])
      .map(([each, told]) => [told, each.getBoundingClientRect()])
      .filter(([told, box]) => box.height && (box.height < 44 || (box.width < 44 && innerWidth < 500)))
      .map(([told, box]) => `${told} ${box.width} x ${box.height}`);
"""


@pytest.fixture
def session(studio: Studio, browser: Browser, tmp_path: Path) -> Iterator[Session]:
    """A song that is open in the browser; what was decided of it elsewhere is forgotten."""
    song = Path(shutil.copy(EXAMPLES / "groove.mp3", tmp_path / "groove.mp3"))
    with open(song, "ab") as file:
        file.write(tmp_path.name.encode())  # a song of its own, with a session of its own
    session, address = studio.open(song)
    browser.get(address)
    wait(browser, lambda d: d.execute_script("return audio.readyState >= 1") and "seams" in find(d, "told").text)
    yield session
    assert [entry for entry in browser.get_log("browser") if " 4" not in entry["message"]] == []  # type: ignore[no-untyped-call]


def wait(browser: Browser, until: Callable[[Browser], Any]) -> Any:
    return WebDriverWait(browser, 20, 0.05, [NoSuchElementException, StaleElementReferenceException]).until(until)


def find(browser: Browser, name: str) -> WebElement:
    return browser.find_element(By.ID, name)


def drag(browser: Browser, across: int) -> None:
    handle = find(browser, "handle")
    chain = webdriver.ActionChains(browser, duration=20).click_and_hold(handle)
    chain.move_by_offset(across // 2, 0).move_by_offset(across - across // 2, 0).release().perform()


def decode(browser: Browser, address: str, start: int, frames: int) -> np.ndarray:
    """What Chromium decodes of a sound: float32 (frames, channels)."""
    script = """
        const [address, start, frames, rate, done] = arguments;
        fetch(address).then((answer) => answer.arrayBuffer())
          .then((bytes) => new OfflineAudioContext(2, 1, rate).decodeAudioData(bytes))
          .then((sound) => [0, 1].map((channel) => [...sound.getChannelData(channel).slice(start, start + frames)]))
          .then(done);
    """
    return np.array(browser.execute_async_script(script, address, start, frames, 44_100), np.float32).T


def jumps(plan: Plan) -> list[tuple[int, int]]:
    return [(seam.leave, seam.enter) for seam in plan.seams]


def test_a_song_is_chosen_and_one_is_dropped(studio: Studio, browser: Browser, tmp_path: Path) -> None:
    song = Path(shutil.copy(EXAMPLES / "waltz.mp3", tmp_path / "mine.mp3"))
    browser.get(studio.address)
    find(browser, "file").send_keys(str(song))
    wait(browser, lambda d: "/songs/" in d.current_url and d.find_element(By.TAG_NAME, "h1").text == "mine.mp3")
    wait(browser, lambda d: "seams" in find(d, "told").text)
    drop = """
        const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0)), data = new DataTransfer();
        data.items.add(new File([bytes], arguments[1], { type: "audio/mpeg" }));
        for (const kind of ["dragover", "drop"]) document.body.dispatchEvent(
          new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
    """
    content = base64.b64encode((EXAMPLES / "groove.mp3").read_bytes()).decode()
    browser.execute_script(drop, content, NAME)
    wait(browser, lambda d: "script" in d.find_element(By.TAG_NAME, "h1").text)
    assert browser.find_element(By.TAG_NAME, "h1").text == NAME.replace("/", "_")
    wait(browser, lambda d: "seams" in find(d, "told").text)
    assert browser.title.startswith("a <script>")
    assert not browser.find_elements(By.CSS_SELECTOR, "h1 *, img")
    browser.get(studio.address)
    browser.execute_script(drop, base64.b64encode(b"no music").decode(), "broken.mp3")
    wait(browser, lambda d: "broken.mp3" in find(d, "status").text and "Reading" not in find(d, "status").text)
    assert browser.current_url == studio.address


def test_a_handle_drags_the_length_and_it_plays_within_a_second(
    session: Session, browser: Browser, usual_speed: None
) -> None:
    browser.execute_script("""
        window.heard = [];
        handle.addEventListener("pointerup", () => heard.push(-performance.now()), true);
        audio.addEventListener("playing", () => heard.push(performance.now()));
    """)
    waited = []
    for across in (60, -90, 50):
        browser.execute_script("audio.pause(); audio.currentTime = 0; heard.length = 0")
        before = session.plan.seconds
        drag(browser, across)
        up, playing = wait(browser, lambda d: d.execute_script("return heard.length > 1 && heard"))[:2]
        waited.append((up + playing) / 1000.0)
        wait(browser, lambda d, before=before: session.draft is None and session.plan.seconds != before)  # type: ignore[misc]
        assert (session.plan.seconds > before) == (across > 0)
        wait(browser, lambda d: find(d, "handle").get_attribute("aria-valuenow") == f"{session.plan.seconds:.1f}")
        wait(browser, lambda d: not d.find_elements(By.CLASS_NAME, "dragged"))
    assert min(waited) < 1.0
    wait(browser, lambda d: d.execute_script("return audio.currentTime > 0.2"))


def test_what_is_heard_is_the_plan_as_it_is_rendered(session: Session, browser: Browser) -> None:
    find(browser, "minutes").clear()
    find(browser, "minutes").send_keys("3:20", Keys.ENTER)
    wait(browser, lambda d: session.plan.seconds == 200.0 and not d.execute_script("return audio.paused"))
    settle(session)
    wait(browser, lambda d: d.execute_script("return audio.duration") == 200.0)
    seam = session.plan.seams[0]
    start, frames = seam.at - 22_050, 44_100
    heard = decode(browser, browser.execute_script("return audio.src"), start, frames)
    rendered = np.concatenate(list(render(session.plan, session.song)))[start : start + frames]
    assert heard.shape == rendered.shape
    assert np.abs(heard - rendered).max() < 2.0 / 2**15

    find(browser, "play").click()
    wait(browser, lambda d: d.execute_script("return audio.paused"))
    browser.find_element(By.CSS_SELECTOR, "[data-seam='1']").click()
    at = seam.at / 44_100
    wait(browser, lambda d: at - 5.1 <= d.execute_script("return audio.currentTime") <= at)
    browser.execute_script("audio.playbackRate = 4")
    wait(browser, lambda d: d.execute_script("return audio.paused"))
    assert at + 5 <= browser.execute_script("return audio.currentTime") < at + 8


def test_a_rejected_seam_changes_there_and_nowhere_else(session: Session, browser: Browser) -> None:
    plan = session.plan
    assert len(plan.seams) > 1
    browser.find_element(By.CSS_SELECTOR, "[data-seam='2']").click()
    find(browser, "lock").click()
    wait(browser, lambda d: session.step.locked_numbers == (2,))
    wait(browser, lambda d: d.find_elements(By.CSS_SELECTOR, "[data-seam='2'][aria-label*=locked]"))
    browser.find_element(By.CSS_SELECTOR, "[data-seam='1']").click()
    find(browser, "reject").click()
    wait(browser, lambda d: session.plan != plan)
    before, after = jumps(plan), jumps(session.plan)
    assert before[0] not in after
    assert set(before[1:]) <= set(after)
    assert session.plan.seconds == plan.seconds
    (at,) = [seam.at for seam in session.plan.seams if (seam.leave, seam.enter) == before[-1]]
    assert at == pytest.approx(plan.seams[-1].at, abs=0.005 * 44_100)
    wait(browser, lambda d: "Rejected" in find(d, "status").text)
    for _ in range(2):
        find(browser, "undo").click()
        wait(browser, lambda d: find(d, "status").text == "Undone.")
    wait(browser, lambda d: session.plan == plan and not session.step.locked)


def test_ten_alternatives_are_heard_and_one_is_used(session: Session, browser: Browser) -> None:
    plan = session.plan
    browser.find_element(By.CSS_SELECTOR, "[data-seam='1']").click()
    find(browser, "find").click()
    cards = wait(browser, lambda d: d.find_elements(By.CSS_SELECTOR, "#alternatives li"))
    found = session.alternatives(1)
    assert 1 < len(cards) == len(found) <= 10
    address = browser.execute_script("return document.baseURI") + "previews/1/0.wav"
    seam = found[0].seam
    heard = decode(browser, address, 5 * 44_100 + seam.fade, 44_100)
    after = session.song.samples[seam.enter + seam.fade :][: len(heard)]
    assert np.abs(heard - after).max() < 2.0 / 2**15
    cards[0].find_element(By.CSS_SELECTOR, "[aria-label='Hear alternative 1']").click()
    wait(browser, lambda d: d.find_elements(By.CSS_SELECTOR, "#alternatives [aria-pressed=true]"))
    cards[0].find_element(By.CSS_SELECTOR, "[aria-label='Use alternative 1']").click()
    wait(browser, lambda d: session.plan != plan)
    assert (seam.leave, seam.enter) in jumps(session.plan)


def test_a_seam_is_moved_by_a_beat_and_asked_away(session: Session, browser: Browser) -> None:
    plan = session.plan
    browser.find_element(By.CSS_SELECTOR, "[data-seam='1']").click()
    browser.find_element(By.CSS_SELECTOR, "[data-move='1'][data-by='beat']").click()
    wait(browser, lambda d: session.plan != plan)
    assert session.info is not None
    beat = 60.0 / (session.info.tempo or 0.0)
    moved = session.plan.seams[0]
    assert (moved.leave - plan.seams[0].leave) / 44_100 == pytest.approx(beat, abs=0.1)
    assert moved.leave - moved.enter == pytest.approx(plan.seams[0].leave - plan.seams[0].enter, abs=100)
    plan = session.plan
    wait(browser, lambda d: "Moved" in find(d, "status").text)
    find(browser, "none").click()
    wait(browser, lambda d: session.plan != plan)
    apart = [abs(seam.leave - moved.leave) / 44_100 for seam in session.plan.seams]
    assert min(apart) > beat


def test_the_shape_is_changed(session: Session, browser: Browser) -> None:
    browser.find_element(By.CSS_SELECTOR, "[value=fade]").click()
    wait(browser, lambda d: session.plan.settings.ending == "fade")
    settle(session)
    novelty = find(browser, "novelty")
    novelty.send_keys(Keys.END)
    wait(browser, lambda d: session.plan.settings.novelty == 1.0)
    settle(session)
    wait(browser, lambda d: find(d, "told").text.endswith("it ends with a fade."))
    over = browser.find_element(By.CSS_SELECTOR, "#mood .u-over")
    width, height = over.size["width"], over.size["height"]
    chain = webdriver.ActionChains(browser, duration=20).move_to_element_with_offset(over, -width // 2 + 5, height // 3)
    chain.click_and_hold().move_by_offset(width // 2 - 5, 0).move_by_offset(width // 2 - 5, -2 * height // 3)
    chain.release().perform()
    arc = wait(browser, lambda d: session.plan.settings.arc)
    assert arc[0][1] == "calm"
    assert arc[-1][1] == "intense"
    assert arc[-1][0] == pytest.approx(session.plan.seconds, rel=0.06)
    wait(browser, lambda d: len(d.find_elements(By.CSS_SELECTOR, "#points li")) == len(arc))
    find(browser, "clear-mood").click()
    wait(browser, lambda d: not session.plan.settings.arc)
    find(browser, "point-at").send_keys("0:30")
    Select(find(browser, "point-mood")).select_by_visible_text("bright")
    browser.find_element(By.CSS_SELECTOR, "#add-point button").click()
    wait(browser, lambda d: session.plan.settings.arc == ((30.0, "bright"),))


def test_a_hit_point_is_set_by_click(session: Session, browser: Browser) -> None:
    find(browser, "by-click").click()
    sound = browser.find_element(By.CSS_SELECTOR, "#song .sound")
    webdriver.ActionChains(browser).move_to_element(sound).click().perform()
    wait(browser, lambda d: "now click when" in find(d, "status").text)
    webdriver.ActionChains(browser).move_to_element(find(browser, "wave")).click().perform()
    ((place, at),) = wait(browser, lambda d: session.plan.settings.hits)
    assert place == pytest.approx(session.song.seconds / 2, abs=1.0)
    assert at == pytest.approx(session.plan.seconds / 2, abs=1.0)
    heard = session.plan.places(np.array([round(at * 44_100)]))[0] / 44_100
    assert heard == pytest.approx(place, abs=0.06)


def test_parts_are_muted_without_another_cut(session: Session, browser: Browser) -> None:
    plan = session.plan
    browser.find_element(By.CSS_SELECTOR, "[value=drums]").click()
    wait(browser, lambda d: session.plan.settings.mix)
    assert session.plan.settings.mix == (("drums", ((0.0, None),)),)
    assert jumps(session.plan) == jumps(plan)
    settle(session)
    wait(browser, lambda d: not d.execute_script("return document.body.classList.contains('busy')"))
    heard = decode(browser, browser.execute_script("return audio.src"), 44_100 * 40, 44_100)
    rendered = np.concatenate(list(render(session.plan, session.song)))[44_100 * 40 :][:44_100]
    assert np.abs(heard - rendered).max() < 2.0 / 2**15
    browser.find_element(By.CSS_SELECTOR, "[value=drums]").click()
    wait(browser, lambda d: not session.plan.settings.mix)


def test_one_of_four_versions_is_chosen(session: Session, browser: Browser) -> None:
    plan = session.plan
    find(browser, "make-versions").click()
    cards = wait(browser, lambda d: d.find_elements(By.CSS_SELECTOR, "#versions li"))
    assert len(cards) == 4
    assert session.plan == plan
    assert len({tuple(jumps(each)) for each in (plan, *session.versions)}) > 2
    cards[1].find_element(By.CSS_SELECTOR, "[aria-label='Hear version 2']").click()
    wait(browser, lambda d: d.find_elements(By.CSS_SELECTOR, "#versions [aria-pressed=true]"))
    cards[1].find_element(By.CSS_SELECTOR, "[aria-label='Choose version 2']").click()
    wait(browser, lambda d: session.plan == session.versions[1])
    wait(browser, lambda d: d.find_elements(By.CSS_SELECTOR, "#versions li.chosen"))


def test_what_was_made_is_taken_away(session: Session, browser: Browser, tmp_path: Path) -> None:
    Select(find(browser, "format")).select_by_visible_text("flac")
    for kind, name in (("audio", "groove-extended.flac"), ("plan", "groove-plan.json"), ("cuts", "groove-cuts.csv")):
        browser.find_element(By.CSS_SELECTOR, f"[data-kind={kind}]").click()
        wait(browser, lambda d, name=name: (tmp_path / name).exists())  # type: ignore[misc]
        wait(browser, lambda d, name=name: find(d, "status").text == f"{name} is ready.")  # type: ignore[misc]
    heard = musex.read_song(tmp_path / "groove-extended.flac")
    rendered = np.concatenate(list(render(session.plan, session.song)))
    assert np.abs(heard.samples - rendered).max() <= 1.0 / 2**15
    plan = Plan.from_json((tmp_path / "groove-plan.json").read_text("utf-8"))
    assert plan == session.plan
    assert musex.render_file(tmp_path / "groove-plan.json", tmp_path / "again.wav")[0] == plan


def test_two_tabs_show_the_same(session: Session, browser: Browser) -> None:
    address, first = browser.current_url, browser.current_window_handle
    browser.switch_to.new_window("tab")
    browser.get(address)
    wait(browser, lambda d: "seams" in find(d, "told").text)
    find(browser, "handle").send_keys(Keys.PAGE_UP)
    wait(browser, lambda d: session.plan.seconds == 166.0)
    settle(session)
    for tab in (browser.current_window_handle, first):
        browser.switch_to.window(tab)
        wait(browser, lambda d: " 2:46.0 " in find(d, "told").text)
    browser.switch_to.window(first)
    assert not browser.execute_script("return audio.src").endswith("blob")
    browser.refresh()
    wait(browser, lambda d: " 2:46.0 " in find(d, "told").text and find(d, "undo").is_enabled())
    find(browser, "undo").click()
    wait(browser, lambda d: " 2:36.0 " in find(d, "told").text)


def test_everything_by_keyboard(session: Session, browser: Browser) -> None:
    body, rate = browser.find_element(By.TAG_NAME, "body"), session.song.sample_rate
    body.send_keys(" ")
    wait(browser, lambda d: d.execute_script("return audio.currentTime > 0.1"))
    body.send_keys(" ")
    wait(browser, lambda d: d.execute_script("return audio.paused"))
    body.send_keys("n")
    at = session.plan.seams[0].at / rate
    wait(browser, lambda d: at - 5.1 <= d.execute_script("return audio.currentTime") <= at + 0.1)
    body.send_keys(" ")
    body.send_keys("l")
    wait(browser, lambda d: session.step.locked_numbers == (1,))
    body.send_keys(Keys.CONTROL, "z")
    wait(browser, lambda d: not session.step.locked_numbers)
    body.send_keys(Keys.CONTROL, Keys.SHIFT, "z")
    wait(browser, lambda d: session.step.locked_numbers == (1,))
    handle = find(browser, "handle")
    handle.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    wait(browser, lambda d: session.plan.seconds == 158.0)
    assert handle.get_attribute("aria-valuetext") == "2:38"
    assert session.step.locked_numbers
    wave = find(browser, "wave")
    wave.send_keys(Keys.HOME)
    wait(browser, lambda d: d.execute_script("return audio.currentTime") < 0.5)
    find(browser, "letters").click()
    body.send_keys("l")
    time.sleep(0.3)
    assert session.step.locked_numbers, "letters are no shortcuts any more"
    find(browser, "letters").click()
    body.send_keys(Keys.CONTROL, Keys.SHIFT, "z")
    wait(browser, lambda d: "there is nothing to redo" in find(d, "status").text)


@pytest.mark.parametrize("width", [1280, 390])
def test_what_was_done_is_seen_wherever_one_is_on_the_page(session: Session, browser: Browser, width: int) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.execute_script("document.getElementById('hit-at').scrollIntoView({ block: 'center' })")
    find(browser, "hit-at").send_keys("soon", Keys.ENTER)
    wait(browser, lambda d: "A hit point has a place" in find(d, "status").text)
    visible = """
        const { x, y, width, height } = arguments[0].getBoundingClientRect();
        return arguments[0].contains(document.elementFromPoint(x + width / 2, y + height / 2));
    """
    for name in ("status", "play", "undo"):
        assert browser.execute_script(visible, find(browser, name)), name
    browser.execute_script("document.activeElement.blur()")
    for _ in range(12):  # nothing that has the focus lies below the bar
        browser.switch_to.active_element.send_keys(Keys.SHIFT, Keys.TAB)
        focused = browser.switch_to.active_element
        if focused.tag_name in ("button", "select", "input"):
            assert browser.execute_script(visible, focused), focused.get_attribute("outerHTML")


def test_a_finger_drags_the_length_on_a_phone(session: Session, browser: Browser) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    )
    before = session.plan.seconds
    box = find(browser, "handle").rect
    x, y = int(box["x"] + box["width"] / 2), int(box["y"] + box["height"] / 2)
    for kind, points in (("touchStart", [(x, y)]), ("touchMove", [(x - 60, y + 3)]), ("touchEnd", [])):
        touched = {"type": kind, "touchPoints": [{"x": left, "y": top} for left, top in points]}
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", touched)
    wait(browser, lambda d: session.plan.seconds < before - 10 and not d.execute_script("return audio.paused"))
    assert browser.execute_script("return scrollY") == 0
    wide, shown = browser.execute_script("return [document.querySelector('#song svg').clientWidth, innerWidth]")
    assert wide < shown, "the path is seen whole"


def test_events_that_come_before_the_song_is_known_are_borne(
    session: Session, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe = session.describe_song

    def describe_late() -> dict[str, Any]:
        time.sleep(1.0)
        return describe()

    monkeypatch.setattr(session, "describe_song", describe_late)
    session.revision += 1
    browser.refresh()
    wait(browser, lambda d: "seams" in find(d, "told").text)
    assert find(browser, "status").text == ""


def test_a_song_that_was_closed_is_told(session: Session, browser: Browser, studio: Studio) -> None:
    studio.workshop.sessions.pop(session.key).close()
    wait(browser, lambda d: "was closed" in find(d, "stopped").text)
    browser.refresh()
    wait(browser, lambda d: "no such song open" in find(d, "status").text)


def test_a_screen_reader_is_told_what_is_there(session: Session, browser: Browser) -> None:
    named: dict[str, list[str]] = {}
    for node in browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]:
        if not node.get("ignored"):
            named.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
    assert {"Position", "Length of the output", "Novelty"} <= set(named["slider"])
    assert all(named["button"])
    assert {"The output", "Seams", "The path through the song", "Shape", "Four versions", "Export"} <= set(
        named["region"]
    )
    assert [name for name in named["button"] if name.startswith("Seam 1 at")]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_axe_finds_nothing_serious(session: Session, browser: Browser, studio: Studio, width: int, dark: bool) -> None:
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.refresh()
    wait(browser, lambda d: "seams" in find(d, "told").text)
    browser.find_element(By.CSS_SELECTOR, "[data-seam='1']").click()
    find(browser, "find").click()
    wait(browser, lambda d: d.find_elements(By.CSS_SELECTOR, "#alternatives li"))
    find(browser, "make-versions").click()
    wait(browser, lambda d: d.find_elements(By.CSS_SELECTOR, "#versions li"))
    browser.execute_script(
        "document.querySelectorAll('details').forEach((each) => { each.open = true; }); audio.pause()"
    )
    wide, shown = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= shown == width
    assert browser.execute_script(SMALL) == []
    browser.execute_script("stopped.hidden = false; stopped.textContent = 'The studio has stopped.'")
    assert find_serious(browser) == []
    browser.get(studio.address)
    find(browser, "file").send_keys(__file__)
    wait(browser, lambda d: "is no song" in find(d, "status").text)
    assert browser.execute_script(SMALL) == []
    assert find_serious(browser) == []


def find_serious(browser: Browser) -> list[tuple[str, list[str]]]:
    """What axe-core finds on a page that keeps somebody from using it."""
    axe = (files("axe_core_python") / "axe.min.js").read_text("utf-8")
    browser.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
    found = browser.execute_async_script("axe.run().then(arguments[0])")
    return [
        (each["id"], [node["html"][:100] for node in each["nodes"]])
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]


def test_nothing_is_loaded_from_elsewhere(session: Session, browser: Browser, studio: Studio) -> None:
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]  # type: ignore[no-untyped-call]
    urls = [entry["params"]["request"]["url"] for entry in asked if entry["method"] == "Network.requestWillBeSent"]
    assert len(urls) > 15
    assert all(url.startswith((studio.address, "data:", "blob:")) for url in urls)


def test_a_stopped_studio_is_told_and_loses_nothing(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    command = [sys.executable, "-m", "musex", "studio", str(EXAMPLES / "groove.mp3"), "--no-open"]

    def begin() -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    process, address = begin()
    try:
        browser.get(address)
        wait(browser, lambda d: "seams" in find(d, "told").text)
        find(browser, "handle").send_keys(Keys.PAGE_UP)
        wait(browser, lambda d: " 2:46.0 " in find(d, "told").text)
    finally:
        process.kill()
        process.communicate()
    wait(browser, lambda d: "has stopped" in find(d, "stopped").text)
    assert find(browser, "stopped").get_attribute("role") == "alert"
    process, address = begin()
    try:
        browser.get(address)
        wait(browser, lambda d: " 2:46.0 " in find(d, "told").text)
    finally:
        process.kill()
        process.communicate()
