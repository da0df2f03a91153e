// How the output shall be: its ending, its novelty, which parts are muted, and what is heard at a chosen time.
import { output } from "./output.js";
import { picture } from "./song.js";
import { clock, element, find, parse, tenths } from "./words.js";

let plan, act = async () => {}, say = () => {}, armed = false, picked = null;

export const form = {
  set act(doing) { act = doing; },
  set say(words) { say = words; },
  show(newPlan) {
    if (newPlan === plan) return;
    plan = newPlan;
    form.reset();
  },
  // What the plan has, whatever was asked for.
  reset() {
    const { ending, novelty, muted, hits } = plan.settings;
    document.querySelectorAll("[name=ending]").forEach((input) => { input.checked = input.value === ending; });
    document.querySelectorAll("[name=stem]").forEach((input) => { input.checked = muted.includes(input.value); });
    find("novelty").value = novelty;
    find("hits").replaceChildren(...hits.map(([place, at], index) => element("li", {},
      `${place === "peak" ? "The climax" : `${tenths(place)} of the song`} at ${tenths(at)} `,
      element("button", { "aria-label": `Remove the hit point at ${clock(at)}`, onclick: () => setHits(hits.filter((_, each) => each !== index)) }, "×"))));
  },
};

const change = (settings) => act({ action: "change", settings });
const setHits = (hits) => change({ hits: [...hits].sort((a, b) => a[1] - b[1]) });

document.querySelectorAll("[name=ending]").forEach((input) => input.addEventListener("change", () => change({ ending: input.value })));
document.querySelectorAll("[name=stem]").forEach((input) => input.addEventListener("change", () =>
  act({ action: "mute", stems: [...document.querySelectorAll("[name=stem]:checked")].map((each) => each.value) })));
find("novelty").addEventListener("change", (event) => change({ novelty: Number(event.target.value) }));

const add = (place, at) => {
  if (!plan) return;
  setHits([...plan.settings.hits.filter(([, time]) => time !== at), [place, at]]);
};
find("add-hit").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = find("hit-place").value.trim(), at = parse(find("hit-at").value);
  const place = text === "" || text === "climax" ? "peak" : parse(text);
  find("hit-place").setAttribute("aria-invalid", place === null);
  find("hit-at").setAttribute("aria-invalid", at === null);
  if (place === null || at === null) { say("A hit point has a place of the song and a time, such as 0:45 and 1:00."); return; }
  add(place, at);
});
// By click: a place of the song, if one is wanted, then the time at which it shall be heard.
const arm = (on) => {
  armed = on;
  picked = null;
  find("by-click").setAttribute("aria-pressed", on);
  document.body.classList.toggle("armed", on);
  if (on) say("Click a place of the song, then the time in the output; the time alone for the climax.");
};
find("by-click").addEventListener("click", () => arm(!armed));
picture.onPlace = (seconds) => {
  if (!armed) return;
  picked = Math.round(seconds * 10) / 10;
  say(`${tenths(picked)} of the song: now click when it shall be heard.`);
};
output.onPlace = (seconds) => {
  if (!armed) return false;
  const place = picked ?? "peak";
  arm(false);
  add(place, Math.round(seconds * 10) / 10);
  return true;
};
