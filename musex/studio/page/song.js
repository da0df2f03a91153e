// The song: its waveform with sections and bars, and the path as arcs above it.
import { player } from "./player.js";
import { find, letter, shape } from "./words.js";

const WIDTH = 1000, MARGIN = 10, BASE = 215; // as the server draws paths
const NARROW = 560; // pixels, below which all is drawn larger
const holder = find("song");
let song, plan, narrow = false, chosen = 0, onSeam = () => {}, onPlace = () => false;

const across = (seconds) => MARGIN + ((WIDTH - 2 * MARGIN) * seconds) / song.seconds;
const below = BASE + 8; // where the waveform begins

export const picture = {
  set onSeam(told) { onSeam = told; },
  set onPlace(told) { onPlace = told; }, // told of a click on the song's waveform
  show(newSong, newPlan) {
    if (newSong === song && newPlan === plan) return;
    song = newSong;
    plan = newPlan;
    draw();
  },
  choose(number) {
    chosen = number;
    holder.querySelectorAll(".arc").forEach((arc, index) => arc.classList.toggle("now", index + 1 === number));
  },
};

const draw = () => {
  const path = plan?.path, top = path ? path.top - 6 : BASE - 20;
  narrow = holder.clientWidth < NARROW;
  const [tall, line] = narrow ? [150, 34] : [70, 14]; // of the waveform, and of what is written
  holder.classList.toggle("narrow", narrow);
  const view = shape("svg", {
    viewBox: `0 ${top} ${WIDTH} ${below + tall + 3 * line + 14 - top}`, role: "img",
    "aria-label": (path ? `${path.label}; ` : "") + (song.known ? `${song.sections.length} sections, ${song.downbeats.length} bars` : "its waveform"),
  });
  song.sections.forEach((from, index) => {
    const to = song.sections[index + 1] ?? song.seconds;
    view.append(
      shape("rect", { class: "section", x: across(from), y: below, width: across(to) - across(from), height: tall, fill: `var(--section-${index % 6})` }),
    );
    if (across(to) - across(from) > line + 6) view.append(shape("text", { class: "letter", x: across(from) + 5, y: below + line + 1 }, letter(index)));
  });
  const middle = below + tall / 2, loudest = Math.max(...song.peaks, 1e-6), count = song.peaks.length;
  const outline = (sign) => song.peaks.map((peak, index) => {
    const at = sign > 0 ? index : count - 1 - index;
    return `${(MARGIN + ((WIDTH - 2 * MARGIN) * at) / count).toFixed(1)},${(middle + (sign * song.peaks[at] * tall * 0.46) / loudest).toFixed(1)}`;
  });
  view.append(shape("polygon", { class: "sound", points: [...outline(1), ...outline(-1)].join(" ") }));
  view.append(shape("path", { class: "bars", d: song.downbeats.map((at) => `M${across(at).toFixed(1)} ${below + tall - line / 2}v${line / 2}`).join("") }));
  path?.heard.forEach((strength, index) => {
    view.append(shape("rect", { class: "heat", x: MARGIN + 5 * index, y: below + tall + 4, width: 5.2, height: line * 0.7, opacity: strength }));
  });
  path?.arcs.forEach((arc, index) => {
    const d = `M ${arc.start} ${BASE} A ${arc.across} ${arc.height} 0 0 ${arc.ahead ? 1 : 0} ${arc.stop} ${BASE}`;
    const seam = plan.seams[index];
    const touch = shape("path", { class: "touch", d });
    touch.addEventListener("click", () => onSeam(seam.number));
    view.append(shape("path", { class: `arc${arc.ahead ? " ahead" : ""}${seam?.beyond.length ? " beyond" : ""}`, d }), touch);
  });
  view.append(shape("line", { class: "axis", x1: MARGIN, x2: WIDTH - MARGIN, y1: BASE, y2: BASE }));
  let free = 0; // where the next time has room
  path?.times.forEach(([at, time], index) => {
    const half = 0.3 * line * time.length;
    if (index && (at - half < free || at + half > WIDTH)) return;
    free = at + (index ? half : 2 * half) + line;
    view.append(shape("text", { x: at, y: below + tall + 2 * line + 6, "text-anchor": index ? "middle" : "start" }, time));
  });
  view.append(shape("circle", { id: "dot", cx: MARGIN, cy: BASE, r: 7 }));
  view.addEventListener("click", (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(view.getScreenCTM().inverse());
    const seconds = ((point.x - MARGIN) / (WIDTH - 2 * MARGIN)) * song.seconds;
    if (point.y > BASE) onPlace(Math.min(Math.max(seconds, 0), song.seconds));
  });
  holder.replaceChildren(view);
  picture.choose(chosen);
  follow(player.now);
};

new ResizeObserver(() => { if (song && narrow !== holder.clientWidth < NARROW) draw(); }).observe(holder);

// Which place of the song is heard at a time of the output.
export const place = (seconds) => {
  if (!plan) return 0;
  const [begins, start] = plan.spans.findLast(([at]) => at <= seconds) ?? plan.spans[0];
  return start + seconds - begins;
};
const follow = (now) => {
  if (song && plan) find("dot")?.setAttribute("cx", across(Math.min(place(now), song.seconds)));
};
player.onMove(follow);
