// Four versions at once: each heard by itself, one chosen.
import { player } from "./player.js";
import { read } from "./server.js";
import { element, find, shape } from "./words.js";

const list = find("versions");
let shown = "", act = async () => {}, say = () => {};

export const versions = {
  set act(doing) { act = doing; },
  set say(words) { say = words; },
  show(state) {
    const drawing = JSON.stringify(state.versions);
    if (drawing === shown) return;
    shown = drawing;
    list.replaceChildren(...state.versions.map((version, index) => element("li", { class: version.chosen ? "chosen" : "" },
      element("h3", {}, `Version ${index + 1}`), path(version.path),
      element("p", {}, version.told),
      element("div", { class: "controls" },
        element("button", { "aria-pressed": "false", "aria-label": `Hear version ${index + 1}`, onclick: (event) => hear(index, event.currentTarget) }, "Hear"),
        element("button", { "aria-label": `Choose version ${index + 1}`, disabled: version.chosen, onclick: async () => {
          player.hush();
          if (await act({ action: "choose", index })) say(`Version ${index + 1} is chosen.`);
        } }, version.chosen ? "Chosen" : "Choose")))));
  },
};

const hear = async (index, button) => {
  try { player.hear(`sounds/${(await read(`versions/${index}/sound`)).sound}.wav`, button); } catch (error) { say(error.message); }
};
const path = (each) => shape("svg", { viewBox: `0 ${each.top} 1000 ${222 - each.top}`, role: "img", "aria-label": each.label },
  ...each.arcs.map((arc) => shape("path", { class: `arc${arc.ahead ? " ahead" : ""}`, d: `M ${arc.start} 215 A ${arc.across} ${arc.height} 0 0 ${arc.ahead ? 1 : 0} ${arc.stop} 215` })),
  shape("line", { class: "axis", x1: 10, x2: 990, y1: 215, y2: 215 }));

find("make-versions").addEventListener("click", async () => {
  say("Making four versions …");
  if (await act({ action: "versions" })) say("Four versions are ready.");
});
