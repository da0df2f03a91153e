// The seams: a list to choose from, and what can be done to the one that is chosen.
import { player } from "./player.js";
import { read } from "./server.js";
import { clock, element, find, tenths } from "./words.js";

const list = find("seam-list"), panel = find("seam"), table = find("alternatives");
let plan, chosen = 0, act = async () => {}, onChoose = () => {}, say = () => {};

export const seams = {
  set act(doing) { act = doing; },
  set say(words) { say = words; },
  set onChoose(told) { onChoose = told; },
  get chosen() { return chosen; },

  show(newPlan) {
    if (newPlan === plan) return;
    plan = newPlan;
    table.hidden = true;
    find("find").setAttribute("aria-expanded", "false");
    if (chosen > plan.seams.length) chosen = plan.seams.length;
    find("no-seams").hidden = plan.seams.length > 0;
    const focused = document.activeElement?.dataset?.seam;
    list.replaceChildren(...plan.seams.map((seam) => element("button", {
      "data-seam": seam.number, class: seam.beyond.length ? "beyond" : "", "aria-pressed": seam.number === chosen,
      "aria-label": `Seam ${seam.number} at ${clock(seam.at)}${seam.locked ? ", locked" : ""}${seam.beyond.length ? `, ${seam.beyond.join(" and ")} beyond its bound` : ""}`,
      onclick: () => seams.choose(seam.number, true),
    }, element("strong", {}, String(seam.number)), ` ${clock(seam.at)}`, seam.locked ? element("span", { class: "mark", "aria-hidden": "true" }, " locked") : "")));
    if (focused) list.querySelector(`[data-seam="${focused}"]`)?.focus();
    describe();
  },
  // Choose a seam, and hear it.
  choose(number, heard = false) {
    if (!plan?.seams[number - 1]) return;
    if (number !== chosen) table.hidden = true;
    chosen = number;
    describe();
    onChoose(number);
    if (heard) seams.hear();
  },
  hear() {
    const seam = plan?.seams[chosen - 1];
    if (!seam) return;
    player.preview(seam.at);
    say(`Seam ${chosen} of ${plan.seams.length}, at ${clock(seam.at)}`);
  },
  // What is playing now counts as the seam one is at, so that "next" goes on from it.
  step(direction) {
    if (!plan) return;
    const now = player.stopsAt < Infinity && chosen ? plan.seams[chosen - 1].at : player.now;
    const found = direction > 0 ? plan.seams.find((seam) => seam.at > now + 0.05) : plan.seams.findLast((seam) => seam.at < now - 0.05);
    if (found) seams.choose(found.number, true);
    else say(direction > 0 ? "There is no later seam." : "There is no earlier seam.");
  },
  reject: () => change({ action: "reject" }, "Rejected: another jump takes its place."),
  none: () => change({ action: "none" }, "There is no jump here any more."),
  lock: () => change({ action: "lock", on: !plan?.seams[chosen - 1]?.locked }),
  move: (by, steps) => change({ action: "move", by, steps }, `Moved by ${steps > 0 ? "+" : "−"}1 ${by}.`),
  find: () => (table.hidden ? look() : close()),
};

const change = async (what, words) => {
  const seam = plan?.seams[chosen - 1];
  if (!seam) { say("Choose a seam first."); return; }
  const at = seam.at;
  const state = await act({ ...what, number: chosen });
  if (!state) return;
  // The seam nearest to where this one was is the one that is spoken of.
  const near = [...state.plan.seams].sort((a, b) => Math.abs(a.at - at) - Math.abs(b.at - at))[0];
  if (near) seams.choose(near.number);
  if (words) say(words);
};

const describe = () => {
  const seam = plan?.seams[chosen - 1];
  panel.hidden = !seam;
  list.querySelectorAll("button").forEach((button) => button.setAttribute("aria-pressed", Number(button.dataset.seam) === chosen));
  if (!seam) return;
  find("seam-name").textContent = `Seam ${seam.number}: at ${tenths(seam.at)}, from ${tenths(seam.from)} to ${tenths(seam.to)} of the song`;
  find("seam-measures").replaceChildren(...seam.measures.flatMap((measure) => [
    element("div", { class: measure.beyond ? "beyond" : "", title: measure.meaning }, element("dt", {}, measure.name), element("dd", {}, measure.value + (measure.beyond ? " !" : ""))),
  ]), element("div", {}, element("dt", {}, "crossfade"), element("dd", {}, `${seam.fade_ms} ms`)));
  const lock = find("lock");
  lock.setAttribute("aria-pressed", seam.locked);
  lock.textContent = seam.locked ? "Locked" : "Lock";
};

const close = () => {
  table.hidden = true;
  find("find").setAttribute("aria-expanded", "false");
  player.hush();
};

// Ten other jumps side by side, each to be heard by itself.
const look = async () => {
  const number = chosen, asked = plan;
  if (!asked?.seams[number - 1]) { say("Choose a seam first."); return; }
  say("Looking for alternatives …");
  let found;
  try { found = await read(`alternatives/${number}`); } catch (error) { say(error.message); return; }
  if (plan !== asked || chosen !== number) return;
  say(found.length ? `${found.length} alternatives to seam ${number}.` : "There is no other jump that fits here.");
  const cards = found.map((each, index) => element("li", {},
    element("h4", {}, `${index + 1}. ${tenths(each.from)} → ${tenths(each.to)}`),
    element("p", {}, each.beyond.length ? `beyond a bound: ${each.beyond.join(", ")}` : "keeps to every bound",
      each.keeps ? "" : "; what follows is planned anew"),
    element("p", { class: "figures" }, each.measures.filter((measure) => measure.value && !measure.value.startsWith("–")).slice(0, 3).map((measure) => `${measure.name} ${measure.value}`).join(", ")),
    element("div", { class: "controls" },
      element("button", { "aria-pressed": "false", "aria-label": `Hear alternative ${index + 1}`, onclick: (event) => player.hear(`previews/${number}/${index}.wav`, event.currentTarget) }, "Hear"),
      element("button", { "aria-label": `Use alternative ${index + 1}`, onclick: () => change({ action: "replace", index }, `Alternative ${index + 1} is used.`) }, "Use")),
  ));
  table.replaceChildren(element("ol", { class: "cards" }, ...cards));
  table.hidden = false;
  find("find").setAttribute("aria-expanded", "true");
};

find("hear").addEventListener("click", () => seams.hear());
find("reject").addEventListener("click", () => seams.reject());
find("lock").addEventListener("click", () => seams.lock());
find("none").addEventListener("click", () => seams.none());
find("find").addEventListener("click", () => seams.find());
document.querySelectorAll("[data-move]").forEach((button) =>
  button.addEventListener("click", () => seams.move(button.dataset.by, Number(button.dataset.move))));
find("previous").addEventListener("click", () => seams.step(-1));
find("next").addEventListener("click", () => seams.step(1));
