// The output's waveform with its sections, bars and seams, and the handle that drags its length.
import { player } from "./player.js";
import { clock, colour, find, letter, parse, shape, tenths } from "./words.js";

const ROOM = 0.84; // of the frame's width that the waveform takes; the rest is there to be dragged into
const frame = find("frame"), wave = find("wave"), handle = find("handle"), wanted = find("wanted"), minutes = find("minutes");
const nonce = document.querySelector("meta[name=style-nonce]").content;
let surfer, regions, minimap, plan, shown, limits = [5, 3600], seconds = 0, zoom = 1;
let grabbed; // where the handle was taken, and how long the output was then
let marked = "", chosen = 0; // which seams are marked how, and the chosen one
let pressing = 0; // waits for more keys on it
let onLength = () => {}, onSeam = () => {}, onPlace = () => false;

export const output = {
  set onLength(told) { onLength = told; },
  set onSeam(told) { onSeam = told; },
  set onPlace(told) { onPlace = told; }, // told of a click on the waveform; true where it was meant for something else

  show(state) {
    limits = state.limits;
    if (!state.plan || state.plan === plan) return;
    plan = state.plan;
    if (!grabbed && !pressing) setLength(plan.seconds);
    if (!surfer) create();
    else if (shown === plan.key) decorate(); // a lock, or bars that have been found
    else draw();
  },
  // What was dragged is refused: the handle goes back.
  reset() { if (plan) setLength(plan.seconds); },
  choose(number) {
    chosen = number;
    regions?.getRegions().forEach((region) => { region.content.style.outline = region.id === `seam-${number}` ? `2px solid ${colour("--ink")}` : ""; });
  },
};

const create = () => {
  surfer = WaveSurfer.create({
    container: wave, media: player.audio, peaks: [plan.peaks], duration: plan.seconds, height: 128, normalize: true,
    waveColor: colour("--wave"), progressColor: colour("--accent"), cursorColor: colour("--warn"), cursorWidth: 2,
    cspNonce: nonce, barWidth: 2, barGap: 1, barRadius: 2,
  });
  regions = surfer.registerPlugin(WaveSurfer.Regions.create());
  surfer.registerPlugin(WaveSurfer.Timeline.create({ height: 18, formatTimeCallback: clock, secondaryLabelOpacity: 1, style: { color: colour("--soft"), fontSize: "11px" } }));
  surfer.registerPlugin(WaveSurfer.Hover.create({ lineColor: colour("--soft"), labelBackground: colour("--ink"), labelColor: colour("--paper"), formatTimeCallback: tenths }));
  surfer.registerPlugin(WaveSurfer.Zoom.create({ scale: 0.25, maxZoom: 200 }));
  surfer.on("ready", decorate);
  surfer.on("interaction", (at) => { if (!onPlace(at)) player.seek(at); });
  surfer.on("redrawcomplete", mark);
  surfer.on("zoom", (pixels) => { zoom = Math.max(1, (pixels * plan.seconds) / wave.clientWidth); showZoom(); });
  regions.on("region-clicked", (region, event) => { event.stopPropagation(); onSeam(Number(region.id.slice(5))); });
  shown = plan.key;
};

const draw = () => {
  shown = plan.key;
  zoom = 1;
  showZoom();
  surfer.load(player.audio.src, [plan.peaks], plan.seconds);
};

// Seams are marks that can be clicked; where they lie close together some have no number until the waveform is zoomed.
const mark = () => {
  const pixels = surfer.getWrapper().clientWidth / plan.seconds, drawing = `${shown} ${plan.version} ${Math.round(100 * pixels)}`;
  if (drawing === marked) return;
  marked = drawing;
  regions.clearRegions();
  let free = 0; // where the next number has room
  for (const seam of plan.seams) {
    const room = seam.at * pixels >= free;
    if (room) free = seam.at * pixels + (seam.locked ? 34 : 24);
    const content = document.createElement("span"); // for the mouse: the list of seams is for the keyboard
    content.textContent = room ? (seam.locked ? `${seam.number} •` : seam.number) : "";
    content.title = `Seam ${seam.number}${seam.locked ? ", locked" : ""}`;
    Object.assign(content.style, {
      padding: room ? "1px 5px" : "3px", font: "600 12px system-ui", cursor: "pointer", border: "0", borderRadius: "0 0 6px 0",
      color: colour("--card"), background: colour(seam.beyond.length ? "--warn" : "--forward"),
    });
    regions.addRegion({ id: `seam-${seam.number}`, start: seam.at, content, color: colour("--forward"), drag: false, resize: false });
  }
  output.choose(chosen);
};

// Sections and bars lie behind the waveform, one picture that is stretched with it.
const decorate = () => {
  mark();
  const wrapper = surfer.getWrapper();
  wrapper.querySelector("svg.places")?.remove();
  const total = plan.seconds;
  const places = shape("svg", { class: "places", viewBox: `0 0 ${total} 100`, preserveAspectRatio: "none", "aria-hidden": "true" });
  Object.assign(places.style, { position: "absolute", inset: "0", width: "100%", height: "100%", pointerEvents: "none", zIndex: "0" });
  for (const [from, to, index] of plan.sections) {
    const tint = shape("rect", { x: from, y: 0, width: to - from, height: 100, fill: `var(--section-${index % 6})`, opacity: "0.16" });
    tint.append(shape("title", {}, `Section ${letter(index)}`));
    places.append(tint);
  }
  const dense = Math.log2(Math.max(1, (8 * plan.bars.length) / wave.clientWidth)); // each second, fourth, eighth … where they are many
  const bars = plan.bars.filter((_, number) => number % 2 ** Math.ceil(dense) === 0);
  places.append(shape("path", {
    d: bars.map((at) => `M${at.toFixed(2)} 81V87`).join(""), stroke: colour("--soft"), "stroke-width": "1",
    "vector-effect": "non-scaling-stroke", opacity: "0.7",
  }));
  wrapper.prepend(places);
};

const showZoom = () => {
  find("wider").disabled = zoom <= 1.01;
  const needed = zoom > 1.01;
  find("minimap").hidden = !needed;
  if (needed && !minimap) {
    minimap = surfer.registerPlugin(WaveSurfer.Minimap.create({
      container: find("minimap"), height: 26, waveColor: colour("--wave"), progressColor: colour("--accent"), cspNonce: nonce,
      overlayColor: "rgba(120, 130, 180, 0.25)", normalize: true, peaks: [plan.peaks], duration: plan.seconds,
    }));
  } else if (!needed && minimap) {
    minimap.destroy();
    minimap = undefined;
    find("minimap").replaceChildren();
  }
};
const magnify = (factor) => {
  if (!surfer) return;
  zoom = Math.min(Math.max(zoom * factor, 1), 64);
  surfer.zoom(zoom === 1 ? 0 : (zoom * wave.clientWidth) / plan.seconds);
  showZoom();
};
find("closer").addEventListener("click", () => magnify(2));
find("wider").addEventListener("click", () => magnify(0.5));

player.onMove((now) => {
  wave.setAttribute("aria-valuenow", now.toFixed(1));
  wave.setAttribute("aria-valuetext", clock(now));
});

// The handle: where the waveform ends. While it is dragged the waveform stays as it is, and the flag tells the length.
const clamp = (value) => Math.min(Math.max(value, limits[0]), limits[1]);
const setLength = (value) => {
  seconds = value;
  player.duration ||= value;
  wave.setAttribute("aria-valuemax", value.toFixed(1));
  handle.setAttribute("aria-valuemin", limits[0]);
  handle.setAttribute("aria-valuemax", limits[1]);
  frame.style.setProperty("--end", ROOM);
  frame.style.setProperty("--kept", ROOM);
  frame.classList.remove("dragged");
  told(value);
};
const told = (value) => {
  handle.setAttribute("aria-valuenow", value.toFixed(1));
  handle.setAttribute("aria-valuetext", tenths(value));
  wanted.textContent = tenths(value);
  if (document.activeElement !== minutes) minutes.value = tenths(value);
};
const ask = (value) => {
  const asked = Math.round(clamp(value) * 10) / 10;
  if (!plan || asked === Math.round(plan.seconds * 10) / 10) { if (plan) setLength(plan.seconds); return; }
  seconds = asked;
  told(asked);
  onLength(asked);
};

handle.addEventListener("pointerdown", (event) => {
  if (!plan) return;
  handle.setPointerCapture(event.pointerId);
  grabbed = { x: event.clientX, seconds, moved: false };
  event.preventDefault();
  handle.focus();
});
handle.addEventListener("pointermove", (event) => {
  if (!grabbed) return;
  const width = frame.clientWidth * ROOM, across = event.clientX - grabbed.x;
  // To the right it is drawn out faster the farther it goes: there is little room, and songs are made much longer.
  const share = across <= 0 ? 1 + across / width : Math.exp((across / (frame.clientWidth * (1 - ROOM))) * Math.log(4));
  seconds = clamp(grabbed.seconds * share);
  grabbed.moved ||= Math.abs(across) > 2;
  frame.classList.add("dragged");
  frame.style.setProperty("--end", Math.min(1, ROOM + across / frame.clientWidth));
  frame.style.setProperty("--kept", Math.min(ROOM, ROOM + across / frame.clientWidth));
  told(Math.round(seconds));
});
const release = (event) => {
  if (!grabbed) return;
  const { moved } = grabbed;
  grabbed = undefined;
  if (moved && event.type === "pointerup") ask(Math.round(seconds));
  else if (plan) setLength(plan.seconds);
};
handle.addEventListener("pointerup", release);
handle.addEventListener("pointercancel", release);

handle.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
  const to = { Home: limits[0], End: limits[1] }[event.key] ?? (steps[event.key] ? seconds + steps[event.key] : null);
  if (to === null || !plan) return;
  event.preventDefault();
  event.stopPropagation();
  seconds = clamp(Math.round(to));
  told(seconds);
  clearTimeout(pressing); // keys that follow at once are one change
  pressing = setTimeout(() => { pressing = 0; ask(seconds); }, 250);
});
find("length").addEventListener("submit", (event) => {
  event.preventDefault();
  const value = parse(minutes.value);
  minutes.setAttribute("aria-invalid", value === null);
  if (value === null) { find("status").textContent = `${minutes.value} is no length: give one such as 5:00 or 90`; return; }
  minutes.blur();
  ask(value);
});
// The waveform is a slider, too: up and down, Home and End.
wave.addEventListener("keydown", (event) => {
  const to = { ArrowUp: player.now + 5, ArrowDown: player.now - 5, Home: 0, End: player.duration }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  player.seek(to);
});
