// The mood over the output's time: drawn with the mouse, given by keyboard, shown beside how the plan sounds.
import { clock, colour, element, find, parse, tenths } from "./words.js";

const LEVELS = [["calm", -1.2], ["dark", -0.2], ["bright", 0.4], ["intense", 1.2]]; // as musex has their arousal
const INCREMENTS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600]; // seconds between two times below it
const SAMPLES = 24; // of a line that is drawn
const holder = find("mood");
let chart, plan, points = [], onArc = () => {}, drawn;

export const mood = {
  set onArc(told) { onArc = told; },
  show(newPlan) {
    if (newPlan === plan) return;
    plan = newPlan;
    points = plan.settings.arc.map(([at, name]) => [at, name]);
    find("points").replaceChildren(...points.map(([at, name], index) => element("li", {}, `${tenths(at)} ${name} `,
      element("button", { "aria-label": `Remove ${name} at ${clock(at)}`, onclick: () => onArc(points.filter((_, each) => each !== index)) }, "×"))));
    if (!chart) create();
    chart.setData(data());
    holder.setAttribute("aria-label", points.length ? `Mood asked for: ${points.map(([at, name]) => `${name} at ${clock(at)}`).join(", ")}` : "No mood is asked for; the line shows how the plan sounds");
  },
};

const arousal = (name) => LEVELS.find(([each]) => each === name)[1];
const asked = (at) => {
  if (!points.length) return null;
  const after = points.findIndex(([time]) => time >= at);
  if (after === 0) return arousal(points[0][1]);
  if (after < 0) return arousal(points.at(-1)[1]);
  const [[from, one], [to, other]] = points.slice(after - 1, after + 1);
  return arousal(one) + ((arousal(other) - arousal(one)) * (at - from)) / (to - from);
};
const data = () => {
  const times = plan.mood.times;
  return [times, plan.mood.heard, times.map((at) => drawn?.get(nearest(at)) ?? asked(at))];
};
const nearest = (at) => Math.round((at / plan.seconds) * SAMPLES);

const create = () => {
  const names = (level) => LEVELS.find(([, value]) => Math.abs(value - level) < 0.01)?.[0] ?? "";
  const axis = { stroke: () => colour("--soft"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  chart = new uPlot({
    width: holder.clientWidth || 600, height: 180, legend: { show: false }, cursor: { drag: { x: false, y: false }, y: false, points: { show: false } },
    padding: [8, 18, 0, 0],
    scales: { x: { time: false, range: () => [0, plan.seconds] }, y: { range: [-2, 2] } },
    axes: [{ ...axis, size: 28, space: 56, incrs: INCREMENTS, values: (_, ticks) => ticks.map(clock) }, { ...axis, size: 62, splits: () => LEVELS.map(([, value]) => value), values: (_, ticks) => ticks.map(names) }],
    series: [{}, { stroke: () => colour("--soft"), width: 1, points: { show: false } }, { stroke: () => colour("--accent"), width: 3, points: { show: false } }],
  }, data(), holder);
  new ResizeObserver(() => chart.setSize({ width: holder.clientWidth, height: 180 })).observe(holder);
  chart.over.style.touchAction = "none";
  chart.over.style.cursor = "crosshair";
  let last;
  const add = (event) => {
    const box = chart.over.getBoundingClientRect();
    const across = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    const level = Math.min(Math.max(2 - (4 * (event.clientY - box.top)) / box.height, -1.2), 1.2);
    const index = Math.round(across * SAMPLES), from = last ?? [index, level];
    const step = Math.sign(index - from[0]) || 1; // what the mouse has skipped lies on a line
    for (let each = from[0]; each !== index + step; each += step) {
      drawn.set(each, from[1] + (index === from[0] ? level - from[1] : ((level - from[1]) * (each - from[0])) / (index - from[0])));
    }
    last = [index, level];
    chart.setData(data());
  };
  chart.over.addEventListener("pointerdown", (event) => {
    drawn = new Map();
    last = undefined;
    chart.over.setPointerCapture(event.pointerId);
    add(event);
  });
  chart.over.addEventListener("pointermove", (event) => { if (drawn) add(event); });
  chart.over.addEventListener("pointerup", () => { if (drawn) onArc(arcOf(drawn)); drawn = undefined; });
  chart.over.addEventListener("pointercancel", () => { drawn = undefined; chart.setData(data()); });
};

// The nearest mood at each place of the line; between two that differ it changes evenly. Beyond the line all is as it was.
const arcOf = (line) => {
  const places = [...line.keys()].sort((a, b) => a - b), time = (index) => Math.round(10 * (index / SAMPLES) * plan.seconds) / 10;
  const named = places.map((index) => [time(index), LEVELS.reduce((best, each) => (Math.abs(each[1] - line.get(index)) < Math.abs(best[1] - line.get(index)) ? each : best))[0]]);
  const [first, end] = [time(places[0]), time(places.at(-1))];
  const all = [...points.filter(([at]) => at < first), ...named, ...points.filter(([at]) => at > end)];
  return all.filter(([, name], index) => index === 0 || index === all.length - 1 || all[index - 1][1] !== name || all[index + 1][1] !== name);
};

find("add-point").addEventListener("submit", (event) => {
  event.preventDefault();
  const at = parse(find("point-at").value || "0");
  find("point-at").setAttribute("aria-invalid", at === null);
  if (at === null || !plan) return;
  onArc([...points.filter(([time]) => time !== at), [at, find("point-mood").value]].sort((a, b) => a[0] - b[0]));
});
find("clear-mood").addEventListener("click", () => onArc([]));
